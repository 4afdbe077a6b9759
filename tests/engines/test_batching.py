"""Promises of the verbs about batches: what is added is counted, and each job counts once."""

from django_jobs.engines.batches import Callback, Member, Standing, Trouble
from django_jobs.engines.endings import NEVER
from django_jobs.engines.events import WaitFor
from django_jobs.models import Batch, BatchCallback, BatchJob, Event, Job, JobRun
from django_jobs.states import IfFailed, Later, State
from django_jobs.subscriptions import Match
from tests.engines.albums import CALLBACK, CANCELLED, DONE, FAILED, row_of
from tests.engines.scenes import LATER, NOON, job_of


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
