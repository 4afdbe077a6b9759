"""Measurements of django_jobs, each beside plain SQL in the same run: `python -m benchmarks`."""
