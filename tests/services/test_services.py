"""The duties that every worker does for all."""

from datetime import timedelta

import pytest

from django_jobs import clock
from django_jobs.engines import get_engine
from django_jobs.engines.base import Engine
from django_jobs.engines.events import NewEvent
from django_jobs.models import (
    Batch,
    Claim,
    Event,
    EventKey,
    Job,
    JobRun,
    Release,
    Tally,
    Tick,
    Worker,
)
from django_jobs.services import (
    BulkWorker,
    Promoter,
    Pruner,
    Relayer,
    Rescuer,
    Scheduler,
    Service,
    all_services,
    promoter,
    pruner,
)
from django_jobs.states import State
from tests.factories import JobFactory, ScheduleFactory, TallyFactory, TickFactory, WorkerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def engine(frozen_clock):
    return get_engine("default")


class Never(Service):
    interval = 10.0
    jitter = 0.2

    def run(self, _engine):
        return set()


def test_a_service_is_due_at_once_and_then_after_its_interval(frozen_clock):
    service = Never()
    assert service.due
    service.attend(None)
    frozen_clock.advance(timedelta(seconds=10 * 0.8 - 0.1))
    assert not service.due
    frozen_clock.advance(timedelta(seconds=10 * 0.4 + 0.2))
    assert service.due


def test_jitter_keeps_workers_apart(frozen_clock):
    waits = set()
    for _ in range(20):
        service = Never()
        service.attend(None)
        waits.add(service._due_at)
    assert len(waits) > 10
    assert all(8 <= wait <= 12 for wait in waits)


def test_a_hurried_service_is_due(frozen_clock):
    service = Never()
    service.attend(None)
    service.hurry()
    assert service.due


def test_every_worker_gets_a_fresh_set():
    one, other = all_services(), all_services()
    kinds = [Scheduler, Promoter, Relayer, Rescuer, BulkWorker, Pruner]
    assert [type(service) for service in one] == kinds
    assert not {id(service) for service in one} & {id(service) for service in other}


def test_many_due_jobs_are_promoted_page_by_page_without_a_pause(engine, monkeypatch):
    monkeypatch.setattr(promoter, "PAGE", 2)
    monkeypatch.setattr(promoter, "PAGES", 3)
    JobFactory.create_batch(7, scheduled=True, run_at=clock.now())
    service = Promoter(lambda: None)
    service.attend(engine)
    assert Job.objects.filter(state=State.READY).count() == 6
    assert service.due
    service.attend(engine)
    assert Job.objects.filter(state=State.READY).count() == 7
    assert not service.due


def test_promoting_makes_due_jobs_ready_and_names_their_queues(engine, frozen_clock):
    due = JobFactory(scheduled=True, queue="mail", run_at=clock.now())
    later = JobFactory(scheduled=True)
    service = Promoter(lambda: None)
    assert service.attend(engine) == {"mail"}
    assert not service.due
    assert Job.objects.get(pk=due.pk).state == State.READY
    assert Job.objects.get(pk=later.pk).state == State.SCHEDULED


def test_rescuing_returns_the_jobs_of_silent_workers(engine, caplog):
    JobFactory(running=True, silent=True, queue="mail")
    lively = JobFactory(running=True)
    assert Rescuer().attend(engine) == {"mail"}
    assert Job.objects.get(queue="mail").state == State.READY
    assert Job.objects.get(pk=lively.pk).state == State.RUNNING
    assert Claim.objects.count() == 1
    assert "stopped answering; it is ready again" in caplog.text


def test_rescuing_says_which_jobs_it_gives_up(engine, caplog):
    JobFactory(running=True, silent=True, lost_count=3)
    assert Rescuer().attend(engine) == set()
    assert Job.objects.get().state == State.FAILED
    assert "it was lost too often and has failed" in caplog.text


def test_rescuing_is_due_four_times_per_lease(frozen_clock, settings):
    settings.DJANGO_JOBS = {"LEASE": 8.0}
    assert Rescuer().interval == 2.0


def test_pruning_deletes_what_is_older_than_its_retention(engine):
    def aged(days, **kind):
        return JobFactory(**kind, finished_at=clock.now() - timedelta(days=days)).pk

    gone = {aged(8, successful=True), aged(31, failed=True), aged(31, cancelled=True)}
    kept = {aged(6, successful=True), aged(29, failed=True), JobFactory().pk}
    Pruner().attend(engine)
    assert set(Job.objects.values_list("pk", flat=True)) == kept
    assert not JobRun.objects.filter(job__in=gone).exists()


def test_old_batches_go_with_the_jobs_that_are_kept_longest(engine):
    days = timedelta(days=1)
    ages = {"old": 31, "kept": 29}
    for name, age in ages.items():
        batch_id = engine.open_batch(name)
        engine.finish_batches([batch_id], clock.now() - age * days)
    Pruner().attend(engine)
    assert [row.name for row in Batch.objects.all()] == ["kept"]


