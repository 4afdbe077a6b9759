"""The events of our own that say how a job has ended, for those who watch it or listen."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django_jobs import listeners
from django_jobs.engines.orm.rows import Rows
from django_jobs.models import Event
from django_jobs.states import FINAL, State
from django_jobs.subscriptions import JOB


class Ended(NamedTuple):
    """A job that has just come to a state; only a final one is worth telling."""

    job_id: int
    name: str
    state: State
    watched: bool


class Ends(Rows):
    """Every verb that can end a job tells so here, in its own transaction."""

    def tell_ends(self, jobs: Iterable[Ended], now: datetime) -> bool:
        """Write the events of those that anybody cares for; return whether there are any."""
        ends = [(job, listeners.told(job.state, job.name)) for job in jobs if job.state in FINAL]
        told = [
            Event(name=f"{JOB}{job.state.lower()}", data=data, job_id=job.job_id, sent_at=now)
            for job, data in ends
            if job.watched or data != listeners.NOBODY
        ]
        if told:
            Event.objects.using(self.alias).bulk_create(told)
        return bool(told)
