"""Waking: an event ends the steps that wait for it, once each, and no job waits in vain."""

import pytest

from django_jobs.engines.events import Delivery, Woken
from django_jobs.engines.steps import StepRecord
from django_jobs.models import Event, Job, Wait
from django_jobs.states import State, StepState
from tests.engines.rivals import DEADLINE, until, waits_for_lock
from tests.engines.scenes import FAILURE, LATER, RETRY, SUCCESS, Scene, job_of
from tests.engines.waits import (
    ENDLESS,
    begin_wait,
    cancelled_by,
    hand_out,
    pending_events,
    sent,
    step_of,
    suspended,
    wait_for,
    waits,
)

races = pytest.mark.django_db(transaction=True)


def test_an_event_ends_the_step_makes_the_job_ready_and_the_wait_goes(engine, scene):
    (hold,) = suspended(scene, queue="mail")
    event = sent(engine)
    woken = hand_out(engine)
    assert woken.queues == {"mail"}
    assert (woken.done, woken.ended) == ({event}, 1)
    job, step = job_of(hold), step_of(hold)
    assert (job.state, job.run_at, job.waiting_for) == (State.READY, LATER, None)
    assert not job.woken
    assert (step.state, step.result, step.wake_at) == (StepState.DONE, f'{{"id": {event}}}', None)
    assert not waits()
    row = Event.objects.get()
    assert (row.woken, row.handed_out_at) == (1, LATER)


def test_an_event_is_compared_with_all_that_a_step_wants(engine, scene):
    ids = {}
    for match in ({}, {"a": 1}, {"a": 1, "b": "x"}, {"a": 2}, {"b.c": None}, {"a": True}):
        (hold,) = suspended(scene, wait=wait_for(**match))
        ids[hold.job_id] = match
    suspended(scene, wait=wait_for("order/sent"))
    sent(engine, a=1.0, b="x")
    hand_out(engine)
    ready = set(Job.objects.filter(state=State.READY).values_list("pk", flat=True))
    assert [ids[pk] for pk in sorted(ready)] == [{}, {"a": 1}, {"a": 1, "b": "x"}]


def test_an_error_is_delivered_as_a_failed_step(engine, scene):
    (hold,) = suspended(scene)
    sent(engine)
    with engine.transaction():
        (event,) = engine.take_events(1)
        engine.wake([Delivery(event, None, "JobFailed", "job #7 failed: " + "x" * 300)], LATER)
    step = step_of(hold)
    assert (step.state, step.error_type, len(step.error)) == (StepState.FAILED, "JobFailed", 255)
    assert job_of(hold).state == State.READY


def test_of_several_events_in_one_page_a_wait_gets_the_first_it_can_have(engine, scene):
    first = sent(engine)
    second = sent(engine)
    (plain,) = suspended(scene)
    (choosy,) = suspended(scene, wait=wait_for(had=[first]))
    woken = hand_out(engine)
    assert woken.done == {first, second}
    assert step_of(plain).result == f'{{"id": {first}}}'
    assert step_of(choosy).result == f'{{"id": {second}}}'


def test_an_event_that_the_job_has_had_does_not_end_its_wait(engine, scene):
    event = sent(engine)
    (hold,) = suspended(scene, wait=wait_for(had=[event]))
    assert hand_out(engine).done == {event}
    assert waits() == {hold.job_id}
    assert step_of(hold).state == StepState.WAITING


def test_two_steps_of_one_job_never_get_the_same_event(engine, scene):
    hold = scene.run_one()
    begin_wait(scene, hold, key="one")
    begin_wait(scene, hold, wait_for(a=1), key="two")
    scene.finish(hold, end=ENDLESS)
    first = sent(engine, a=1)
    assert hand_out(engine).ended == 1
    assert (step_of(hold, "one").state, step_of(hold, "two").state) == ("done", "waiting")
    assert Wait.objects.get().had == [first]
    second = sent(engine, a=1)
    assert hand_out(engine).ended == 1
    results = [step_of(hold, key).result for key in ("one", "two")]
    assert results == [f'{{"id": {first}}}', f'{{"id": {second}}}']


def test_two_steps_of_one_job_get_an_event_each_from_one_page(engine, scene):
    hold = scene.run_one()
    begin_wait(scene, hold, key="one")
    begin_wait(scene, hold, key="two")
    first, second = sent(engine), sent(engine)
    assert hand_out(engine).done == {first, second}
    results = [step_of(hold, key).result for key in ("one", "two")]
    assert results == [f'{{"id": {first}}}', f'{{"id": {second}}}']


