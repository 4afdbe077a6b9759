"""What tests of batches and flows share: the jobs that come after a batch, and what came."""

import pytest

from django_jobs.definitions import job
from django_jobs.models import Job


@pytest.fixture
def after():
    """Return a job that does nothing but say which end it was enqueued for."""

    @job(name="tests.after")
    def after(end: str, number: int | None = None) -> str:
        return end

    return after


@pytest.fixture
def called():
    """Return a function that says which ends jobs were enqueued for, in their order."""

    def called():
        return [row.args[0] for row in Job.objects.filter(name="tests.after").order_by("pk")]

    return called
