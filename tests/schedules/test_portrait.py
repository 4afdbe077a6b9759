"""A schedule in words: its rule, where it stands, what was changed."""

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest

from django_jobs import schedules
from django_jobs.declarations import cron
from django_jobs.definitions import job
from django_jobs.models import Schedule
from django_jobs.schedules import portrait
from tests.conftest import NOON
from tests.factories import ScheduleFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "active"),
        ({"next_run_at": NOON - timedelta(seconds=50)}, "active"),
        ({"next_run_at": NOON - HOUR}, "overdue: no worker has dealt with it"),
        ({"next_run_at": NOON - HOUR, "doubted_at": NOON}, "overdue: no worker was able to"),
        ({"next_run_at": None}, "over: no planned time is left"),
        ({"paused": True}, "paused by ana 5 min ago"),
        ({"paused": True, "paused_reason": "audit"}, "paused by ana 5 min ago: audit"),
        ({"paused": True, "paused_by": ""}, "paused 5 min ago"),
        ({"disabled": True}, "disabled: Its job is gone."),
        (
            {"disabled": True, "paused_at": NOON, "paused_by": "ana"},
            "disabled: Its job is gone. It is paused by ana, too.",
        ),
    ],
)
def test_it_is_said_where_a_schedule_stands(fields, words):
    assert portrait.standing(ScheduleFactory(**fields), NOON) == words


def test_switched_off_is_said_of_those_that_nothing_else_stops(settings):
    settings.DJANGO_JOBS = {"SCHEDULES_ENABLED": False}
    late = ScheduleFactory(next_run_at=NOON - HOUR)
    assert portrait.standing(late, NOON) == "off by SCHEDULES_ENABLED"
    assert portrait.standing(ScheduleFactory(paused=True), NOON).startswith("paused by ana")


def test_the_next_planned_time_is_said_on_the_clocks_of_the_zone():
    row = ScheduleFactory(timezone="Europe/Paris")
    assert portrait.next_words(row, NOON) == "Tue 2030-01-15 14:00 CET (in 1 h)"
    assert portrait.local(NOON + timedelta(seconds=7), UTC) == "Tue 2030-01-15 12:00:07 UTC"
    assert portrait.next_words(ScheduleFactory(paused=True), NOON) == ""


def test_a_row_with_nonsense_says_what_is_wrong_with_it():
    row = ScheduleFactory(cron="every day", timezone="Mars/Base")
    assert "five fields" in portrait.rule_words(row)
    assert portrait.coming(row, NOON, 10) == []
    assert portrait.zone_of(row) == UTC
    assert dict(portrait.facts(row, NOON))["time zone"] == "Mars/Base"


def test_the_rule_is_said_and_written():
    row = ScheduleFactory(cron="0 2 * * *", timezone="Europe/Paris")
    span = ScheduleFactory(cron="", every=timedelta(minutes=15))
    assert (portrait.rule_words(row), portrait.rule_text(row)) == (
        "at 02:00 every day",
        "0 2 * * *",
    )
    assert (portrait.rule_words(span), portrait.rule_text(span)) == (
        "every 15 minutes",
        "every 15 min",
    )
    assert portrait.zone_of(row) == ZoneInfo("Europe/Paris")


def test_what_was_changed_here_stands_beside_what_the_code_says():
    @job(name="tests.report", schedule=cron("0 2 * * *", kwargs={"token": "k-12"}, jitter=60))
    def report(token: str = "") -> None:
        pass

    schedules.sync()
    assert portrait.changes(Schedule.objects.get()) == []
    schedules.change(
        "tests.report", cron="", every=2 * HOUR, kwargs={"token": "k-34"}, overlap="queue_all"
    )
    row = Schedule.objects.get()
    assert [(one.field, one.code, one.here) for one in portrait.changes(row)] == [
        ("cron", "0 2 * * *", "–"),
        ("every", "–", "2 h"),
        ("overlap", "skip", "queue all"),
        ("kwargs", '{"token": "•••"}', '{"token": "•••"}'),
    ]
    assert portrait.origin(row) == "from code, changed here"
    schedules.reset("tests.report")
    row.refresh_from_db()
    assert (portrait.changes(row), portrait.origin(row)) == ([], "from code")


def test_all_facts_are_told_but_no_arguments():
    row = ScheduleFactory(
        kwargs={"api_key": "k-12"}, ends_at=NOON + 9 * HOUR, jitter=timedelta(minutes=2)
    )
    assert dict(portrait.facts(row, NOON)) == {
        "rule": "every hour (0 * * * *)",
        "time zone": "UTC",
        "state": "active",
        "next": "Tue 2030-01-15 13:00 UTC (in 1 h)",
        "job": "tests.jobs.nothing",
        "source": "from the admin",
        "until": "Tue 2030-01-15 21:00 UTC",
        "jitter": "2 min",
        "missed": "one, within 1 d",
        "overlap": "skip",
        "made": "Mon 2030-01-14 12:00 UTC (1 d ago)",
    }
