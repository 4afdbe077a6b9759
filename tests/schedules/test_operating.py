"""What people do to schedules: pause, resume, run now, backfill, make, change, delete."""

from datetime import timedelta

import pytest

from django_jobs import registry, schedules
from django_jobs.exceptions import InvalidSchedule, JobNotFound, ScheduleNotFound
from django_jobs.models import Job, Schedule, Tick
from django_jobs.schedules import Ticker, operating, sync
from django_jobs.states import State
from django_jobs.testing import run_jobs
from tests.conftest import NOON
from tests.factories import JobFactory, ScheduleFactory, TickFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOUR = timedelta(hours=1)


def test_a_paused_schedule_is_not_due_and_says_who_and_why():
    row = ScheduleFactory(name="sync", next_run_at=NOON)
    assert schedules.pause("sync", by="ana", reason="db upgrade")
    row.refresh_from_db()
    assert (row.paused_at, row.paused_by, row.paused_reason) == (NOON, "ana", "db upgrade")
    assert row.next_run_at is None
    assert not schedules.pause("sync", by="bob")
    row.refresh_from_db()
    assert row.paused_by == "ana"


def test_a_resumed_schedule_goes_on_without_a_flood(engine, frozen_clock):
    row = ScheduleFactory(name="sync", next_run_at=NOON)
    schedules.pause("sync")
    frozen_clock.advance(10 * HOUR)
    assert schedules.resume("sync")
    assert not schedules.resume("sync")
    row.refresh_from_db()
    assert (row.paused_at, row.next_run_at) == (None, NOON + 11 * HOUR)
    assert Ticker().run(engine) == []


def test_a_resumed_schedule_can_catch_up_once(frozen_clock):
    ScheduleFactory(name="sync", next_run_at=NOON)
    schedules.pause("sync")
    frozen_clock.advance(10 * HOUR)
    schedules.resume("sync", catch_up=True)
    assert list(Tick.objects.values_list("planned_at", "outcome")) == [
        (NOON + 10 * HOUR, "caught_up")
    ]
    assert Job.objects.get().planned_at == NOON + 10 * HOUR


def test_a_disabled_schedule_that_is_resumed_stays_disabled():
    ScheduleFactory(name="sync", disabled=True, paused=True)
    schedules.resume("sync")
    row = Schedule.objects.get()
    assert (row.paused_at, row.next_run_at) == (None, None)


def test_run_now_enqueues_a_job_and_leaves_the_next_planned_time():
    row = ScheduleFactory(name="sync", next_run_at=NOON + HOUR)
    job_id = schedules.run_now("sync")
    made = Job.objects.get(pk=job_id)
    assert (made.state, made.planned_at, made.schedule_id) == (State.READY, None, row.pk)
    row.refresh_from_db()
    assert (row.next_run_at, row.last_planned_at) == (NOON + HOUR, None)
    assert Tick.objects.get().outcome == "manual"
    assert run_jobs() == ["successful"]


def test_run_now_does_not_wait_for_the_jitter():
    ScheduleFactory(name="sync", jitter=timedelta(minutes=50))
    schedules.run_now("sync")
    assert (Job.objects.get().state, Job.objects.get().run_at) == (State.READY, NOON)


def test_a_paused_schedule_can_be_run_now():
    ScheduleFactory(name="sync", paused=True)
    assert schedules.run_now("sync") == Job.objects.get().pk
    assert Schedule.objects.get().next_run_at is None


def test_run_now_says_when_nobody_declares_the_job():
    ScheduleFactory(name="sync", job_name="shop.jobs.gone")
    with pytest.raises(JobNotFound, match=r"shop\.jobs\.gone"):
        schedules.run_now("sync")


