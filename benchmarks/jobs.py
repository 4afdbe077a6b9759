"""The jobs that are measured: they do nothing, so that all that is seen is the way to them."""

import time

from django_jobs import Event, JobContext, job
from django_jobs.models import JobStep


@job
def nothing(number: int = 0) -> None:
    """Do nothing; the argument is there to be stored."""


@job
def stamp() -> float:
    """Return when it started, by this machine's clock."""
    return time.time()


@job
def glance(number: int | None) -> float:
    """Read one row, as a job that goes on does; return when, by this machine's clock."""
    del number
    list(JobStep.objects.filter(job_id=0).values_list("key", "state", "result"))
    return time.time()


@job
def await_word(context: JobContext, number: int | None) -> float:
    """Wait for a word; return when it came, by this machine's clock."""
    match = {} if number is None else {"number": number}
    context.step.wait_for_event("word", "word", match=match, timeout=3600)
    return time.time()


@job
def nap(context: JobContext, number: int | None) -> float:
    """Sleep; return when that was over."""
    del number
    context.step.sleep("word", 3600)
    return time.time()


@job(on="bench/heard")
def hear(event: Event) -> None:
    """Do nothing about an event."""
