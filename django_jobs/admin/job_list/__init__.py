"""The list of jobs: searched, paged by number, with what is new."""
