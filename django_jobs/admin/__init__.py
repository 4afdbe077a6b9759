"""Jobs, runs, batches, events, queues, schedules and workers in Django's admin: read and act.

Rows are never saved here; what an operator may do goes through `operations` and `schedules`.
Arguments, results and logs are shown to those with `view_job_payload` only, and
even to them without secrets.
"""

from django_jobs.admin.batches import BatchAdmin
from django_jobs.admin.events import EventAdmin
from django_jobs.admin.jobs import JobAdmin, JobRunAdmin
from django_jobs.admin.queues import QueueAdmin, WorkerAdmin
from django_jobs.admin.schedules import ScheduleAdmin

__all__ = [
    "BatchAdmin",
    "EventAdmin",
    "JobAdmin",
    "JobRunAdmin",
    "QueueAdmin",
    "ScheduleAdmin",
    "WorkerAdmin",
]
