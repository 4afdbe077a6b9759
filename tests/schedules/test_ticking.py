"""What is due becomes jobs; what cannot be dealt with stops nothing else."""

import logging
from datetime import timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from django_jobs import context, registry, schedules
from django_jobs.definitions import job
from django_jobs.models import Job, Schedule, Tick
from django_jobs.schedules import Ticker, ticking
from django_jobs.services import Scheduler, all_services
from django_jobs.signals import job_enqueued
from django_jobs.states import State
from django_jobs.testing import run_jobs
from tests.conftest import NOON
from tests.factories import JobFactory, ScheduleFactory, TickFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOUR = timedelta(hours=1)


@pytest.fixture
def ticker():
    return Ticker()


def due(**fields):
    return ScheduleFactory(next_run_at=NOON, **fields)


def fates():
    return list(Tick.objects.order_by("pk").values_list("planned_at", "outcome"))


def test_a_due_schedule_enqueues_its_job_with_its_arguments(engine, ticker):
    schedule = due(job_name="tests.jobs.add", args=[1], kwargs={"right": 2})
    (dealt,) = ticker.run(engine)
    made = Job.objects.get()
    assert (made.name, made.args, made.kwargs) == ("tests.jobs.add", [1], {"right": 2})
    assert (dealt.jobs, dealt.queues) == ({NOON: made.pk}, {"default"})
    schedule.refresh_from_db()
    assert schedule.next_run_at == NOON + HOUR
    assert ticker.run(engine) == []


def test_the_job_has_the_options_of_its_definition(engine, ticker):
    @job(name="tests.urgent", queue="mail", priority=7, max_attempts=2, on_crash="fail")
    def urgent() -> None:
        pass

    due(job_name="tests.urgent")
    ticker.run(engine)
    made = Job.objects.get()
    assert (made.queue, made.priority, made.max_attempts, made.max_lost) == ("mail", 7, 2, 0)


def test_a_job_can_read_its_planned_time():
    seen = []

    @job(name="tests.report")
    def report(context: context.JobContext) -> None:
        seen.append(context.planned_at)

    due(job_name="tests.report")
    run_jobs(schedules=True)
    report.enqueue()
    run_jobs()
    assert seen == [NOON, None]


def test_jobs_run_in_tests_leave_schedules_alone_unless_asked():
    due()
    assert run_jobs() == []
    assert run_jobs(schedules=True) == ["successful"]
    assert len(run_jobs(schedules=True, now=NOON + 2 * HOUR)) == 1


def test_jobs_of_schedules_send_the_same_signal_as_others(engine, ticker):
    heard = []

    def hear(sender, handle, **_):
        heard.append((sender, handle.id, handle.created, handle.status))

    schedule = due(overlap="queue_all")
    TickFactory(schedule=schedule, planned_at=None, job_id=JobFactory().pk)
    due(jitter=timedelta(minutes=10))
    job_enqueued.connect(hear)
    try:
        ticker.run(engine)
        schedules.run_now(schedule.name)
    finally:
        job_enqueued.disconnect(hear)
    states = [State.WAITING, State.SCHEDULED, State.READY]
    ids = Job.objects.filter(schedule_id__isnull=False).order_by("pk").values_list("pk", flat=True)
    assert heard == [
        ("tests.jobs.nothing", job_id, True, state)
        for job_id, state in zip(ids, states, strict=True)
    ]


def test_jitter_delays_the_job_and_not_the_planned_time(engine, ticker):
    due(jitter=timedelta(minutes=10))
    ticker.run(engine)
    made = Job.objects.get()
    assert made.planned_at == NOON
    assert NOON < made.run_at <= NOON + timedelta(minutes=10)
    assert made.state == State.SCHEDULED


def test_more_schedules_than_a_page_are_dealt_with_at_once(engine, ticker, monkeypatch):
    monkeypatch.setattr("django_jobs.schedules.ticking.PAGE", 3)
    ScheduleFactory.create_batch(7, next_run_at=NOON)
    assert len(ticker.run(engine)) == 7
    assert Job.objects.count() == 7


def test_overlap_reckons_with_jobs_that_were_started_by_hand(engine, ticker):
    schedule = due()
    TickFactory(schedule=schedule, planned_at=None, outcome="manual", job_id=JobFactory().pk)
    ticker.run(engine)
    assert fates()[-1] == (NOON, "skipped")


