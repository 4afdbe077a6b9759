"""`manage.py jobs_worker`: another name of `runworker`, for projects where that one is taken."""

from django_jobs.management.commands.runworker import Command

__all__ = ["Command"]
