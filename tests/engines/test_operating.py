"""Promises of `move`, `ask_to_stop` and `take`."""

import pytest
from django.db import IntegrityError

from django_jobs.engines.base import Finish
from django_jobs.models import Job, JobRun
from django_jobs.states import FINAL, Later, RunOutcome, State
from tests.engines.rivals import until, waits_for_lock
from tests.engines.scenes import (
    FAILURE,
    LATER,
    LEASE,
    NOON,
    RETRY,
    SUCCESS,
    SUSPENSION,
    claim_of,
    job_of,
    run_of,
)


def force(scene, *holds, to=State.CANCELLED, outcome=RunOutcome.CANCELLED):
    return scene.engine.take([hold.job_id for hold in holds], to, outcome, LATER)


def test_a_retry_starts_over_and_keeps_the_history(scene):
    hold = scene.run_one()
    scene.engine.ask_to_stop([hold.job_id], NOON)
    Job.objects.update(lost_count=2, unknown_since=NOON)
    scene.finish(hold, end=FAILURE, now=NOON)
    assert scene.engine.move([hold.job_id], State.READY, FINAL, LATER) == {hold.job_id}
    job = job_of(hold)
    assert (job.state, job.run_at, job.finished_at) == (State.READY, LATER, None)
    assert (job.attempt, job.lost_count, job.fingerprint) == (0, 0, "")
    assert (job.cancel_requested_at, job.unknown_since) == (None, None)
    assert run_of(hold).outcome == "failed"


def test_a_scheduled_job_can_be_run_now_without_starting_over(scene):
    hold = scene.run_one()
    scene.finish(hold, end=RETRY, now=NOON)
    assert scene.engine.move([hold.job_id], State.READY, [State.SCHEDULED], LATER)
    job = job_of(hold)
    assert (job.state, job.run_at, job.attempt) == (State.READY, LATER, 1)
    assert job.fingerprint == "f1"


def test_waiting_kinds_can_be_cancelled(scene):
    ready, scheduled = scene.enqueue() + scene.enqueue(later=Later(60.0))
    waiting = scene.run_one()
    scene.finish(waiting, end=SUSPENSION, now=NOON)
    ids = [ready, scheduled, waiting.job_id]
    states = [State.READY, State.SCHEDULED, State.WAITING]
    assert scene.engine.move(ids, State.CANCELLED, states, LATER) == set(ids)
    for pk in ids:
        job = job_of(pk)
        assert (job.state, job.finished_at, job.waiting_for) == (State.CANCELLED, LATER, None)
    assert not JobRun.objects.exists()


def test_only_jobs_in_the_allowed_states_are_moved(scene):
    (ready,) = scene.enqueue()
    assert scene.engine.move([ready, 999_999], State.CANCELLED, [State.SCHEDULED], LATER) == set()
    assert scene.engine.move([], State.CANCELLED, [State.READY], LATER) == set()
    assert job_of(ready).state == State.READY


def test_a_running_job_is_never_moved(scene):
    hold = scene.run_one()
    assert scene.engine.move([hold.job_id], State.CANCELLED, list(State), LATER) == set()
    assert job_of(hold).claim_id == hold.claim_id


def test_a_second_click_on_retry_finds_nothing(scene):
    hold = scene.run_one()
    scene.finish(hold, end=FAILURE)
    assert scene.engine.move([hold.job_id], State.READY, FINAL, LATER)
    assert scene.engine.move([hold.job_id], State.READY, FINAL, LATER) == set()


def test_a_retry_is_refused_whole_when_the_unique_key_is_taken(scene):
    (cancelled,) = scene.enqueue(unique_key="k")
    (other,) = scene.enqueue()
    ids = [cancelled, other]
    scene.engine.move(ids, State.CANCELLED, [State.READY], NOON)
    scene.enqueue(unique_key="k")
    with pytest.raises(IntegrityError):
        scene.engine.move(ids, State.READY, FINAL, LATER)
    assert {job_of(pk).state for pk in ids} == {State.CANCELLED}


def test_a_request_to_stop_is_on_the_job_and_on_its_claim(scene):
    first, second = scene.run(2)
    other = scene.run_one()
    wanted = [second.job_id, other.job_id]
    assert scene.engine.ask_to_stop(wanted, NOON) == set(wanted)
    assert scene.engine.ask_to_stop(wanted, LATER) == set(wanted)
    assert job_of(second).cancel_requested_at == job_of(other).cancel_requested_at == NOON
    assert job_of(first).cancel_requested_at is None
    assert claim_of(first).cancel_ids == [second.job_id]
    assert claim_of(other).cancel_ids == [other.job_id]
    assert job_of(second).state == State.RUNNING