def test_cancel_old_waits_for_the_end_of_a_job_that_still_runs(engine, ticker):
    schedule = due(overlap="cancel_old")
    running = JobFactory(running=True)
    idle = JobFactory()
    for old in (running, idle):
        TickFactory(schedule=schedule, planned_at=None, job_id=old.pk)
    ticker.run(engine)
    running.refresh_from_db()
    idle.refresh_from_db()
    assert running.cancel_requested_at == NOON
    assert idle.state == State.CANCELLED
    assert Job.objects.get(schedule_id=schedule.pk).state == State.WAITING


def test_cancel_old_starts_at_once_when_nothing_runs(engine, ticker):
    schedule = due(overlap="cancel_old")
    TickFactory(schedule=schedule, planned_at=None, job_id=JobFactory().pk)
    ticker.run(engine)
    assert Job.objects.get(schedule_id=schedule.pk).state == State.READY


def test_a_schedule_that_cannot_be_dealt_with_stops_no_other(engine, ticker, caplog):
    broken = due(job_name="tests.jobs.add", args=["too", "many", "arguments"])
    fine = due()
    with caplog.at_level(logging.ERROR, "django_jobs.schedule"):
        assert [dealt.schedule for dealt in ticker.run(engine)] == [fine]
    (record,) = caplog.records
    assert "is left to other workers" in record.message
    assert "too many" in record.message.lower() or "takes" in record.message
    broken.refresh_from_db()
    assert (broken.next_run_at, broken.doubted_at) == (NOON, NOON)


def test_a_schedule_set_aside_is_tried_again_after_a_minute(engine, ticker, frozen_clock):
    due(job_name="tests.jobs.add", args=["wrong"] * 9)
    ticker.run(engine)
    assert ticker.wait(engine) is None
    frozen_clock.advance(timedelta(seconds=61))
    assert ticker.wait(engine) < 0


def test_a_schedule_that_nobody_can_deal_with_for_an_hour_is_disabled(
    engine, ticker, frozen_clock, caplog
):
    broken = due(job_name="tests.jobs.add", args=["wrong"] * 9)
    ticker.run(engine)
    frozen_clock.advance(timedelta(minutes=61))
    ticker.run(engine)
    broken.refresh_from_db()
    assert broken.next_run_at is None
    assert broken.disabled_reason.startswith("TypeError: ")
    assert "it is disabled" in caplog.text


def test_a_schedule_whose_job_nobody_knows_is_disabled_after_an_hour(engine, frozen_clock, caplog):
    schedule = due(job_name="shop.jobs.gone")
    service = Scheduler()
    frozen_clock.advance(timedelta(seconds=1))
    service.attend(engine)
    frozen_clock.advance(timedelta(minutes=59))
    service.attend(engine)
    schedule.refresh_from_db()
    assert schedule.disabled_at is None
    frozen_clock.advance(timedelta(minutes=2))
    service.attend(engine)
    schedule.refresh_from_db()
    assert schedule.disabled_reason == "No worker knows the job shop.jobs.gone."
    assert f"Schedule {schedule.name} is disabled" in caplog.text


def test_a_schedule_follows_its_job_to_a_new_name(engine, ticker):
    @job(name="tests.renamed", aliases=["shop.jobs.old"])
    def renamed() -> None:
        pass

    due(job_name="shop.jobs.old")
    ticker.run(engine)
    assert Job.objects.get().name == "tests.renamed"


def test_a_clock_that_goes_back_an_hour_fires_nothing_twice(engine, ticker, frozen_clock):
    due()
    ticker.run(engine)
    frozen_clock.advance(-HOUR)
    assert ticker.run(engine) == []
    frozen_clock.advance(HOUR)
    assert ticker.run(engine) == []
    frozen_clock.advance(HOUR)
    assert len(ticker.run(engine)) == 1


def test_the_service_looks_again_when_the_next_schedule_is_due(engine, frozen_clock):
    every = timedelta(seconds=3)
    ScheduleFactory(cron="", every=every, next_run_at=NOON + every)
    service = Scheduler()
    assert service.attend(engine) == set()
    frozen_clock.advance(timedelta(seconds=2))
    assert not service.due
    frozen_clock.advance(timedelta(seconds=1))
    assert service.due
    assert service.attend(engine) == {"default"}