def test_a_job_that_still_runs_is_ready_when_it_is_suspended(engine, scene):
    hold = scene.run_one()
    begin_wait(scene, hold)
    event = sent(engine)
    woken = hand_out(engine)
    assert (woken.done, woken.queues) == ({event}, frozenset())
    assert (job_of(hold).state, job_of(hold).woken) == (State.RUNNING, True)
    assert step_of(hold).state == StepState.DONE
    scene.finish(hold, end=ENDLESS)
    job = job_of(hold)
    assert (job.state, job.run_at, job.waiting_for) == (State.READY, LATER, None)
    assert not job.woken


@pytest.mark.parametrize(
    ("end", "state"),
    [(SUCCESS, State.SUCCESSFUL), (FAILURE, State.FAILED), (RETRY, State.SCHEDULED)],
)
def test_having_been_woken_changes_no_other_end(engine, scene, end, state):
    hold = scene.run_one()
    begin_wait(scene, hold)
    sent(engine)
    hand_out(engine)
    scene.finish(hold, end=end)
    job = job_of(hold)
    assert (job.state, job.woken) == (state, False)
    if state == State.SCHEDULED:
        assert job.run_at > LATER


def test_a_woken_job_that_was_asked_to_stop_is_cancelled(engine, scene):
    hold = scene.run_one()
    begin_wait(scene, hold)
    sent(engine)
    hand_out(engine)
    engine.ask_to_stop([hold.job_id], LATER)
    scene.finish(hold, end=ENDLESS)
    assert (job_of(hold).state, job_of(hold).waiting_for) == (State.CANCELLED, None)


def test_one_that_is_ready_by_its_time_stays_so_and_its_step_has_the_event(engine, scene):
    (hold,) = suspended(scene)
    engine.promote(10, LATER.replace(hour=20))
    sent(engine)
    assert hand_out(engine).queues == frozenset()
    assert (job_of(hold).state, step_of(hold).state) == (State.READY, StepState.DONE)


def test_of_a_job_that_was_deleted_only_the_wait_goes(engine, scene):
    suspended(scene)
    Job.objects.all().delete()
    event = sent(engine)
    woken = hand_out(engine)
    assert (woken.done, woken.queues) == ({event}, frozenset())
    assert not waits()
    assert Event.objects.get().woken == 0


