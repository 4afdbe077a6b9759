"""What the tests about schedules share: jobs that declare some, and the engine under them."""

import pytest

from django_jobs.conf import get_settings
from django_jobs.declarations import cron
from django_jobs.definitions import job
from django_jobs.engines import get_engine


@pytest.fixture
def engine(db):
    """Return the engine on this test's connection."""
    return get_engine(get_settings().DATABASE)


@pytest.fixture
def nightly():
    """Return a job that declares a schedule: every day at two."""

    @job(name="tests.nightly", schedule=cron("0 2 * * *"))
    def nightly() -> None:
        pass

    return nightly