def test_the_service_sees_a_changed_schedule_within_eleven_seconds(engine, frozen_clock):
    service = Scheduler()
    service.attend(engine)
    frozen_clock.advance(timedelta(seconds=11))
    assert service.due


def test_the_service_looks_every_second_while_a_job_waits_for_another(engine, frozen_clock):
    schedule = due(overlap="queue_all")
    TickFactory(schedule=schedule, planned_at=None, job_id=JobFactory(running=True).pk)
    service = Scheduler()
    service.attend(engine)
    service.attend(engine)
    frozen_clock.advance(timedelta(seconds=1))
    assert service.due


def test_every_fate_has_a_line_of_its_own(engine, caplog):
    due(name="fine")
    ScheduleFactory(name="late", next_run_at=NOON - 3 * HOUR, missed="skip")
    busy = due(name="busy")
    TickFactory(schedule=busy, planned_at=None, job_id=JobFactory().pk)
    with caplog.at_level(logging.INFO, "django_jobs.schedule"):
        Scheduler().attend(engine)
    events = {record.schedule: record.event for record in caplog.records}
    assert events == {"fine": "on_time", "late": "on_time", "busy": "skipped"}
    assert "nothing #" in caplog.text
    missed = "Schedule late: 3 planned time(s) missed, from 2030-01-15 09:00:00 UTC"
    assert [line for line in caplog.messages if "missed" in line] == [missed]


def test_schedules_can_be_switched_off_as_a_whole(settings):
    assert any(isinstance(service, Scheduler) for service in all_services())
    settings.DJANGO_JOBS = {"SCHEDULES_ENABLED": False}
    assert not any(isinstance(service, Scheduler) for service in all_services())


def test_jobs_that_wait_for_each_other_go_on_where_schedules_are_off(engine, settings):
    settings.DJANGO_JOBS = {"SCHEDULES_ENABLED": False}
    schedule = due()
    schedules.backfill(schedule.name, NOON - HOUR, NOON)
    first, second = Job.objects.order_by("pk")
    engine.move([first.pk], State.CANCELLED, [State.READY], NOON)
    for service in all_services():
        service.attend(engine)
    second.refresh_from_db()
    assert second.state == State.READY
    assert Job.objects.count() == 2


def test_an_idle_look_takes_two_queries(engine, django_assert_num_queries):
    ScheduleFactory.create_batch(3)
    service = Scheduler()
    service.attend(engine)
    with django_assert_num_queries(2):
        service.attend(engine)


def test_a_paused_schedule_makes_nothing(engine, ticker):
    ScheduleFactory(paused=True)
    assert ticker.run(engine) == []
    assert Schedule.objects.get().next_run_at is None


def test_nobody_needs_to_know_any_job(engine, ticker, monkeypatch):
    monkeypatch.setattr(registry, "_definitions", {})
    due()
    assert ticker.wait(engine) is None
    assert ticker.run(engine) == []


@pytest.fixture
def slow(monkeypatch, frozen_clock):
    """Let each decision about a schedule take a second."""
    decide = ticking.decide

    def decide_slowly(*args):
        frozen_clock.advance(timedelta(seconds=1))
        return decide(*args)

    monkeypatch.setattr(ticking, "decide", decide_slowly)


@pytest.mark.usefixtures("slow")
def test_locks_are_not_held_while_a_whole_page_of_long_gaps_is_reckoned(engine, ticker):
    ScheduleFactory.create_batch(3, next_run_at=NOON)
    with CaptureQueriesContext(connections["default"]) as queries:
        assert len(ticker.run(engine)) == 3
    inserts = [query for query in queries if 'INTO "django_jobs_tick"' in query["sql"]]
    assert len(inserts) == 3


@pytest.mark.usefixtures("slow")
def test_the_service_stops_in_time_to_extend_leases_and_goes_on_at_once(engine):
    ScheduleFactory.create_batch(5, next_run_at=NOON)
    scheduler = Scheduler()
    scheduler.attend(engine)
    assert Tick.objects.count() == 3
    assert scheduler.due
    scheduler.attend(engine)
    assert Tick.objects.count() == 5