def test_a_backfill_makes_the_jobs_that_are_missing_and_no_others():
    row = ScheduleFactory(name="sync")
    done = NOON - 2 * HOUR
    TickFactory(schedule=row, planned_at=done, job_id=1)
    TickFactory(schedule=row, planned_at=NOON - HOUR, job_id=None, outcome="missed")
    missing = [NOON - 3 * HOUR, NOON - HOUR, NOON]
    assert schedules.lacking("sync", NOON - 3 * HOUR, NOON) == (4, missing)
    ids = schedules.backfill("sync", NOON - 3 * HOUR, NOON)
    jobs = Job.objects.order_by("pk")
    assert [job.pk for job in jobs] == ids
    assert [job.planned_at for job in jobs] == [NOON - 3 * HOUR, NOON - HOUR, NOON]
    assert [job.state for job in jobs] == [State.READY, State.WAITING, State.WAITING]
    assert Tick.objects.get(planned_at=NOON - HOUR).outcome == "backfilled"
    assert schedules.backfill("sync", NOON - 3 * HOUR, NOON) == []
    assert schedules.lacking("sync", NOON - 3 * HOUR, NOON) == (4, [])
    assert Job.objects.count() == 3


def test_a_backfill_does_not_move_the_schedule():
    row = ScheduleFactory(name="sync", next_run_at=NOON + HOUR)
    schedules.backfill("sync", NOON - 3 * HOUR, NOON)
    row.refresh_from_db()
    assert (row.next_run_at, row.last_planned_at) == (NOON + HOUR, None)


def test_a_backfill_of_a_time_that_is_just_due_is_not_cancelled_by_the_next_look(engine):
    ScheduleFactory(name="sync", next_run_at=NOON, overlap="cancel_old")
    schedules.backfill("sync", NOON, NOON)
    Ticker().run(engine)
    assert Job.objects.get().state == State.READY
    assert Tick.objects.get().outcome == "backfilled"


def test_backfilled_jobs_run_one_by_one_or_all_at_once():
    ScheduleFactory(name="sync")
    schedules.backfill("sync", NOON - 3 * HOUR, NOON)
    assert len(run_jobs()) == 4
    schedules.backfill("sync", NOON - 9 * HOUR, NOON - 6 * HOUR, one_by_one=False)
    assert Job.objects.filter(state=State.READY).count() == 4


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (NOON.replace(tzinfo=None), NOON, "naive"),
        (NOON.replace(year=1), NOON, "starts in 1970 or later"),
        (NOON, NOON - HOUR, "from a start to a later end"),
        (NOON, NOON + HOUR, "not into the future"),
        (NOON - 1001 * HOUR, NOON, "more than 1,000"),
    ],
)
def test_a_backfill_that_makes_no_sense_is_refused_with_nothing_written(start, end, message):
    ScheduleFactory(name="sync")
    with pytest.raises(ValueError, match=message):
        schedules.backfill("sync", start, end)
    with pytest.raises(ValueError, match=message):
        schedules.lacking("sync", start, end)
    assert not Job.objects.exists()


def test_a_schedule_can_be_made_by_hand():
    row = schedules.create("adding", "tests.jobs.add", cron="30 * * * *", args=[1, 2])
    assert (row.source, row.timezone) == ("admin", "UTC")
    assert row.next_run_at == NOON + HOUR / 2
    run_jobs(now=NOON + HOUR / 2, schedules=True)
    assert Job.objects.get().args == [1, 2]


