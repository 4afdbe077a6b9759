"""Batches between sessions: who adds waits, who counts never does, and nothing comes twice."""

from datetime import timedelta

import pytest
from django.db import connections

from django_jobs.engines.base import NewJob
from django_jobs.engines.batches import Callback, Member
from django_jobs.events import Relay
from django_jobs.models import Batch, Event, Job
from django_jobs.states import State
from tests.engines.albums import CALLBACK, CANCELLED, DONE, row_of
from tests.engines.rivals import DEADLINE, until, waits_for_lock
from tests.engines.scenes import NOON, job_of


def race(test):
    """Mark a test that needs sessions which really stand in each other's way."""
    return pytest.mark.postgresql(pytest.mark.django_db(transaction=True)(test))


def relay_of(engine):
    """Return how a rival hands out a page, on the connection of its own thread."""
    return lambda: Relay().run(type(engine)(connections["default"]))


@race
def test_a_batch_that_somebody_adds_to_is_not_counted_until_the_commit(engine, album, rival):
    batch_id, (one,) = album.batch(1)
    album.finish(one)
    adder = rival()
    adder.begin()
    adder.verb("hold_batch", batch_id)
    assert engine.settle({one: DONE}).busy == {one}
    Relay().run(engine)
    assert (row_of(batch_id)[1], Event.objects.count()) == (1, 1)
    adder.rollback()
    Relay().run(engine)
    assert (row_of(batch_id)[1], Event.objects.count()) == (0, 0)


@race
def test_many_events_of_a_locked_batch_hold_up_no_other_event(engine, album, rival, monkeypatch):
    monkeypatch.setattr("django_jobs.events.relaying.PAGE", 2)
    locked_id, ids = album.batch(5)
    free_id, (other,) = album.batch(1)
    album.finish(*ids, other)
    adder = rival()
    adder.begin()
    adder.verb("hold_batch", locked_id)
    relay = Relay()
    while relay.run(engine).more:
        pass
    assert Batch.objects.get(pk=free_id).finished_at is not None
    assert row_of(locked_id)[1] == 5
    adder.rollback()
    while Relay().run(engine).more:
        pass
    assert row_of(locked_id)[1] == 0


@race
def test_an_event_that_cannot_be_handed_out_is_found_behind_those_that_are_held_up(
    engine, album, rival, monkeypatch
):
    monkeypatch.setattr("django_jobs.events.relaying.PAGE", 2)
    locked_id, ids = album.batch(2)
    _, (bad,) = album.batch(1)
    album.finish(*ids, bad)
    ends_of = type(engine).ends_of

    def fail(self, job_ids):
        assert bad not in job_ids, "broken"
        return ends_of(self, job_ids)

    monkeypatch.setattr(type(engine), "ends_of", fail)
    adder = rival()
    adder.begin()
    adder.verb("hold_batch", locked_id)
    relay = Relay()
    while relay.run(engine).more:
        pass
    assert Event.objects.get(job_id=bad).problem.startswith("AssertionError: broken")


@race
def test_who_adds_while_the_last_job_is_counted_finds_the_batch_finished(engine, album, rival):
    batch_id, (one,) = album.batch(1)
    album.finish(one)
    adder = rival()
    pid = adder.pid
    with engine.transaction():
        Relay().run(engine)
        holding = adder.start_verb("hold_batch", batch_id)
        until(lambda: waits_for_lock(pid), "the adder to wait")
    assert holding.result(DEADLINE) is None


@race
def test_who_adds_before_the_last_job_is_counted_keeps_the_batch_open(engine, album, rival):
    batch_id, (one,) = album.batch(1)
    adder = rival()
    adder.begin()
    newest = adder.verb("hold_batch", batch_id)
    (more,) = adder.verb("insert", [NewJob("tests.jobs.nothing", "late", watched=True)], NOON)
    adder.verb("add_members", batch_id, [Member(more.job_id, "tests.jobs.nothing")])
    adder.verb("count_members", batch_id, newest)
    album.finish(one)
    Relay().run(engine)
    adder.commit()
    Relay().run(engine)
    assert row_of(batch_id) == (2, 1, 1, 0, 0)
    assert Batch.objects.get().finished_at is None


@race
def test_when_the_last_two_end_at_once_two_relays_call_back_once(engine, album, rival):
    batch_id, (one, two) = album.batch(2)
    engine.add_callback(batch_id, Callback("finish", CALLBACK))
    holds = {job.id: job.hold for job in album.scene.claim()}
    first, second = rival(), rival()
    first.begin()
    album.scene.finish(holds[one], holds[two])
    assert first.do(relay_of(engine)).count == 2
    second.begin()
    assert second.do(relay_of(engine)).count == 0
    second.commit()
    first.commit()
    assert second.do(relay_of(engine)).count == 0
    assert Job.objects.filter(queue="after").count() == 1


@race
def test_relays_that_have_an_event_each_of_the_same_batch_count_both(engine, album, rival):
    batch_id, (one, two) = album.batch(2)
    engine.add_callback(batch_id, Callback("success", CALLBACK))
    holds = {job.id: job.hold for job in album.scene.claim()}
    album.scene.finish(holds[one])
    first = rival()
    first.begin()
    assert first.do(relay_of(engine)).count == 1
    album.scene.finish(holds[two])
    Relay().run(engine)
    assert Event.objects.count() == 2, "the batch is locked: both are still there"
    first.commit()
    assert Event.objects.count() == 1
    Relay().run(engine)
    assert row_of(batch_id) == (2, 0, 2, 0, 0)
    assert Job.objects.filter(queue="after").count() == 1


@race
def test_a_relay_that_dies_before_its_commit_has_done_nothing(engine, album, rival):
    batch_id, (one,) = album.batch(1)
    engine.add_callback(batch_id, Callback("success", CALLBACK))
    album.finish(one)
    first = rival()
    first.begin()
    first.do(relay_of(engine))
    first.rollback()
    assert not Job.objects.filter(queue="after").exists()
    Relay().run(engine)
    assert Job.objects.filter(queue="after").count() == 1


@race
def test_a_parent_that_an_operator_has_locked_is_left_for_the_next_time(engine, album, rival):
    parent_id, batch_id, (one,) = album.flow(1)
    album.finish(one)
    with rival().holding("django_jobs_job", parent_id):
        Relay().run(engine)
        assert (row_of(batch_id)[1], Event.objects.count()) == (1, 1)
    Relay().run(engine)
    assert job_of(parent_id).state == State.READY


@race
def test_a_child_that_somebody_has_locked_is_cancelled_the_next_time(engine, album, rival):
    parent_id, _, (one, two) = album.flow(2)
    with rival().holding("django_jobs_job", one):
        assert engine.cancel_below([parent_id], NOON).left == {parent_id}
        assert [job_of(one).state, job_of(two).state] == [State.READY, CANCELLED]
    assert engine.cancel_below([parent_id], NOON).left == frozenset()
    assert job_of(one).state == CANCELLED


@race
def test_a_batch_whose_row_is_locked_is_neither_stalled_nor_pruned(engine, rival):
    batch_id = engine.open_batch("empty", now=NOON)
    with rival().holding("django_jobs_batch", batch_id), engine.transaction():
        assert engine.stalled_batches(10) == []
    engine.finish_batches([batch_id], NOON - timedelta(days=1))
    with rival().holding("django_jobs_batch", batch_id):
        assert engine.prune_batches(NOON, 10) == 0
    assert engine.prune_batches(NOON, 10) == 1
