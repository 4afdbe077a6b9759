"""The records: fields, constraints, indexes. Every `help_text` is an entry of the data dictionary.

Models describe; engines write. Nobody assigns `state` here or saves one of these rows by
hand, and no property writes.
"""

from django_jobs.models.batches import Batch, BatchCallback, BatchJob
from django_jobs.models.bulk import BulkOperation
from django_jobs.models.events import Event, EventKey, Wait
from django_jobs.models.fields import IdListField
from django_jobs.models.jobs import Job, JobLog, JobProgress, JobRun
from django_jobs.models.muting import MutedError
from django_jobs.models.schedules import Schedule, Tick
from django_jobs.models.steps import JobStep
from django_jobs.models.tallies import Release, Tally
from django_jobs.models.workers import Claim, Queue, Worker

__all__ = [
    "Batch",
    "BatchCallback",
    "BatchJob",
    "BulkOperation",
    "Claim",
    "Event",
    "EventKey",
    "IdListField",
    "Job",
    "JobLog",
    "JobProgress",
    "JobRun",
    "JobStep",
    "MutedError",
    "Queue",
    "Release",
    "Schedule",
    "Tally",
    "Tick",
    "Wait",
    "Worker",
]
