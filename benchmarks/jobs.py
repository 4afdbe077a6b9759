"""The jobs that are measured: they do nothing, so that all that is seen is the way to them."""

import time

from django_jobs import job


@job
def nothing(number: int = 0) -> None:
    """Do nothing; the argument is there to be stored."""


@job
def stamp() -> float:
    """Return when it started, by this machine's clock."""
    return time.time()
