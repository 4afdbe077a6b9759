"""What the tests of steps share: functions that count their calls, and a job that runs a body."""

import asyncio

import pytest

from django_jobs.definitions import job
from django_jobs.models import Job, JobStep
from django_jobs.retries import Backoff
from django_jobs.testing import run_jobs


class Calls:
    """Counts calls; the first `failures` of a name raise."""

    def __init__(self):
        self.made = []
        self.failures = {}

    def __call__(self, name, result=None, error=RuntimeError):
        self.made.append(name)
        if self.made.count(name) <= self.failures.get(name, 0):
            raise error(f"{name} is down")
        return result

    async def awaited(self, name, result=None):
        await asyncio.sleep(0)
        return self(name, result)


@pytest.fixture
def calls():
    """Return a counter of calls, which is a function of steps."""
    return Calls()


@pytest.fixture
def run(db, frozen_clock):
    """Return how to declare a job with a body, and run it; gives its handle and the outcomes."""

    def run(body, **options):
        definition = job(name="tests.stepping", backoff=Backoff(first=10, jitter=0), **options)
        handle = definition(body).enqueue()
        return handle, run_jobs()

    return run


def steps():
    """Return the state of each step on record."""
    return {step.key: step.state for step in JobStep.objects.all()}


def the_job():
    """Return the only job."""
    return Job.objects.get()
