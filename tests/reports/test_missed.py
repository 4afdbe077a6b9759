"""Schedules that did not run when they should have."""

from datetime import timedelta

import pytest

from django_jobs.reports import missed, verdict
from django_jobs.reports.overview import look
from tests.conftest import NOON
from tests.dashboard.pages import raw
from tests.factories import ScheduleFactory, TickFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def ago(**span):
    return NOON - timedelta(**span)


def missing(*, due=2, noticed=1, **fields):
    """Return a schedule that was due so many hours ago, when nobody was there."""
    row = ScheduleFactory(**fields)
    tick(row, "missed", due, job_id=None, made_at=ago(hours=noticed))
    return row


def tick(row, outcome, hours, **fields):
    at = None if outcome == "manual" else ago(hours=hours)
    values = {"made_at": ago(hours=hours), **fields}
    return TickFactory(schedule=row, planned_at=at, outcome=outcome, **values)


def rules():
    return [problem.rule for problem in verdict.verdict().problems]


def test_a_planned_time_that_was_missed_is_a_problem_until_it_runs(admin_client):
    WorkerFactory()
    row = missing(name="nightly")
    tick(row, "on_time", 26)
    [problem] = verdict.verdict().problems
    assert problem.text == (
        "“nightly” was missed: it was due 2 h ago, no worker was there in time, and it has not "
        "run since."
    )
    assert f"/admin/jobs/schedule/{row.pk}/change/" in raw(admin_client)
    tick(row, "on_time", 1)
    assert rules() == []


@pytest.mark.parametrize(("hours", "said"), [(3, True), (1, False)])
def test_starting_it_by_hand_since_ends_the_problem(hours, said):
    row = missing()
    tick(row, "manual", hours)
    assert rules() == (["missed-schedule"] if said else [])


@pytest.mark.parametrize(("noticed", "said"), [(23, True), (25, False)])
def test_it_is_told_for_a_day(noticed, said):
    missing(due=30, noticed=noticed)
    assert rules() == (["missed-schedule"] if said else [])


@pytest.mark.parametrize("outcome", ["caught_up", "skipped", "backfilled"])
def test_what_was_caught_up_or_skipped_is_no_problem(outcome):
    row = missing()
    tick(row, outcome, 1)
    assert rules() == []


@pytest.mark.parametrize("stopped", ["paused", "disabled"])
def test_a_schedule_that_is_stopped_misses_nothing(stopped):
    missing(**{stopped: True})
    assert rules() == []


def test_where_schedules_are_switched_off_nothing_is_missed(settings):
    settings.DJANGO_JOBS = {"SCHEDULES_ENABLED": False}
    missing()
    assert rules() == []


def test_of_many_the_last_are_told_and_those_due_next_looked_at(monkeypatch):
    for due in range(2, 10):
        missing(due=due, next_run_at=NOON + timedelta(hours=due))
    assert len(rules()) == verdict.NAMED
    monkeypatch.setattr(missed, "MOST_SCHEDULES", 1)
    assert [one.at for one in look("default", NOON).missed] == [ago(hours=2)]
