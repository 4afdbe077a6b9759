"""The page of one job: why it is as it is, and what to do next."""
