"""Cancelling by events, and below a cancelled job: what has begun is asked, the rest is cancelled."""

import pytest

from django_jobs.models import Event, Job, Wait
from django_jobs.states import State
from tests.engines.rivals import DEADLINE, until, waits_for_lock
from tests.engines.scenes import LATER, NOON, job_of
from tests.engines.waits import (
    PAID,
    cancelled_by,
    hand_out,
    sent,
    suspended,
    told,
    wait_for,
    waits,
)


def test_what_an_event_cancels_is_cancelled_or_asked_to_stop(engine, scene):
    (waiting,) = suspended(scene)
    (running,) = cancelled_by(scene)
    (ready,) = cancelled_by(scene, run=False)
    engine.let_cancel(waiting.job_id, [wait_for()], NOON)
    sent(engine)
    woken = hand_out(engine)
    assert woken.asked_to_stop
    assert woken.queues == frozenset()
    assert job_of(ready).state == job_of(waiting).state == State.CANCELLED
    assert job_of(waiting).waiting_for is None
    assert (job_of(running).state, job_of(running).cancel_requested_at) == (State.RUNNING, LATER)
    assert not waits()
    assert Event.objects.get(job_id=None).woken == 4


def test_what_has_ended_is_cancelled_by_nothing(engine, scene):
    (hold,) = scene.run(1)
    engine.let_cancel(hold.job_id, [wait_for()], NOON)
    scene.finish(hold)
    sent(engine)
    hand_out(engine)
    assert job_of(hold).state == State.SUCCESSFUL
    assert not waits()


def test_what_cancels_a_job_is_written_anew(engine, scene):
    (changed,), (emptied,), (other,) = (scene.enqueue() for _ in range(3))
    for job_id in (changed, emptied, other):
        engine.let_cancel(job_id, [wait_for(order=1), wait_for("shop/closed")], NOON)
    engine.let_cancel_anew({changed: [wait_for(order=2)], emptied: []}, LATER)
    found = {
        job_id: list(Wait.objects.filter(job_id=job_id).order_by("event").values_list("event"))
        for job_id in (changed, emptied, other)
    }
    assert found == {changed: [(PAID,)], emptied: [], other: [(PAID,), ("shop/closed",)]}
    wait = Wait.objects.get(job_id=changed)
    assert (wait.cancels, wait.key, wait.since) == (True, f"!{PAID}", LATER)
    sent(engine, order=1)
    hand_out(engine)
    assert [job_of(each).state for each in (changed, other)] == [State.READY, State.CANCELLED]
    sent(engine, order=2)
    hand_out(engine)
    assert job_of(changed).state == State.CANCELLED
    assert ("cancelled", changed) in told()  # so that what cancels it is forgotten with its end


def test_steps_that_wait_stay_where_what_cancels_a_job_is_written_anew(engine, scene):
    (hold,) = suspended(scene)
    engine.let_cancel_anew({hold.job_id: [wait_for()]}, LATER)
    assert set(Wait.objects.values_list("key", flat=True)) == {"payment", f"!{PAID}"}


def test_only_what_has_ended_and_stays_so_is_cancelled_by_nothing(engine, scene):
    done, again, live = scene.run(3)
    for hold in (done, again, live):
        engine.let_cancel(hold.job_id, [wait_for()], NOON)
    scene.finish(done, again)
    engine.move([again.job_id], State.READY, [State.SUCCESSFUL], LATER)
    (gone,) = cancelled_by(scene, run=False)
    Job.objects.filter(pk=gone).delete()
    engine.forget_cancellations([done.job_id, again.job_id, live.job_id, gone])
    assert waits() == {again.job_id, live.job_id}


@pytest.mark.postgresql
@pytest.mark.parametrize("first", ["the relay", "the operator"])
@pytest.mark.django_db(transaction=True)
def test_a_relay_that_forgets_takes_nothing_away_from_a_retry_at_the_same_time(
    engine, scene, rival, first
):
    (hold,) = scene.run(1)
    engine.let_cancel(hold.job_id, [wait_for()], NOON)
    scene.finish(hold)
    other = rival()

    def retry():
        with other.engine.transaction():
            other.engine.move([hold.job_id], State.READY, [State.SUCCESSFUL], LATER)
            other.engine.let_cancel_anew({hold.job_id: [wait_for()]}, LATER)

    def forget():
        other.engine.forget_cancellations([hold.job_id])

    with engine.transaction():
        if first == "the relay":
            engine.forget_cancellations([hold.job_id])
        else:
            engine.move([hold.job_id], State.READY, [State.SUCCESSFUL], LATER)
            engine.let_cancel_anew({hold.job_id: [wait_for()]}, LATER)
        pid = other.pid
        second = other.start(retry if first == "the relay" else forget)
        until(lambda: waits_for_lock(pid), "the second to wait")
    second.result(DEADLINE)
    assert waits() == {hold.job_id}


def test_the_cancellation_of_one_that_was_watched_is_told(engine, scene):
    (job_id,) = cancelled_by(scene, run=False, watched=True)
    sent(engine)
    hand_out(engine)
    (event,) = Event.objects.filter(handed_out_at=None)
    assert (event.name, event.job_id) == ("django_jobs/job.cancelled", job_id)


def test_below_a_cancelled_job_those_are_cancelled_that_have_not_begun(engine, scene):
    parent = scene.run_one()
    running = scene.run_one()
    ids = {
        "waiting": suspended(scene)[0].job_id,
        "ready": scene.enqueue(queue="mail", watched=True)[0],
        "scheduled": scene.enqueue(watched=True)[0],
        "running": running.job_id,
        "done": scene.enqueue()[0],
    }
    Job.objects.filter(pk=ids["scheduled"]).update(state=State.SCHEDULED)
    Job.objects.filter(pk=ids["done"]).update(state=State.SUCCESSFUL, finished_at=NOON)
    for name, child in ids.items():
        engine.add_wait(parent.job_id, name, wait_for(child=child), now=NOON)
    engine.add_wait(parent.job_id, "event", wait_for(), now=NOON)
    with engine.transaction():
        below = engine.cancel_below([parent.job_id], LATER)
    assert below.queues == {"mail", "default"}
    states = {name: job_of(child).state for name, child in ids.items()}
    assert states == {
        "ready": State.CANCELLED,
        "scheduled": State.CANCELLED,
        "waiting": State.CANCELLED,
        "running": State.RUNNING,
        "done": State.SUCCESSFUL,
    }
    assert job_of(ids["ready"]).finished_at == LATER
    assert job_of(running).cancel_requested_at is None
    told = set(Event.objects.values_list("name", "job_id"))
    assert told == {("django_jobs/job.cancelled", ids[name]) for name in ("ready", "scheduled")}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_below_a_cancelled_job_a_locked_one_is_left_alone(engine, scene, rival):
    parent = scene.run_one()
    (child,) = scene.enqueue()
    engine.add_wait(parent.job_id, "child", wait_for(child=child), now=NOON)
    with rival().holding("django_jobs_job", child), engine.transaction():
        assert engine.cancel_below([parent.job_id], LATER).left == {parent.job_id}
    assert job_of(child).state == State.READY
