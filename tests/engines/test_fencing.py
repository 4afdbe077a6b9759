"""Promises of `finish`: which writes it refuses, and what it says about them."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_jobs.engines.base import Finish
from django_jobs.models import Job, JobRun
from django_jobs.states import RunOutcome, State, Stopped, after_run
from tests.engines.rivals import until, waits_for_lock
from tests.engines.scenes import (
    FAILURE,
    LATER,
    NOON,
    RETRY,
    SNOOZE,
    SUCCESS,
    SUSPENSION,
    job_of,
    run_of,
)


def by_rescue(scene, hold):
    scene.lose(now=NOON)


def by_release(scene, hold):
    scene.engine.release([hold], now=NOON)


def by_force(scene, hold):
    scene.engine.take([hold.job_id], State.CANCELLED, RunOutcome.CANCELLED, NOON)


def by_requeueing(scene, hold):
    scene.engine.take([hold.job_id], State.READY, RunOutcome.LOST, NOON)


def by_force_and_retry(scene, hold):
    by_force(scene, hold)
    scene.engine.move([hold.job_id], State.READY, [State.CANCELLED], NOON)


def by_rescue_and_claim(scene, hold):
    by_rescue(scene, hold)
    (job,) = scene.claim()
    assert (job.id, job.attempt) == (hold.job_id, 1)


def by_release_and_claim(scene, hold):
    by_release(scene, hold)
    scene.claim()


WAYS = [
    by_rescue,
    by_release,
    by_force,
    by_requeueing,
    by_force_and_retry,
    by_rescue_and_claim,
    by_release_and_claim,
]


@pytest.mark.parametrize(
    "end",
    [SUCCESS, RETRY, SUSPENSION, after_run(Stopped())],
    ids=["success", "retry", "suspend", "stop"],
)
@pytest.mark.parametrize("taken_away", WAYS)
def test_a_finish_after_the_job_was_taken_away_writes_nothing(scene, taken_away, end):
    hold = scene.run_one(worker="w1")
    taken_away(scene, hold)
    before = Job.objects.values().get()
    finished = scene.finish(hold, end=end)
    assert finished.fenced == {hold}
    assert not finished.applied | finished.busy
    assert Job.objects.values().get() == before
    assert set(JobRun.objects.values_list("fenced_at", flat=True)) <= {LATER}
    assert not JobRun.objects.exclude(error_type__in=["taken away", "worker lost"]).exists()


def test_a_late_finish_is_marked_on_the_run_that_was_lost_and_only_once(scene):
    hold, other = scene.run(2)
    scene.lose(now=NOON)
    scene.finish(hold, now=LATER)
    scene.finish(hold, now=LATER.replace(hour=20))
    assert (run_of(hold).outcome, run_of(hold).fenced_at) == ("lost", LATER)
    assert run_of(other).fenced_at is None


@pytest.mark.parametrize("end", [SUCCESS, FAILURE, RETRY, SNOOZE])
def test_a_repeated_finish_counts_as_applied_and_changes_nothing(scene, end):
    hold = scene.run_one()
    scene.finish(hold, end=end)
    before = Job.objects.values().get(), JobRun.objects.values().get()
    finished = scene.finish(hold, end=end, now=LATER.replace(hour=20))
    assert finished.applied == {hold}
    assert not finished.fenced | finished.busy
    assert (Job.objects.values().get(), JobRun.objects.values().get()) == before


def test_a_repeated_finish_counts_as_applied_when_it_became_a_cancel(scene):
    hold = scene.run_one()
    scene.engine.ask_to_stop([hold.job_id], NOON)
    scene.finish(hold, end=RETRY)
    assert scene.finish(hold, end=RETRY).applied == {hold}
    assert run_of(hold).fenced_at is None
    assert scene.finish(hold, end=SUCCESS).fenced == {hold}


def test_a_finish_of_a_job_that_never_was_is_fenced(scene):
    hold = scene.run_one()
    strange = hold._replace(job_id=hold.job_id + 1000)
    finished = scene.finish(hold, strange)
    assert (finished.applied, finished.fenced) == ({hold}, {strange})


def test_one_batch_may_hold_jobs_of_two_claims_of_which_one_is_lost(scene):
    lost, kept = scene.run_one(worker="w1"), scene.run_one(worker="w2")
    scene.lose(worker="w1", now=NOON)
    finished = scene.finish(kept, lost)
    assert (finished.applied, finished.fenced) == ({kept}, {lost})
    assert job_of(kept).state == State.SUCCESSFUL


def test_a_batch_may_hold_one_job_under_a_stale_and_a_current_claim(scene):
    stale = scene.run_one()
    scene.lose(now=NOON)
    (current,) = scene.claim()
    finished = scene.finish(stale, current.hold)
    assert (finished.applied, finished.fenced) == ({current.hold}, {stale})
    assert (run_of(stale).outcome, run_of(current.hold).outcome) == ("lost", "successful")


def set_lock_timeout():
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")


@pytest.fixture
def impatient():
    """Give up waiting for locks after 50 ms; the engine's own sessions do so after seconds."""
    set_lock_timeout()
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("inside", [False, True], ids=["autocommit", "transaction"])
def test_a_job_locked_by_an_operator_is_busy_and_its_neighbours_end(
    scene, rival, impatient, inside
):
    locked, free = scene.run(2)
    with rival().holding("django_jobs_job", locked.job_id):
        if inside:
            with transaction.atomic():
                finished = scene.finish(locked, free)
        else:
            finished = scene.finish(locked, free)
    assert (finished.applied, finished.busy) == ({free}, {locked})
    assert not finished.fenced
    assert scene.finish(locked).applied == {locked}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_locked_job_that_is_released_late_is_busy_and_its_neighbours_are_handed_back(
    scene, rival, impatient
):
    locked, free = scene.run(2)
    with rival().holding("django_jobs_job", locked.job_id):
        assert scene.engine.release([locked, free], now=LATER) == {free}
        assert scene.engine.still_held([locked, free]) == {locked}
    assert scene.engine.release([locked], now=LATER) == {locked}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_who_has_no_patience_waits_for_no_lock(scene, rival):
    locked, free, late = scene.run(3)
    ends = [Finish(hold, SUCCESS, 1.0) for hold in (locked, free)]
    with (
        rival().holding("django_jobs_job", locked.job_id),
        CaptureQueriesContext(connection) as sql,
    ):
        finished = scene.engine.finish(ends, "w1", LATER, patient=False)
        released = scene.engine.release([locked, late], patient=False, now=LATER)
    assert (finished.applied, finished.busy, released) == ({free}, {locked}, {late})
    writing = [query["sql"] for query in sql.captured_queries if "SET state" in query["sql"]]
    assert all("SKIP LOCKED" in text for text in writing)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("end", "state"), [(RETRY, "CANCELLED"), (SUCCESS, "SUCCESSFUL")])
def test_a_request_that_commits_while_the_finish_waits_is_heeded(scene, rival, end, state):
    hold = scene.run_one()
    operator, worker = rival(), rival()
    worker_pid = worker.pid
    operator.begin()
    assert operator.verb("ask_to_stop", [hold.job_id], NOON) == {hold.job_id}
    finishing = worker.start_verb("finish", [Finish(hold, end, 1.0)], "w1", LATER)
    until(lambda: finishing.done() or waits_for_lock(worker_pid), "the finish to meet the lock")
    operator.commit()
    finished = finishing.result(20)
    if finished.busy:  # an engine that never waits comes again
        finished = worker.verb("finish", [Finish(hold, end, 1.0)], "w1", LATER)
    assert finished.applied == {hold}
    assert job_of(hold).state == state
