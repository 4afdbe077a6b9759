"""Promises of `extend`, `release`, `close` and `sweep`."""

from datetime import timedelta

import pytest

from django_jobs.engines.base import Answer, Hold
from django_jobs.models import Claim, Job, JobRun
from django_jobs.states import Interrupted, RunOutcome, State, after_run
from tests.engines.scenes import LATER, LEASE, NOON, RETRY, claim_of, job_of


def extend(scene, *claim_ids, now=LATER):
    return scene.engine.extend(claim_ids, LEASE, now)


def test_an_extension_pushes_the_deadline_and_names_the_jobs(scene):
    holds = scene.run(2)
    claim_id = holds[0].claim_id
    answer = extend(scene, claim_id)[claim_id]
    assert answer.answer is Answer.EXTENDED
    assert answer.job_ids == {hold.job_id for hold in holds}
    assert answer.cancel_ids == frozenset()
    assert claim_of(holds[0]).expires_at == LATER + timedelta(seconds=LEASE)


def test_an_extension_of_a_claim_that_is_gone_says_missing_and_makes_no_row(scene):
    (claim,) = {job.claim_id for job in scene.claim()} or {12345}
    assert extend(scene, claim, 67890) == {
        claim: extend(scene, claim)[claim],
        67890: extend(scene, 67890)[67890],
    }
    assert extend(scene, claim)[claim].answer is Answer.MISSING
    assert not Claim.objects.exists()


def test_an_extension_tells_which_jobs_were_asked_to_stop(scene):
    first, second = scene.run(2)
    scene.engine.ask_to_stop([second.job_id], NOON)
    assert extend(scene, first.claim_id)[first.claim_id].cancel_ids == {second.job_id}


def test_an_extension_no_longer_names_a_job_that_was_taken(scene):
    first, second = scene.run(2)
    scene.engine.take([first.job_id], State.CANCELLED, RunOutcome.CANCELLED, NOON)
    assert extend(scene, first.claim_id)[first.claim_id].job_ids == {second.job_id}


def test_an_extended_claim_is_not_rescued(scene):
    hold = scene.run_one()
    scene.expire_all()
    extend(scene, hold.claim_id)
    assert scene.engine.rescue(10, LATER) == []
    assert job_of(hold).state == State.RUNNING


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_claim_row_that_somebody_holds_is_busy_not_lost(scene, rival):
    first = scene.run_one()
    second = scene.run_one()
    with rival().holding("django_jobs_claim", first.claim_id):
        answers = extend(scene, first.claim_id, second.claim_id)
    assert answers[first.claim_id].answer is Answer.BUSY
    assert answers[second.claim_id].answer is Answer.EXTENDED


def test_a_released_job_is_ready_again_at_no_cost_and_keeps_its_place(scene):
    hold = scene.run_one()
    scene.enqueue()
    assert scene.engine.release([hold], now=LATER) == {hold}
    job = job_of(hold)
    assert (job.state, job.claim_id, job.attempt, job.lost_count) == (State.READY, None, 0, 0)
    assert job.run_at == NOON
    assert not JobRun.objects.exists()
    assert scene.claim(1)[0].id == hold.job_id


def test_a_job_released_for_later_is_scheduled(scene):
    hold = scene.run_one()
    scene.engine.release([hold], delay=30.0, now=LATER)
    job = job_of(hold)
    assert (job.state, job.run_at) == (State.SCHEDULED, LATER + timedelta(seconds=30))


def test_a_release_because_of_an_unknown_name_remembers_since_when(scene):
    hold = scene.run_one()
    assert job_of(hold).unknown_since is None
    scene.engine.release([hold], unknown=True, now=NOON)
    (again,) = scene.claim()
    scene.engine.release([again.hold], unknown=True, now=LATER)
    assert job_of(hold).unknown_since == NOON


def test_a_released_job_that_was_asked_to_stop_is_cancelled(scene):
    hold = scene.run_one()
    scene.engine.ask_to_stop([hold.job_id], NOON)
    scene.engine.release([hold], now=LATER)
    job = job_of(hold)
    assert (job.state, job.finished_at) == (State.CANCELLED, LATER)


def test_a_job_is_released_only_by_the_claim_that_holds_it(scene):
    stale = scene.run_one()
    scene.engine.release([stale], now=NOON)
    (current,) = scene.claim()
    assert scene.engine.release([stale, Hold(999_999, 1)], now=LATER) == set()
    assert job_of(stale).claim_id == current.claim_id


def test_an_interrupted_run_and_the_next_share_their_attempt_number(scene):
    first = scene.run_one()
    scene.finish(first, end=after_run(Interrupted()))
    (second,) = scene.claim(now=LATER)
    scene.finish(second.hold)
    runs = JobRun.objects.filter(job_id=first.job_id).order_by("claim_id")
    assert [(run.attempt, run.outcome) for run in runs] == [(1, "released"), (1, "successful")]


def test_a_claim_is_closed_only_when_nothing_runs_under_it(scene):
    first, second = scene.run(2)
    other = scene.run_one()
    scene.finish(first)
    assert scene.engine.close([first.claim_id]) == 0
    scene.finish(second, other)
    assert scene.engine.close([first.claim_id, other.claim_id, 999_999]) == 2
    assert not Claim.objects.exists()


def test_closing_nothing_is_fine(scene):
    assert scene.engine.close([]) == 0


def test_a_sweep_removes_expired_claims_without_jobs_and_no_others(scene):
    empty = scene.run_one()
    scene.finish(empty)
    held = scene.run_one()
    scene.expire_all()
    fresh = scene.run_one(now=LATER)
    scene.finish(fresh)
    assert scene.engine.sweep(10, LATER) == 1
    assert set(Claim.objects.values_list("pk", flat=True)) == {held.claim_id, fresh.claim_id}


def test_a_sweep_is_bounded_and_held_claims_do_not_use_up_its_limit(scene):
    held = [scene.run_one() for _ in range(3)]
    scene.finish(*held[1:], end=RETRY)
    scene.expire_all()
    assert scene.engine.sweep(1, LATER) == 1
    assert scene.engine.sweep(1, LATER) == 1
    assert scene.engine.sweep(1, LATER) == 0
    assert Claim.objects.get().pk == held[0].claim_id


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_sweep_passes_over_locked_claims(scene, rival):
    hold = scene.run_one()
    scene.finish(hold)
    scene.expire_all()
    with rival().holding("django_jobs_claim", hold.claim_id):
        assert scene.engine.sweep(10, LATER) == 0
    assert scene.engine.sweep(10, LATER) == 1
    assert Job.objects.get().state == State.SUCCESSFUL
