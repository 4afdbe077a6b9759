"""A small shop that mails its customers: django_jobs on a real task."""
