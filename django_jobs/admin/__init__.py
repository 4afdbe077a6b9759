"""Jobs, their runs, queues and workers in Django's admin: to read, and to act on.

Rows are never edited here; what an operator may do are actions, and they go through
`operations`. Arguments, results and logs are shown to those with `view_job_payload` only, and
even to them without secrets.
"""

from django_jobs.admin.jobs import JobAdmin, JobRunAdmin
from django_jobs.admin.queues import QueueAdmin, WorkerAdmin

__all__ = ["JobAdmin", "JobRunAdmin", "QueueAdmin", "WorkerAdmin"]