@pytest.mark.parametrize(
    ("job_name", "fields", "error", "field"),
    [
        ("tests.jobs.add", {"cron": "0 25 * * *", "args": [1, 2]}, InvalidSchedule, "cron"),
        ("tests.jobs.add", {"cron": "@daily", "args": []}, InvalidSchedule, "args"),
        ("tests.jobs.add", {"args": [1, 2]}, InvalidSchedule, "cron"),
        (
            "tests.jobs.add",
            {"cron": "@daily", "timezone": "Europe/Pariss", "args": [1, 2]},
            InvalidSchedule,
            "timezone",
        ),
        (
            "tests.jobs.add",
            {"cron": "@daily", "args": [1, 2], "missed_within": timedelta(days=-1)},
            InvalidSchedule,
            "missed_within",
        ),
        ("tests.jobs.ad", {"cron": "@daily"}, JobNotFound, None),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_with_the_field(job_name, fields, error, field):
    with pytest.raises(error) as caught:
        schedules.create("wrong", job_name, **fields)
    assert getattr(caught.value, "field", None) == field
    assert not Schedule.objects.exists()


def test_a_name_is_given_once():
    ScheduleFactory(name="sync")
    with pytest.raises(InvalidSchedule, match='There is a schedule "sync" already'):
        schedules.create("sync", "tests.jobs.nothing", cron="@daily")


def test_a_name_that_is_taken_in_the_same_moment_is_told_as_well(monkeypatch):
    looks = iter([True])
    real = operating.check_free
    monkeypatch.setattr(operating, "check_free", lambda name: next(looks, None) or real(name))
    ScheduleFactory(name="sync")
    with pytest.raises(InvalidSchedule, match='There is a schedule "sync" already'):
        schedules.create("sync", "tests.jobs.nothing", cron="@daily")


def test_a_change_holds_from_its_next_planned_time_on(engine):
    ScheduleFactory(name="sync", next_run_at=NOON)
    schedules.change("sync", cron="30 * * * *")
    assert Ticker().run(engine) == []
    row = Schedule.objects.get()
    assert (row.next_run_at, row.overrides) == (NOON + HOUR / 2, [])


def test_a_change_that_makes_no_sense_changes_nothing():
    ScheduleFactory(name="sync")
    before = Schedule.objects.values().get()
    with pytest.raises(InvalidSchedule):
        schedules.change("sync", cron="0 0 31 2 *")
    with pytest.raises(TypeError, match="no field next_run_at"):
        schedules.change("sync", next_run_at=NOON)
    assert Schedule.objects.values().get() == before


def test_changing_something_else_keeps_the_next_planned_time():
    ScheduleFactory(name="sync", next_run_at=NOON - HOUR)
    schedules.change("sync", overlap="allow")
    assert Schedule.objects.get().next_run_at == NOON - HOUR


def test_a_paused_schedule_that_is_changed_stays_paused():
    ScheduleFactory(name="sync", paused=True)
    schedules.change("sync", cron="30 * * * *")
    assert Schedule.objects.get().next_run_at is None


def test_deleting_a_schedule_cancels_what_waits_in_its_line():
    row = ScheduleFactory(name="sync")
    ready, held = JobFactory(), JobFactory(waiting=True)
    TickFactory(schedule=row, job_id=ready.pk)
    TickFactory(schedule=row, planned_at=NOON, job_id=held.pk, held=True)
    schedules.delete("sync")
    assert not Schedule.objects.exists()
    assert not Tick.objects.exists()
    states = dict(Job.objects.values_list("pk", "state"))
    assert states == {ready.pk: State.READY, held.pk: State.CANCELLED}


def test_rows_that_are_deleted_behind_our_back_leave_no_job_waiting_for_ever(engine):
    row = ScheduleFactory(next_run_at=NOON, overlap="queue_all")
    TickFactory(schedule=row, planned_at=None, job_id=JobFactory(schedule_id=row.pk).pk)
    Ticker().run(engine)
    Schedule.objects.all().delete()
    assert list(Job.objects.order_by("pk").values_list("state", flat=True)) == [
        State.READY,
        State.CANCELLED,
    ]


def test_a_schedule_that_code_declares_cannot_be_deleted(nightly):
    sync()
    with pytest.raises(InvalidSchedule, match="would bring it back"):
        schedules.delete("tests.nightly")
    registry.unregister("tests.nightly")
    Schedule.objects.update(disabled_at=NOON, next_run_at=None)
    schedules.delete("tests.nightly")
    assert not Schedule.objects.exists()


@pytest.mark.parametrize("verb", ["pause", "resume", "run_now", "change", "reset", "delete"])
def test_a_misspelt_name_is_answered_with_the_nearest(verb):
    ScheduleFactory(name="nightly")
    with pytest.raises(ScheduleNotFound, match=r'no schedule "nihgtly".*Did you mean "nightly"'):
        getattr(schedules, verb)("nihgtly")
    with pytest.raises(ScheduleNotFound, match='Did you mean "nightly"'):
        schedules.lacking("nihgtly", NOON, NOON)
