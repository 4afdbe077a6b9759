"""Promises of the verbs about batches: each job counts once, and nobody who counts ever waits."""

from datetime import timedelta

import pytest
from django.db import connections

from django_jobs.engines.base import NewJob
from django_jobs.engines.batches import Callback, Member, Standing, Trouble
from django_jobs.engines.endings import NEVER
from django_jobs.engines.events import WaitFor
from django_jobs.events import Relay
from django_jobs.models import Batch, BatchCallback, BatchJob, Event, Job, JobRun
from django_jobs.states import IfFailed, Later, State
from django_jobs.subscriptions import Match
from tests.engines.rivals import DEADLINE, until, waits_for_lock
from tests.engines.scenes import LATER, NOON, job_of

DONE, FAILED, CANCELLED = State.SUCCESSFUL, State.FAILED, State.CANCELLED
CALLBACK = NewJob("tests.jobs.nothing", "after", "[1]", '{"a":"\\u00e4"}', watched=True)


def race(test):
    """Mark a test that needs sessions which really stand in each other's way."""
    return pytest.mark.postgresql(pytest.mark.django_db(transaction=True)(test))


class Album:
    """Short hand: a batch, or a flow, of jobs that are READY."""

    def __init__(self, engine, scene):
        self.engine, self.scene = engine, scene

    def batch(self, count, parent_id=None, policy=IfFailed.FAIL):
        """Write a batch of `count` jobs; return its number and their ids."""
        batch_id = self.engine.open_batch("album", parent_id, NOON)
        ids = self.add(batch_id, count, policy)
        self.engine.count_members(batch_id, 0)
        return batch_id, ids

    def add(self, batch_id, count, policy=IfFailed.FAIL):
        """Write jobs and members; they are not counted yet."""
        ids = self.scene.enqueue(count, watched=True)
        self.engine.add_members(batch_id, [Member(pk, "shop.resize", policy) for pk in ids])
        return ids

    def flow(self, count, policy=IfFailed.FAIL):
        """Write a flow; return its parent, its batch and its children."""
        (parent_id,) = self.scene.enqueue(watched=True, later=Later(instant=NEVER))
        self.engine.let_wait(parent_id)
        return (parent_id, *self.batch(count, parent_id, policy))

    def finish(self, *ids):
        """End these jobs."""
        holds = [job.hold for job in self.scene.claim() if job.id in ids]
        assert len(holds) == len(ids)
        self.scene.finish(*holds)


@pytest.fixture
def album(engine, scene):
    return Album(engine, scene)


def relay_of(engine):
    """Return how a rival hands out a page, on the connection of its own thread."""
    return lambda: Relay().run(type(engine)(connections["default"]))


def row_of(batch_id):
    row = Batch.objects.get(pk=batch_id)
    return row.total, row.pending, row.successful, row.failed, row.cancelled


def test_counting_says_where_the_batch_stands(engine, album):
    batch_id, (one, two, three, four) = album.batch(4)
    settled = engine.settle({one: DONE, two: FAILED, three: CANCELLED})
    troubles = [
        Trouble(two, "shop.resize", FAILED, IfFailed.FAIL),
        Trouble(three, "shop.resize", CANCELLED, IfFailed.FAIL),
    ]
    assert settled.standings == (Standing(batch_id, 4, 1, 1, 1, 1, troubles=tuple(troubles)),)
    assert settled.busy == frozenset()
    assert row_of(batch_id) == (4, 1, 1, 1, 1)
    assert BatchJob.objects.get(job_id=four).state == ""


def test_each_job_counts_once_with_its_first_end(engine, album):
    batch_id, (one, two) = album.batch(2)
    engine.settle({one: FAILED})
    assert engine.settle({one: DONE}).standings == ()
    engine.settle({one: DONE, two: DONE})
    assert row_of(batch_id) == (2, 0, 1, 1, 0)


def test_jobs_in_no_batch_and_jobs_of_a_batch_that_is_gone_are_nobodys(engine, album):
    batch_id, (one,) = album.batch(1)
    Batch.objects.filter(pk=batch_id).delete()
    settled = engine.settle({one: DONE, 4711: DONE})
    assert (settled.standings, settled.busy) == ((), frozenset())


