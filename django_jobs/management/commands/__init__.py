"""The commands `runworker` and `jobs`."""
