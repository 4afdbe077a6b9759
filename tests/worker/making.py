"""Claimed jobs without a database, a watcher that remembers, and waiting with a deadline."""

import asyncio
import threading

from django_jobs.context import JobContext
from django_jobs.engines.base import ClaimedJob
from django_jobs.models import Job
from django_jobs.worker.execution import make_context, run_async, run_sync
from django_jobs.worker.holdings import Held

DEADLINE = 20.0


def claimed(number=1, claim_id=10, name="tests.jobs.add", **changes):
    """Return a claimed job; `changes` replace its other values."""
    values = {
        "queue": "default",
        "priority": 0,
        "args": "[]",
        "kwargs": "{}",
        "attempt": 1,
        "max_attempts": 4,
        "lost_count": 0,
    }
    return ClaimedJob(id=number, claim_id=claim_id, name=name, **{**values, **changes})


def held(number=1, claim_id=10, **changes):
    """Return a held job."""
    job = claimed(number, claim_id, **changes)
    return Held(job, make_context(job))


def context(name="tests.jobs.add", **values):
    """Return the context of a first attempt of four."""
    return JobContext(name, **{"job_id": 1, "max_attempts": 4, **values})


def states():
    """Return the states of all jobs in alphabetical order."""
    return sorted(Job.objects.values_list("state", flat=True))


def until(condition, what="it"):
    """Wait until `condition()` is true, and fail when that takes too long."""
    pause = threading.Event()
    for _ in range(int(DEADLINE / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError(f"waited {DEADLINE:g} s for {what}")


def run(definition, ask=None, context=None, **changes):
    """Run a job as a worker does, sync in this thread and async on a loop."""
    job = claimed(name=definition.name, **changes)
    context = context or make_context(job)
    if ask is not None:
        context.tell(ask)
    if definition.is_async:
        return asyncio.run(run_async(job, context))
    return run_sync(job, context)


class Watcher:
    """Remembers what a pool tells."""

    def __init__(self):
        self.started, self.ended, self.crashes, self.idle = [], [], [], []

    def on_started(self, item):
        self.started.append(item)

    def on_ended(self, ended, *, idle):
        self.idle.append(idle)
        self.ended.append(ended)

    def on_crashed(self, error):
        self.crashes.append(error)