def test_a_finished_batch_is_still_counted_but_not_reported(engine, album):
    batch_id, (one, _) = album.batch(2)
    engine.finish_batches([batch_id], NOON)
    assert engine.settle({one: DONE}).standings == ()
    assert row_of(batch_id) == (2, 1, 1, 0, 0)


def test_a_finished_batch_cannot_be_held(engine, album):
    batch_id, _ = album.batch(2)
    assert engine.hold_batch(batch_id) == BatchJob.objects.latest("id").pk
    engine.finish_batches([batch_id], NOON)
    assert engine.hold_batch(batch_id) is None
    assert engine.hold_batch(4711) is None


def test_only_what_was_added_since_is_counted(engine, album):
    batch_id, _ = album.batch(2)
    newest = engine.hold_batch(batch_id)
    album.add(batch_id, 3)
    assert engine.count_members(batch_id, newest) == Standing(batch_id, 5, 5, 0, 0, 0)


def test_who_is_a_member_already_is_added_once_and_watched(engine, scene, album):
    batch_id, (one, *_) = album.batch(1)
    (other,) = scene.enqueue()
    old = [Member(pk, "shop.resize", fresh=False) for pk in (one, other, other)]
    engine.add_members(batch_id, old)
    assert list(BatchJob.objects.values_list("job_id", flat=True)) == [one, other]
    assert job_of(other).watched


def test_callbacks_are_read_back_as_they_were_written(engine):
    batch_id = engine.open_batch("album", now=NOON)
    wait = WaitFor("order/paid", Match.of([("id", 7)]))
    late = CALLBACK._replace(later=Later(5.0), cancels=(wait,), unique_key=None)
    fixed = CALLBACK._replace(later=Later(instant=LATER))
    for on, job in [("finish", CALLBACK), ("success", late), ("failure", fixed), ("finish", late)]:
        engine.add_callback(batch_id, Callback(on, job))
    found = engine.callbacks_of(batch_id, ["success", "finish"])
    assert [(each.on, each.job) for each in found] == [
        ("finish", CALLBACK),
        ("success", late),
        ("finish", late),
    ]
    assert engine.callbacks_of(batch_id, ["failure"])[0].job == fixed
    engine.note_called({found[0].id: 17})
    assert [each.id for each in engine.callbacks_of(batch_id, ["finish"])] == [found[2].id]


def test_a_waiting_parent_is_let_go_once(engine, scene, album):
    parent_id, batch_id, (one,) = album.flow(1)
    assert job_of(parent_id).state == State.WAITING
    assert engine.promote(10, LATER) == set()
    (standing,) = engine.settle({one: DONE}).standings
    assert (standing.parent_id, standing.parent_waits) == (parent_id, True)
    assert engine.let_go([parent_id], LATER) == {"default"}
    assert (job_of(parent_id).state, job_of(parent_id).run_at) == (State.READY, LATER)
    scene.claim(now=LATER)
    engine.let_go([parent_id], LATER)
    assert job_of(parent_id).state == State.RUNNING
    assert Batch.objects.get(pk=batch_id).finished_at is None


def test_a_waiting_parent_fails_with_a_run_that_says_why(engine, album):
    parent_id, *_ = album.flow(1)
    engine.fail_waiting({parent_id: "child #9 failed: " + "x" * 300}, LATER)
    engine.fail_waiting({parent_id: "child #10 failed"}, LATER)
    row, run = job_of(parent_id), JobRun.objects.get()
    assert (row.state, row.finished_at, row.waiting_for) == (State.FAILED, LATER, None)
    assert (run.error_type, len(run.error), len(run.error_text)) == ("child failed", 255, 317)
    assert (run.fingerprint, row.fingerprint) == ("child-failed", "child-failed")
    assert Event.objects.get().name == "django_jobs/job.failed"


def test_a_parent_that_does_not_wait_is_reported_so(engine, album):
    parent_id, _, (one, two) = album.flow(2)
    engine.move([parent_id], CANCELLED, [State.WAITING], NOON)
    assert not engine.settle({one: DONE}).standings[0].parent_waits
    Job.objects.filter(pk=parent_id).delete()
    assert not engine.settle({two: DONE}).standings[0].parent_waits


