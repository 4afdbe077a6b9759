"""Reports: a table of all customers, prepared by a job and downloaded when it is ready."""
