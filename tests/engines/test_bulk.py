"""Promises of `delete` and of the verbs about operations on very many jobs."""

from datetime import timedelta

import pytest

from django_jobs.engines.base import Hold
from django_jobs.engines.bulk import BulkPage, BulkRequest
from django_jobs.engines.orm import bulk
from django_jobs.models import (
    BulkOperation,
    Job,
    JobLog,
    JobProgress,
    JobRun,
    JobStep,
    Tick,
    Wait,
)
from django_jobs.states import State
from tests.engines.rivals import until, waits_for_lock
from tests.engines.scenes import FAILURE, LATER, NOON
from tests.factories import JobFactory, ScheduleFactory, TickFactory


def request(key="k", **fields):
    values = {"verb": "retry", "search": "state:failed", "as_of": NOON, "low": 0, "high": 99}
    return BulkRequest(key=key, **{**values, "expected": 3, "by": "ana", **fields})


def add(engine, key="k", **fields):
    number, created = engine.add_bulk(request(key, **fields), NOON)
    assert created
    return BulkOperation.objects.get(pk=number)


def test_finished_jobs_are_deleted_with_all_that_is_on_record_of_them(scene):
    gone, kept = scene.run(2)
    scene.finish(gone, end=FAILURE)
    scene.finish(kept, end=FAILURE)
    for hold in (gone, kept):
        step = {"key": "a", "position": 1, "started_at": NOON, "finished_at": NOON}
        JobStep.objects.create(job_id=hold.job_id, claim_id=hold.claim_id, **step)
        JobLog.objects.create(job_id=hold.job_id, claim_id=hold.claim_id, at=NOON, line="x")
        JobProgress.objects.create(job_id=hold.job_id, updated_at=NOON)
    assert scene.engine.delete([gone.job_id, 999_999]) == {gone.job_id}
    for model in (JobRun, JobStep, JobLog, JobProgress):
        assert [row.job_id for row in model.objects.all()] == [kept.job_id]
    assert not Wait.objects.exists()
    assert [row.pk for row in Job.objects.all()] == [kept.job_id]


@pytest.mark.parametrize("state", [{}, {"running": True}, {"scheduled": True}, {"waiting": True}])
def test_a_job_that_has_not_ended_is_not_deleted(engine, state):
    row = JobFactory(**state)
    assert engine.delete([row.pk]) == set()
    assert Job.objects.filter(pk=row.pk).exists()


def test_a_schedule_remembers_how_a_deleted_job_ended(engine):
    tick = TickFactory(schedule=ScheduleFactory())
    row = JobFactory(successful=True, schedule_id=tick.schedule_id)
    Tick.objects.filter(pk=tick.pk).update(job_id=row.pk)
    assert engine.delete([row.pk]) == {row.pk}
    assert Tick.objects.get(pk=tick.pk).job_state == State.SUCCESSFUL


def test_an_operation_is_written_once_however_often_it_is_asked_for(engine):
    number, created = engine.add_bulk(request(low=7), NOON)
    assert created
    assert engine.add_bulk(request(by="bob"), LATER) == (number, False)
    row = BulkOperation.objects.get()
    assert (row.created_by, row.created_at, row.last_id, row.key) == ("ana", NOON, 7, "k")


def test_the_oldest_unfinished_operation_comes_first(engine):
    first, second = add(engine, "a"), add(engine, "b")
    with engine.transaction():
        assert engine.lock_bulk() == first
        engine.note_bulk(first, BulkPage(99, is_last=True), LATER)
        assert engine.lock_bulk() == second
        engine.note_bulk(second, BulkPage(99, is_last=True), LATER)
        assert engine.lock_bulk() is None


def test_what_became_of_the_pages_is_added_up(engine):
    row = add(engine)
    engine.note_bulk(row, BulkPage(5, done=3, refused={"it is ready": (2, 4)}), NOON)
    row.refresh_from_db()
    assert (row.started_at, row.finished_at, row.last_id) == (NOON, None, 5)
    engine.note_bulk(row, BulkPage(9, 1, 2, {"it is ready": (1, 8)}, is_last=True), LATER)
    row.refresh_from_db()
    assert (row.done, row.asked, row.refused, row.handled) == (4, 2, 3, 9)
    assert row.reasons == {"it is ready": [3, 4]}
    assert (row.started_at, row.finished_at, row.last_id) == (NOON, LATER, 9)


def test_not_every_reason_is_kept(engine, monkeypatch):
    monkeypatch.setattr(bulk, "MOST_REASONS", 2)
    row = add(engine)
    engine.note_bulk(row, BulkPage(5, refused={f"reason {n}": (1, n) for n in range(5)}), NOON)
    row.refresh_from_db()
    assert row.reasons == {"reason 0": [1, 0], "reason 1": [1, 1], "…": [3, 2]}
    assert row.refused == 5


def test_an_operation_is_stopped_once(engine):
    row = add(engine)
    assert engine.stop_bulk(row.pk, "bob", LATER)
    assert not engine.stop_bulk(row.pk, "eve", LATER)
    row.refresh_from_db()
    assert (row.finished_at, row.stopped_by) == (LATER, "bob")
    with engine.transaction():
        assert engine.lock_bulk() is None


def test_old_operations_are_pruned_but_none_that_is_unfinished(engine):
    old, new, unfinished = (add(engine, key) for key in "abc")
    engine.stop_bulk(old.pk, "", NOON - timedelta(days=2))
    engine.stop_bulk(new.pk, "", NOON)
    assert engine.prune_bulk(NOON - timedelta(days=1), 100) == 1
    assert set(BulkOperation.objects.values_list("pk", flat=True)) == {new.pk, unfinished.pk}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_two_workers_never_work_on_one_operation(engine, rival):
    first, second = add(engine, "a"), add(engine, "b")
    one, two = rival(), rival()
    one.begin()
    assert one.verb("lock_bulk") == first
    two.begin()
    assert two.verb("lock_bulk") == second
    three = rival()
    three.begin()
    assert three.verb("lock_bulk") is None
    for session in (one, two, three):
        session.rollback()
    one.begin()
    assert one.verb("lock_bulk") == first


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_who_stops_waits_for_the_page_that_is_worked_on(engine, rival):
    row = add(engine)
    one, two = rival(), rival()
    pid = two.pid
    one.begin()
    one.verb("lock_bulk")
    stopping = two.start_verb("stop_bulk", row.pk, "bob", LATER)
    until(lambda: waits_for_lock(pid), "the second to wait for the page")
    one.verb("note_bulk", row, BulkPage(5, done=3), NOON)
    one.commit()
    assert stopping.result(20) is True
    row.refresh_from_db()
    assert (row.done, row.stopped_by, row.finished_at) == (3, "bob", LATER)


def test_only_a_lock_that_was_not_had_is_busy(engine):
    assert not engine.is_busy(ValueError("x"))


@pytest.mark.django_db(transaction=True)
def test_a_retry_of_a_deleted_job_finds_nothing(scene):
    hold = scene.run_one()
    scene.finish(hold, end=FAILURE)
    scene.engine.delete([hold.job_id])
    assert scene.engine.move([hold.job_id], State.READY, [State.FAILED], LATER) == set()
    assert scene.finish(Hold(*hold)).fenced == {hold}