@pytest.mark.postgresql
@races
class TestBesideOtherSessions:
    """Each with real sessions that hold real locks."""

    @pytest.fixture(autouse=True)
    def _waits_not_for_ever(self, engine):
        """Let a verb that waits where it must not fail instead."""
        with engine.connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
            yield
            cursor.execute("RESET lock_timeout")

    def test_a_locked_job_is_not_waited_for_and_has_its_event_later(self, engine, scene, rival):
        locked, free = suspended(scene, 2)
        event = sent(engine)
        with rival().holding("django_jobs_job", locked.job_id):
            woken = hand_out(engine)
            assert (woken.ended, woken.done) == (1, frozenset())
            assert waits() == {locked.job_id}
            assert pending_events() == [event]
            assert job_of(free).state == State.READY
            assert step_of(locked).state == StepState.WAITING
        woken = hand_out(engine)
        assert (woken.ended, woken.done) == (1, {event})
        assert job_of(locked).state == State.READY
        assert Event.objects.get().woken == 2

    def test_a_locked_claim_is_not_waited_for_and_its_job_is_asked_later(
        self, engine, scene, rival
    ):
        (job_id,) = cancelled_by(scene)
        (other,) = cancelled_by(scene, run=False)
        event = sent(engine)
        operator = rival()
        with operator.holding("django_jobs_claim", job_of(job_id).claim_id):
            worker = rival()
            woken = worker.do(lambda: hand_out(worker.engine))
            assert (woken.ended, woken.done) == (1, frozenset())
            assert not woken.asked_to_stop
            assert waits() == {job_id}
            assert job_of(other).state == State.CANCELLED
        assert hand_out(engine).done == {event}
        assert job_of(job_id).cancel_requested_at == LATER

    def test_a_wake_that_commits_first_beats_the_suspension(self, engine, scene, rival):
        hold = scene.run_one()
        begin_wait(scene, hold)
        sent(engine)
        worker = rival()
        with engine.transaction():
            hand_out(engine)
            pid = worker.pid
            finishing = worker.start(lambda: _suspend(worker.engine, hold))
            if type(engine).__name__ != "ORMEngine":  # which waits for no lock
                until(lambda: waits_for_lock(pid), "the finish to wait")
        finished = finishing.result(DEADLINE)
        if finished.busy:
            finished = worker.do(lambda: _suspend(worker.engine, hold))
        assert finished.applied == {hold}
        assert (job_of(hold).state, job_of(hold).woken) == (State.READY, False)

    def test_a_suspension_that_commits_first_is_woken(self, engine, scene, rival):
        hold = scene.run_one()
        begin_wait(scene, hold)
        event = sent(engine)
        worker = rival()
        worker.begin()
        worker.do(lambda: _suspend(worker.engine, hold))
        assert hand_out(engine).done == frozenset()
        worker.commit()
        assert job_of(hold).state == State.WAITING
        assert hand_out(engine).done == {event}
        assert (job_of(hold).state, job_of(hold).woken) == (State.READY, False)

    def test_two_relays_with_two_events_give_a_wait_one_of_them(self, engine, scene, rival):
        (hold,) = suspended(scene)
        first, second = sent(engine), sent(engine)
        other = rival()
        with engine.transaction():
            hand_out(engine, 1)
            woken = other.do(lambda: hand_out(other.engine, 1))
            assert (woken.ended, woken.done) == (0, frozenset())  # the job is locked
        assert step_of(hold).result == f'{{"id": {first}}}'
        assert pending_events() == [second]
        assert hand_out(engine).ended == 0
        assert step_of(hold).result == f'{{"id": {first}}}'
        assert [event.woken for event in Event.objects.order_by("pk")] == [1, 0]

    def test_two_relays_with_one_event_hand_it_out_once(self, engine, scene, rival):
        suspended(scene, 3)
        sent(engine)
        other = rival()
        with engine.transaction():
            assert hand_out(engine).ended == 3
            assert other.do(lambda: hand_out(other.engine)) == Woken(frozenset(), frozenset())
        assert other.do(lambda: hand_out(other.engine)).ended == 0
        assert Event.objects.get().woken == 3

    def test_a_step_that_ends_by_its_time_meanwhile_is_not_ended_again(self, engine, scene, rival):
        hold = scene.run_one()
        begin_wait(scene, hold)
        event = sent(engine)
        job = rival()
        job.begin()
        job.do(lambda: _time_out(job.engine, hold))
        assert hand_out(engine).done == frozenset()
        job.commit()
        assert hand_out(engine).done == {event}
        assert step_of(hold).result == "null"
        assert not job_of(hold).woken

    def test_a_wait_that_ends_between_the_look_and_the_lock_is_not_ended_again(
        self, engine, scene, rival
    ):
        hold = scene.run_one()
        begin_wait(scene, hold)
        event = sent(engine)
        job = rival()
        job.begin()
        job.do(lambda: _time_out(job.engine, hold))

        def commit_before_the_lock(execute, sql, params, many, context):
            if "FOR NO KEY UPDATE" in sql and '"django_jobs_job"' in sql and job.is_open:
                job.commit()
            return execute(sql, params, many, context)

        with engine.connection.execute_wrapper(commit_before_the_lock):
            woken = hand_out(engine)
        assert (woken.ended, woken.done) == (0, {event})
        assert step_of(hold).result == "null"
        assert not job_of(hold).woken

    def test_a_step_that_is_woken_meanwhile_does_not_end_by_its_time(self, engine, scene, rival):
        hold = scene.run_one()
        begin_wait(scene, hold)
        event = sent(engine)
        job = rival()
        with engine.transaction():
            hand_out(engine)
            pid = job.pid
            ending = job.start(lambda: _time_out(job.engine, hold))
            until(lambda: waits_for_lock(pid), "the step to wait")
        assert ending.result(DEADLINE) is None
        assert step_of(hold).result == f'{{"id": {event}}}'


def _suspend(engine, hold):
    return Scene(engine).finish(hold, end=ENDLESS)


def _time_out(engine, hold):
    with engine.undoable():
        saved = engine.save_step(
            hold, StepRecord("payment", 1, StepState.DONE, result="null"), first=False, now=LATER
        )
        if saved:
            engine.forget_wait(hold.job_id, "payment")
        return saved