def test_pruning_takes_its_time_where_nothing_is_old(engine, frozen_clock, monkeypatch):
    monkeypatch.setattr(pruner, "PAGE", 2)
    monkeypatch.setattr(pruner, "PAGES", 2)
    JobFactory.create_batch(7)
    service = Pruner()
    service.attend(engine)
    frozen_clock.advance(timedelta(seconds=40))
    assert not service.due
    frozen_clock.advance(timedelta(seconds=40))
    assert service.due


def test_workers_that_are_silent_for_a_day_are_forgotten(engine, frozen_clock):
    WorkerFactory(name="gone", beat_at=clock.now() - timedelta(hours=25))
    WorkerFactory(name="silent", beat_at=clock.now() - timedelta(hours=23))
    Pruner().attend(engine)
    assert [worker.name for worker in Worker.objects.all()] == ["silent"]


def test_pruning_goes_on_where_it_stopped_and_then_rests(engine, frozen_clock, monkeypatch):
    monkeypatch.setattr(pruner, "PAGE", 2)
    monkeypatch.setattr(pruner, "PAGES", 2)
    for _ in range(7):
        JobFactory(successful=True, finished_at=clock.now() - timedelta(days=8))
    service = Pruner()
    service.attend(engine)
    assert Job.objects.count() == 3
    assert not service.due
    frozen_clock.advance(timedelta(seconds=pruner.WHEN_MUCH))
    assert service.due
    service.attend(engine)
    assert Job.objects.count() == 0
    frozen_clock.advance(timedelta(seconds=pruner.WHEN_DONE - 1))
    assert not service.due
    frozen_clock.advance(timedelta(seconds=1))
    assert service.due


def test_events_are_pruned_as_fast_as_they_come(engine, frozen_clock, monkeypatch):
    monkeypatch.setattr(pruner, "PAGE", 2)
    monkeypatch.setattr(pruner, "PAGES", 2)
    for number in range(9):
        engine.insert_event(NewEvent("tick", key=str(number)), clock.now() - timedelta(days=400))
    engine.put_away(list(Event.objects.values_list("pk", flat=True)))
    service = Pruner()
    service.attend(engine)
    assert Event.objects.count() < 9
    while Event.objects.exists() or EventKey.objects.exists():
        frozen_clock.advance(timedelta(seconds=pruner.WHEN_MUCH))
        assert service.due
        service.attend(engine)
    frozen_clock.advance(timedelta(seconds=pruner.WHEN_MUCH))
    service.attend(engine)
    frozen_clock.advance(timedelta(seconds=pruner.WHEN_MUCH))
    assert not service.due


def test_history_of_schedules_is_pruned_as_fast_as_it_comes(engine, frozen_clock, monkeypatch):
    monkeypatch.setattr(pruner, "PAGE", 2)
    monkeypatch.setattr(pruner, "PAGES", 2)
    schedule = ScheduleFactory()
    for days in (40, 40, 39, 38, 37, 36, 20, 19, 18):
        at = clock.now() - timedelta(days=days, seconds=Tick.objects.count())
        TickFactory(schedule=schedule, planned_at=at, made_at=at, job_id=None)
    service = Pruner()
    service.attend(engine)
    assert Tick.objects.count() == 5
    frozen_clock.advance(timedelta(seconds=pruner.WHEN_MUCH))
    service.attend(engine)
    assert Tick.objects.count() == 3
    frozen_clock.advance(timedelta(days=11))
    service.attend(engine)
    assert Tick.objects.count() == 1


def test_the_promoter_looks_at_once_when_somebody_has_written(engine):
    promoter = Promoter(lambda: None)
    promoter.attend(engine)
    promoter.hear(Engine.EVENTS)
    assert not promoter.due
    promoter.hear(Engine.WRITTEN)
    assert promoter.due


def test_the_history_knows_of_jobs_that_were_lost(engine):
    JobFactory(running=True, silent=True, name="shop.send", queue="mail")
    JobFactory(running=True, silent=True, name="shop.send", queue="mail", lost_count=3)
    Rescuer().attend(engine)
    row = Tally.objects.get(span=1, name="shop.send")
    assert (row.queue, row.retried, row.failed, row.run_sum) == ("mail", 1, 1, 0.0)
    assert row.minute == int(clock.now().timestamp()) // 60


def test_figures_of_minutes_go_after_two_days_and_those_of_hours_much_later(engine, settings):
    settings.DJANGO_JOBS = {"RETENTION_HISTORY": 10}
    for days in (1, 3, 11):
        TallyFactory(ago=days * 1440)
        TallyFactory(ago=days * 1440, span=60)
    Release.objects.create(version="old", seen_at=clock.now() - timedelta(days=11))
    Release.objects.create(version="new", seen_at=clock.now() - timedelta(days=9))
    Pruner().attend(engine)
    assert Tally.objects.filter(span=1).exclude(name="").count() == 1
    assert Tally.objects.filter(span=60).exclude(name="").count() == 2
    assert Release.objects.get().version == "new"


def test_figures_that_are_kept_for_ever_are_kept(engine, settings):
    settings.DJANGO_JOBS = {"RETENTION_HISTORY": 10**9}
    TallyFactory(ago=9 * 1440, span=60)
    Pruner().attend(engine)
    assert Tally.objects.filter(span=60).exists()
