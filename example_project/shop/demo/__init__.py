"""What `manage.py demo` is made of: the seed, the processes, the report."""