def test_cancelling_below_a_parent_leaves_what_runs(engine, scene, album):
    parent_id, _, (one, two) = album.flow(2)
    scene.claim(1)
    below = engine.cancel_below([parent_id], LATER)
    assert (below.queues, below.left) == ({"default"}, frozenset())
    assert [job_of(one).state, job_of(two).state] == [State.RUNNING, CANCELLED]
    assert engine.cancel_below([parent_id], LATER).queues == frozenset()
    assert Event.objects.get().job_id == two


def test_a_full_page_of_children_leaves_the_parent_for_the_next_time(engine, album, monkeypatch):
    monkeypatch.setattr("django_jobs.engines.orm.waking.PAGE", 2)
    parent_id, _, ids = album.flow(3)
    assert engine.cancel_below([parent_id], LATER).left == {parent_id}
    assert engine.cancel_below([parent_id], LATER).left == frozenset()
    assert {job_of(pk).state for pk in ids} == {CANCELLED}


def test_a_retried_parent_waits_only_for_children_that_live(engine, scene, album):
    parent_id, batch_id, (one, two) = album.flow(2)
    engine.settle({one: FAILED, two: DONE})
    engine.move([one, two], CANCELLED, [State.READY], NOON)
    engine.finish_batches([batch_id], NOON)
    engine.move([parent_id], CANCELLED, [State.WAITING], NOON)
    engine.move([parent_id], State.READY, [CANCELLED], LATER)
    assert engine.reopen_flows([parent_id], LATER) == set()
    assert job_of(parent_id).state == State.READY
    engine.move([one], State.READY, [CANCELLED], LATER)
    assert engine.reopen_flows([parent_id], LATER) == {parent_id}
    assert (job_of(parent_id).state, job_of(parent_id).run_at) == (State.WAITING, NEVER)
    assert row_of(batch_id) == (2, 1, 1, 0, 0)
    assert Batch.objects.get().finished_at is None


def test_forgotten_members_are_told_again_page_by_page(engine, scene, album):
    _, ids = album.batch(3)
    Job.objects.filter(pk=ids[0]).delete()
    engine.move([ids[2]], CANCELLED, [State.READY], NOON)
    Event.objects.all().delete()
    told, last = engine.forgotten_members(0, 2)
    assert (told, last) == (1, BatchJob.objects.order_by("id")[1].pk)
    assert engine.forgotten_members(last, 2) == (1, 0)
    names = Event.objects.order_by("job_id").values_list("job_id", "name", "is_heard")
    assert list(names) == [
        (ids[0], "django_jobs/job.cancelled", True),
        (ids[2], "django_jobs/job.cancelled", True),
    ]
    assert engine.forgotten_members(0, 10) == (0, 0), "they are about to be handed out"


def test_stalled_batches_are_those_without_pending_jobs(engine, album):
    album.batch(1)
    empty, over = engine.open_batch("empty", now=NOON), engine.open_batch("over", now=NOON)
    engine.finish_batches([over], NOON)
    assert [each.batch_id for each in engine.stalled_batches(10)] == [empty]


def test_old_batches_are_pruned_but_no_flow_whose_parent_is_there(engine, album):
    batch_id, _ = album.batch(3)
    engine.add_callback(batch_id, Callback("finish", CALLBACK))
    parent_id, flow_id, _ = album.flow(1)
    unfinished, _ = album.batch(1)
    engine.finish_batches([batch_id, flow_id], NOON)
    assert engine.prune_batches(NOON, 10) == 0
    assert engine.prune_batches(LATER, 2) == 0, "first its members, two at a time"
    assert engine.prune_batches(LATER, 2) == 1
    assert set(Batch.objects.values_list("pk", flat=True)) == {flow_id, unfinished}
    assert not BatchCallback.objects.exists()
    assert BatchJob.objects.count() == 2
    Job.objects.filter(pk=parent_id).delete()
    assert engine.prune_batches(LATER, 10) == 1
    assert BatchJob.objects.count() == 1


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
    assert Relay().run(engine).count == 2
    assert Batch.objects.get(pk=free_id).finished_at is not None
    assert row_of(locked_id)[1] == 5
    adder.rollback()
    while Relay().run(engine).more:
        pass
    assert row_of(locked_id)[1] == 0


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
    assert Relay().run(engine).count == 1
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
