"""`manage.py jobs schedules` and its sisters."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from django_jobs import schedules
from django_jobs.models import Job, Schedule, Tick
from tests.conftest import NOON
from tests.factories import JobFactory, ScheduleFactory, TickFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOUR = timedelta(hours=1)


def run(*arguments):
    """Return what `manage.py jobs` prints, its whitespace folded."""
    out = StringIO()
    call_command("jobs", *arguments, stdout=out)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_all_schedules_are_listed_with_what_came_of_them():
    fine = ScheduleFactory(name="fine", cron="0 2 * * *", timezone="Europe/Paris")
    job = JobFactory(failed=True)
    TickFactory(
        schedule=fine,
        planned_at=NOON - 11 * HOUR,
        made_at=NOON - 10 * HOUR,
        job_id=job.pk,
        outcome="caught_up",
    )
    ScheduleFactory(name="stopped", paused=True, paused_reason="audit")
    head, *rows = run("schedules")
    assert head == "NAME RULE ZONE NEXT LAST STATE"
    assert rows == [
        (
            "fine at 02:00 every day Europe/Paris Tue 2030-01-15 14:00 CET (in 1 h) "
            "caught up: failed, 11 h ago, 1 h late active"
        ),
        "stopped every hour UTC paused by ana 5 min ago: audit",
    ]


def test_the_list_needs_as_many_queries_for_many_schedules_as_for_one(django_assert_num_queries):
    for row in ScheduleFactory.create_batch(20):
        TickFactory(schedule=row, job_id=JobFactory().pk)
    with django_assert_num_queries(4):
        run("schedules")


def test_without_a_schedule_it_is_said_how_to_make_one():
    assert run("schedules")[0].startswith("No schedules. Declare one: @job(schedule=cron(")


def test_it_is_said_first_when_all_schedules_are_switched_off(settings):
    settings.DJANGO_JOBS = {"SCHEDULES_ENABLED": False}
    ScheduleFactory(name="sync")
    for arguments in (["schedules"], ["schedule", "sync"]):
        first, *rest = run(*arguments)
        assert first.startswith("Schedules are switched off (SCHEDULES_ENABLED)")
        assert "off by SCHEDULES_ENABLED" in "\n".join(rest)


def test_a_schedule_shows_its_facts_its_next_times_and_its_history():
    row = ScheduleFactory(name="sync", job_name="tests.jobs.charge", args=[7, "4111"])
    job = JobFactory(running=True)
    TickFactory(schedule=row, planned_at=NOON, made_at=NOON, job_id=job.pk)
    gap = {"since": NOON - 9 * HOUR, "until": NOON - 2 * HOUR, "count": 8, "planned_at": None}
    TickFactory(schedule=row, outcome="missed", job_id=None, **gap)
    lines = run("schedule", "sync")
    assert lines[0] == "schedule sync"
    assert "rule every hour (0 * * * *)" in lines
    assert 'call charge(7, "•••")' in lines
    coming = lines.index("NEXT IN UTC")
    assert lines[coming + 1] == "Tue 2030-01-15 13:00 UTC Tue 2030-01-15 13:00 UTC in 1 h"
    assert lines[coming + 11] == ""
    past = lines.index("PLANNED OUTCOME LATE BY JOB JOB'S STATE")
    assert lines[past + 1 :] == [
        f"Tue 2030-01-15 12:00 UTC on time 0 s #{job.pk} running",
        "Tue 2030-01-15 03:00 UTC to Tue 2030-01-15 10:00 UTC missed 8 planned times",
    ]


def test_a_schedule_marks_what_a_clock_change_does_to_it(frozen_clock):
    frozen_clock.advance(timedelta(days=74, hours=12))  # the night before the clocks go forward
    ScheduleFactory(name="sync", cron="30 2 * * *", timezone="Europe/Paris")
    moved = [line for line in run("schedule", "sync") if "moved" in line]
    assert moved == [
        (
            "Sun 2030-03-31 03:00 CEST Sun 2030-03-31 01:00 UTC in 1 h "
            "moved: its own time is skipped by the clock change"
        )
    ]


def test_a_schedule_shows_what_was_changed_here(nightly):
    schedules.sync()
    schedules.change("tests.nightly", cron="0 4 * * *")
    assert "changed cron: 0 4 * * *; the code says 0 2 * * *" in run("schedule", "tests.nightly")


def test_a_schedule_without_past_and_future_says_so():
    ScheduleFactory(name="sync", next_run_at=None, ends_at=NOON - HOUR)
    lines = run("schedule", "sync")
    assert "No planned time is left." in lines
    assert lines[-1] == "No planned time has come yet."


def test_a_schedule_is_run_at_once():
    ScheduleFactory(name="sync")
    (line,) = run("run-schedule", "sync")
    job = Job.objects.get()
    assert line == f"Job #{job.pk} is enqueued. The next planned time stays."
    assert job.enqueued_by == "manage.py jobs"


def test_a_schedule_is_paused_and_resumed():
    ScheduleFactory(name="sync")
    assert run("pause-schedule", "sync", "--reason", "audit") == [
        'Schedule "sync" is paused. Its jobs go on.'
    ]
    row = Schedule.objects.get()
    assert (row.paused_by, row.paused_reason) == ("manage.py jobs", "audit")
    assert run("pause-schedule", "sync") == [
        'Schedule "sync" was paused already: paused by manage.py jobs just now: audit.'
    ]
    assert run("resume-schedule", "sync") == [
        'Schedule "sync" goes on: Tue 2030-01-15 13:00 UTC (in 1 h).'
    ]
    assert run("resume-schedule", "sync") == ['Schedule "sync" was not paused.']


def test_a_resumed_schedule_can_catch_up():
    ScheduleFactory(name="sync", paused=True, paused_at=NOON - 3 * HOUR)
    run("resume-schedule", "sync", "--catch-up")
    assert Tick.objects.get().outcome == "caught_up"


def test_past_planned_times_get_their_jobs_once():
    ScheduleFactory(name="sync", timezone="Europe/Paris")
    # Without an offset, times are meant on the schedule's own clocks: an hour ahead of UTC.
    arguments = ("backfill", "sync", "2030-01-15T10:00", "2030-01-15T11:00:00Z")
    (line,) = run(*arguments)
    first, *_, last = Job.objects.order_by("pk")
    assert (first.planned_at, first.enqueued_by) == (NOON - 3 * HOUR, "manage.py jobs")
    assert line == (
        "Planned times from Tue 2030-01-15 10:00 CET to Tue 2030-01-15 12:00 CET: "
        f"3 jobs, which run one after the other, #{first.pk} to #{last.pk}."
    )
    assert run(*arguments)[0].startswith("Nothing to do: from Tue 2030-01-15 10:00 CET")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["schedule", "snyc"], 'Did you mean "sync"'),
        (["run-schedule", "snyc"], 'Did you mean "sync"'),
        (["run-schedule", "orphan"], 'no job "shop.jobs.gone"'),
        (["pause-schedule", "snyc"], 'Did you mean "sync"'),
        (["resume-schedule", "snyc"], 'Did you mean "sync"'),
        (["backfill", "snyc", "2030-01-15", "2030-01-15"], 'Did you mean "sync"'),
        (["backfill", "sync", "2030-01-15", "2030-01-14"], "from a start to a later end"),
        (["backfill", "sync", "0001-01-01T00:00", "2030-01-15"], "starts in 1970 or later"),
        (["backfill", "sync", "9999-12-31T23:59", "9999-12-31T23:59"], "into the future"),
        (["backfill", "sync", "0001-01-01T00:00+09:00", "2030-01-15"], "out of range"),
        (["backfill", "sync", "soon", "2030-01-15"], '"soon" is not a time such as'),
        (["backfill", "sync", "2030-02-31T12:00", "2030-01-15"], "is not a time such as"),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(arguments, words):
    ScheduleFactory(name="sync", timezone="America/New_York")
    ScheduleFactory(name="orphan", job_name="shop.jobs.gone")
    with pytest.raises(CommandError, match=words.replace("(", r"\(")):
        run(*arguments)
