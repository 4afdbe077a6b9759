"""Inserting new jobs: `insert`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from django_jobs.engines.base import Inserted, NewJob
from django_jobs.engines.orm.rows import Rows
from django_jobs.models import Job
from django_jobs.models.conditions import in_unique_index
from django_jobs.serializers import load
from django_jobs.states import State

TRIES = 10
"""How often a taken unique key is looked up again after its job has ended in between."""


def first_run_at(job: NewJob, now: datetime) -> datetime:
    """Return when `job` may run: the instant that was asked for, as it is, or from `now`."""
    if job.later is None:
        return now
    return job.later.instant or now + timedelta(seconds=job.later.seconds)


class Inserting(Rows):
    """The verb that writes new jobs."""

    def insert(self, jobs: Sequence[NewJob], now: datetime | None = None) -> list[Inserted]:
        """Write `jobs` on the caller's connection, in order."""
        now = self.at(now)
        with self.transaction():
            if any(job.unique_key is not None for job in jobs):
                return [self._insert_one(job, now) for job in jobs]
            rows = [new_row(job, now) for job in jobs]
            return [Inserted(row.pk, True) for row in self.jobs.bulk_create(rows)]

    def _insert_one(self, job: NewJob, now: datetime) -> Inserted:
        for _ in range(TRIES):
            try:
                with transaction.atomic(using=self.alias):
                    row = new_row(job, now)
                    row.save(using=self.alias, force_insert=True)
                    return Inserted(row.pk, True)
            except IntegrityError:
                taken = self.jobs.filter(in_unique_index(), unique_key=job.unique_key)
                existing = taken.values_list("pk", flat=True).first()
                if existing is not None:
                    return Inserted(existing, False)
                if job.unique_key is None:
                    raise
        raise IntegrityError(f"unique_key {job.unique_key!r} is taken and free by turns")


def new_row(job: NewJob, now: datetime) -> Job:
    """Return the row of a job that is about to be written."""
    run_at = first_run_at(job, now)
    return Job(
        name=job.name,
        queue=job.queue,
        args=load(job.args),
        kwargs=load(job.kwargs),
        priority=job.priority,
        state=State.SCHEDULED if run_at > now else State.READY,
        run_at=run_at,
        max_attempts=job.max_attempts,
        max_lost=job.max_lost,
        unique_key=job.unique_key,
        watched=job.watched,
        about=job.about,
        enqueued_by=job.enqueued_by,
        enqueued_at=now,
    )