def test_a_request_to_stop_a_job_that_does_not_run_is_not_recorded(scene):
    hold = scene.run_one()
    scene.finish(hold, end=RETRY)
    (ready,) = scene.enqueue()
    assert scene.engine.ask_to_stop([hold.job_id, ready, 999_999], NOON) == set()
    assert not Job.objects.filter(cancel_requested_at__isnull=False).exists()


def test_a_job_cancelled_by_force_is_told_to_its_worker_and_its_finish_is_fenced(scene):
    taken, kept = scene.run(2, worker="web-1")
    assert force(scene, taken) == {taken.job_id}
    job, run = job_of(taken), run_of(taken)
    assert (job.state, job.claim_id, job.attempt) == (State.CANCELLED, None, 1)
    assert job.finished_at == LATER
    assert (run.outcome, run.attempt, run.worker) == ("cancelled", 1, "web-1")
    assert (run.started_at, run.finished_at) == (NOON, LATER)
    assert run.error_type == "taken away"
    assert run.error == "Taken away from worker web-1 by force; the job was cancelled."
    answer = scene.engine.extend([kept.claim_id], LEASE, LATER)[kept.claim_id]
    assert answer.job_ids == {kept.job_id}
    assert scene.finish(taken, kept).fenced == {taken}
    assert run_of(taken).fenced_at == LATER


def test_a_requeued_job_gets_its_attempt_back_and_forgets_the_request(scene):
    hold = scene.run_one()
    scene.engine.ask_to_stop([hold.job_id], NOON)
    assert force(scene, hold, to=State.READY, outcome=RunOutcome.LOST) == {hold.job_id}
    job = job_of(hold)
    assert (job.state, job.claim_id, job.attempt) == (State.READY, None, 0)
    assert (job.run_at, job.finished_at, job.cancel_requested_at) == (LATER, None, None)
    assert (run_of(hold).outcome, run_of(hold).attempt) == ("lost", 1)
    assert claim_of(hold).job_ids == []


def test_only_running_jobs_can_be_taken(scene):
    hold = scene.run_one()
    scene.finish(hold)
    assert force(scene, hold) == set()
    assert JobRun.objects.get().outcome == "successful"


def test_jobs_are_taken_even_when_their_claim_row_is_gone(scene):
    hold = scene.run_one()
    claim_of(hold).delete()
    assert force(scene, hold) == {hold.job_id}
    assert (run_of(hold).outcome, run_of(hold).worker) == ("cancelled", "")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_request_keeps_what_an_open_transaction_wrote_to_the_claim(scene, rival):
    first, second = scene.run(2)
    one, two = rival(), rival()
    pid = two.pid
    one.begin()
    one.verb("ask_to_stop", [first.job_id], NOON)
    asking = two.start_verb("ask_to_stop", [second.job_id], NOON)
    until(lambda: waits_for_lock(pid), "the second request to wait for the claim")
    one.commit()
    assert asking.result(20) == {second.job_id}
    assert claim_of(first).cancel_ids == [first.job_id, second.job_id]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_two_forced_cancels_under_one_claim_leave_it_empty(scene, rival):
    first, second = scene.run(2)
    one, two = rival(), rival()
    pid = two.pid
    arguments = (State.CANCELLED, RunOutcome.CANCELLED, LATER)
    one.begin()
    one.verb("take", [first.job_id], *arguments)
    taking = two.start_verb("take", [second.job_id], *arguments)
    until(lambda: waits_for_lock(pid), "the second to wait for the claim")
    one.commit()
    assert taking.result(20) == {second.job_id}
    assert claim_of(first).job_ids == []


def finish_all(holds):
    return "finish", ([Finish(hold, SUCCESS, 1.0) for hold in holds[::-1]], "w1", LATER)


def ask_all(holds):
    return "ask_to_stop", ([hold.job_id for hold in holds[::-1]], NOON)


def take_all(holds):
    ids = [hold.job_id for hold in holds]
    return "take", (ids, State.CANCELLED, RunOutcome.CANCELLED, LATER)


def rescue_all(holds):
    return "rescue", (100, LATER)


TRIO = [
    (finish_all, rescue_all),
    (take_all, rescue_all),
    (finish_all, ask_all),
    (ask_all, take_all),
]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("first", "second"), TRIO)
def test_verbs_that_meet_on_the_same_jobs_never_deadlock(scene, rival, first, second):
    sessions = [rival(), rival()]
    for session in sessions:
        session.sql("SET deadlock_timeout = '100ms'")
    for _ in range(5):
        holds = scene.run(10) + scene.run(10)
        scene.expire_all()
        calls = [first(holds), second(holds)]
        futures = [
            session.start_verb(name, *arguments)
            for session, (name, arguments) in zip(sessions, calls, strict=True)
        ]
        for future in futures:
            future.result(20)
        assert not JobRun.objects.filter(job_id=holds[0].job_id).count() > 1
        Job.objects.filter(state=State.READY).delete()
