"""What the verdict says of jobs that nobody deletes, and of too many of them."""

from datetime import timedelta

import pytest
from django.db import connection

from django_jobs.reports import overview, verdict
from django_jobs.reports.overview import look
from tests.conftest import NOON
from tests.factories import JobFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def ago(**span):
    return NOON - timedelta(**span)


def problem():
    """Return the only problem there is."""
    [found] = verdict.verdict().problems
    return found


def rules():
    return [found.rule for found in verdict.verdict().problems]


@pytest.mark.parametrize(("days", "said"), [(8.9, False), (9.1, True)])
def test_successful_jobs_beyond_their_time_say_that_nobody_cleans_up(days, said):
    WorkerFactory()
    JobFactory(successful=True, finished_at=ago(days=days))
    JobFactory(successful=True)
    assert rules() == (["no-cleaning"] if said else [])
    if said:
        assert problem().text == (
            "1 of the oldest jobs are successful, and older than RETENTION_SUCCESSFUL (7 days) by "
            "more than two days: nobody cleans up."
        )


def test_of_many_successful_jobs_the_oldest_are_looked_at(monkeypatch):
    monkeypatch.setattr(overview, "MOST_OLDEST", 2)
    WorkerFactory()
    JobFactory.create_batch(3, successful=True, finished_at=ago(days=10))
    assert problem().text.startswith("2+ of the oldest jobs")


def test_failed_and_successful_jobs_that_nobody_deletes_are_one_problem():
    WorkerFactory()
    JobFactory(successful=True, finished_at=ago(days=40))
    JobFactory(failed=True, finished_at=ago(days=40))
    assert rules() == ["no-cleaning"]


@pytest.mark.postgresql
@pytest.mark.parametrize(("most", "said"), [(29, True), (30, False), (0, False)])
def test_more_jobs_on_record_than_are_wanted_are_a_problem(settings, most, said):
    settings.DJANGO_JOBS = {"WARN_JOBS": most}
    WorkerFactory()
    JobFactory.create_batch(30)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE django_jobs_job")
    assert rules() == (["many-jobs"] if said else [])
    if said:
        assert problem().text == "About 30 jobs are on record, more than WARN_JOBS (29)."


def test_where_the_database_has_no_estimate_nobody_tells_how_many_jobs_there_are(settings):
    if connection.vendor == "postgresql":
        pytest.skip("it has one")
    settings.DJANGO_JOBS = {"WARN_JOBS": 1}
    WorkerFactory()
    JobFactory.create_batch(3)
    assert look("default", NOON).rows is None
    assert rules() == []
