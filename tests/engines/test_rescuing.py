"""Promises of `rescue`, `expire`, `promote` and `prune`."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from django_jobs.engines.base import Answer
from django_jobs.models import Claim, Job, JobLog, JobProgress, JobRun
from django_jobs.states import Later, State
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

HOUR = timedelta(hours=1)


def test_a_rescued_job_is_ready_again_with_its_attempt_and_one_more_loss(scene):
    hold = scene.run_one(worker="web-1", queue="mail")
    scene.expire_all()
    (rescued,) = scene.engine.rescue(10, LATER)
    assert (rescued.job_id, rescued.claim_id) == hold
    assert (rescued.queue, rescued.state, rescued.worker) == ("mail", State.READY, "web-1")
    job = job_of(hold)
    assert (job.state, job.claim_id, job.attempt, job.lost_count) == (State.READY, None, 0, 1)
    assert (job.run_at, job.finished_at, job.fingerprint) == (LATER, None, "")


def test_a_lost_run_says_which_worker_stopped_answering_and_what_became_of_the_job(scene):
    hold = scene.run_one(worker="web-1")
    scene.expire_all()
    scene.engine.rescue(10, LATER)
    run = run_of(hold)
    assert (run.outcome, run.attempt, run.worker) == ("lost", 1, "web-1")
    assert (run.started_at, run.finished_at) == (NOON, LATER)
    assert (run.error_type, run.fingerprint) == ("worker lost", "worker-lost")
    assert run.error == run.error_text
    assert run.error == (
        "Worker web-1 stopped answering (its lease ended at 2030-01-15 11:59:00 UTC); the job was "
        "returned to the queue, with its attempt given back."
    )


def test_a_lost_run_names_the_deadline_of_its_own_claim_to_the_second(scene):
    holds = [scene.run_one(worker=f"web-{number}") for number in range(3)]
    for hold, seconds in zip(holds, (0.0, 1.999999, 3.5), strict=True):
        until = NOON + timedelta(seconds=seconds)
        Claim.objects.filter(pk=hold.claim_id).update(expires_at=until)
    scene.engine.rescue(2, LATER)
    shown = [re.search(r"ended at .* (\S+) UTC", run_of(hold).error)[1] for hold in holds]
    assert shown == ["12:00:00", "12:00:01", "12:00:03"]


def test_a_lost_run_speaks_utc_whatever_zone_the_session_is_in(scene):
    hold = scene.run_one()
    scene.expire_all()
    with timezone.override("Asia/Tokyo"):
        scene.engine.rescue(10, LATER)
    assert "2030-01-15 11:59:00 UTC" in run_of(hold).error


def test_a_worker_s_name_stays_as_it_is_in_the_text(scene):
    hold = scene.run_one(worker="{deadline}-{worker}-%s")
    scene.expire_all()
    scene.engine.rescue(10, LATER)
    assert run_of(hold).error.startswith("Worker {deadline}-{worker}-%s stopped answering (its")


def test_a_job_fails_when_it_has_lost_more_workers_than_it_may(scene):
    hold = scene.run_one(max_lost=1)
    scene.expire_all()
    assert scene.engine.rescue(10, LATER)[0].state is State.READY
    (again,) = scene.claim()
    scene.expire_all()
    assert scene.engine.rescue(10, LATER)[0].state is State.FAILED
    job = job_of(hold)
    assert (job.state, job.finished_at, job.lost_count) == (State.FAILED, LATER, 2)
    assert job.fingerprint == "worker-lost"
    assert "max_lost" in run_of(again.hold).error


def test_a_rescued_job_that_was_asked_to_stop_is_cancelled(scene):
    hold = scene.run_one()
    scene.engine.ask_to_stop([hold.job_id], NOON)
    scene.expire_all()
    assert scene.engine.rescue(10, LATER)[0].state is State.CANCELLED
    assert job_of(hold).finished_at == LATER
    assert (run_of(hold).outcome, "asked to stop" in run_of(hold).error) == ("lost", True)


def test_a_claim_whose_time_is_not_up_is_left_alone(scene):
    hold = scene.run_one()
    assert scene.engine.rescue(10, NOON + timedelta(seconds=LEASE)) == []
    assert len(scene.engine.rescue(10, NOON + timedelta(seconds=LEASE + 0.001))) == 1
    assert job_of(hold).state == State.READY


def test_rescue_takes_the_jobs_off_the_claim_and_the_next_sweep_takes_the_claim(scene):
    hold = scene.run_one()
    scene.expire_all()
    scene.engine.rescue(10, LATER)
    assert claim_of(hold).job_ids == []
    assert scene.engine.rescue(10, LATER) == []
    assert scene.engine.sweep(10, LATER) == 1


def test_jobs_that_ended_are_not_rescued(scene):
    done, left = scene.run(2)
    scene.finish(done)
    scene.expire_all()
    assert [each.job_id for each in scene.engine.rescue(10, LATER)] == [left.job_id]
    assert run_of(done).outcome == "successful"


def test_rescue_goes_on_while_its_pages_are_full(scene):
    holds = [scene.run_one() for _ in range(7)]
    scene.expire_all()
    rescued = scene.engine.rescue(2, LATER)
    assert {each.job_id for each in rescued} == {hold.job_id for hold in holds}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_claims_whose_jobs_are_locked_do_not_fill_every_page(scene, rival):
    locked = [scene.run_one() for _ in range(5)]
    free = scene.run_one()
    scene.expire_all()
    other = rival()
    other.begin()
    other.sql(
        "SELECT 1 FROM django_jobs_job WHERE id = ANY(%s) FOR NO KEY UPDATE",
        [hold.job_id for hold in locked],
    )
    assert [each.job_id for each in scene.engine.rescue(2, LATER)] == [free.job_id]
    other.rollback()
    assert len(scene.engine.rescue(2, LATER)) == 5


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_rescue_leaves_a_job_in_an_atomic_step_to_the_next_scan(scene, rival):
    stepping, idle = scene.run(2)
    scene.expire_all()
    with rival().holding("django_jobs_job", stepping.job_id):
        assert [each.job_id for each in scene.engine.rescue(10, LATER)] == [idle.job_id]
        assert claim_of(stepping).job_ids == [stepping.job_id]
        assert scene.engine.sweep(10, LATER) == 0
    assert [each.job_id for each in scene.engine.rescue(10, LATER)] == [stepping.job_id]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_extends_a_partly_rescued_claim_hears_what_is_left(scene, rival):
    stepping, idle = scene.run(2)
    scene.expire_all()
    with rival().holding("django_jobs_job", stepping.job_id):
        scene.engine.rescue(10, LATER)
        answer = scene.engine.extend([idle.claim_id], LEASE, LATER)[idle.claim_id]
    assert answer.answer is Answer.EXTENDED
    assert answer.job_ids == {stepping.job_id}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_an_extension_that_commits_first_wins_over_rescue(scene, rival):
    hold = scene.run_one()
    scene.expire_all()
    worker = rival()
    worker.begin()
    worker.verb("extend", [hold.claim_id], LEASE, LATER)
    assert scene.engine.rescue(10, LATER) == []
    worker.commit()
    assert scene.engine.rescue(10, LATER) == []
    assert job_of(hold).state == State.RUNNING


@pytest.mark.django_db(transaction=True)
def test_two_rescuers_at_once_take_every_job_once(scene, rival):
    holds = [hold for _ in range(20) for hold in scene.run(3)]
    scene.expire_all()
    rivals = [rival(), rival()]
    futures = [each.start_verb("rescue", 3, LATER) for each in rivals]
    rescued = [each.job_id for future in futures for each in future.result(20)]
    rescued += [each.job_id for each in scene.engine.rescue(3, LATER)]
    assert sorted(rescued) == sorted(hold.job_id for hold in holds)
    assert set(Job.objects.values_list("lost_count", flat=True)) == {1}
    assert JobRun.objects.filter(outcome="lost").count() == 60


def test_a_dead_worker_s_claims_expire_at_once_and_nobody_else_s(scene):
    done, running = scene.run(2, worker="dead")
    other = scene.run_one(worker="alive")
    scene.finish(done)
    assert scene.engine.expire("dead", LATER) == [running]
    assert [each.job_id for each in scene.engine.rescue(10, LATER)] == [running.job_id]
    assert job_of(other).state == State.RUNNING


def test_expiring_works_by_the_database_s_clock_too(scene):
    scene.enqueue(now=None)
    (job,) = scene.claim(now=None)
    assert scene.engine.rescue(10) == []
    assert scene.engine.expire("w1") == [job.hold]
    assert [each.job_id for each in scene.engine.rescue(10)] == [job.id]
    assert scene.engine.sweep(10) == 1
    assert not Claim.objects.exists()


def test_due_jobs_are_promoted_and_keep_their_place_in_line(scene):
    (due,) = scene.enqueue(queue="a", later=Later(60.0))
    (ahead,) = scene.enqueue(queue="b", later=Later(61.0))
    waiting = scene.run_one(queue="c")
    scene.finish(waiting, end=SUSPENSION, now=NOON)
    assert scene.engine.promote(10, LATER) == {"a", "c"}
    assert (job_of(due).state, job_of(due).run_at) == (State.READY, LATER)
    assert job_of(ahead).state == State.SCHEDULED
    assert (job_of(waiting).state, job_of(waiting).waiting_for) == (State.READY, None)


def test_promotion_is_bounded_and_the_longest_due_come_first(scene):
    young = scene.enqueue(2, later=Later(50.0))
    old = scene.enqueue(2, later=Later(40.0))
    assert scene.engine.promote(2, LATER) == {"default"}
    assert {job_of(pk).state for pk in old} == {State.READY}
    assert {job_of(pk).state for pk in young} == {State.SCHEDULED}
    scene.engine.promote(2, LATER)
    assert scene.engine.promote(2, LATER) == set()


def old_jobs(scene):
    """Return a successful, a failed and a cancelled job that ended at noon, and a live one."""
    successful, failed, live = scene.run(3)
    scene.finish(successful, end=SUCCESS, now=NOON)
    scene.finish(failed, end=FAILURE, now=NOON)
    scene.finish(live, end=RETRY, now=NOON)
    (cancelled,) = scene.enqueue()
    scene.engine.move([cancelled], State.CANCELLED, [State.READY], NOON)
    return successful.job_id, failed.job_id, cancelled, live.job_id


def test_old_finished_jobs_are_pruned_by_their_kind_with_all_their_rows(scene):
    successful, failed, cancelled, live = old_jobs(scene)
    for pk in (successful, failed):
        JobLog.objects.create(job_id=pk, claim_id=1, at=NOON, line="x")
        JobProgress.objects.create(job_id=pk, updated_at=NOON)
    assert scene.engine.prune(NOON + HOUR, NOON - HOUR, 100).count == 1
    assert set(Job.objects.values_list("pk", flat=True)) == {failed, cancelled, live}
    assert set(JobLog.objects.values_list("job_id", flat=True)) == {failed}
    assert set(JobProgress.objects.values_list("job_id", flat=True)) == {failed}
    assert not JobRun.objects.filter(job_id=successful).exists()
    assert scene.engine.prune(NOON + HOUR, NOON + HOUR, 100).count == 2
    assert Job.objects.get().pk == live


def test_pruning_looks_at_a_bounded_window_and_says_where_it_stopped(scene):
    holds = scene.run(5)
    scene.finish(*holds, now=NOON)
    ids = [hold.job_id for hold in holds]
    first = scene.engine.prune(NOON + HOUR, NOON, 2)
    assert (first.count, first.last_id) == (2, ids[1])
    second = scene.engine.prune(NOON + HOUR, NOON, 2, ids[2])
    assert (second.count, second.last_id) == (2, ids[4])
    assert Job.objects.get().pk == ids[2]
    assert scene.engine.prune(NOON + HOUR, NOON, 2, ids[4]).last_id is None


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_pruning_passes_over_locked_jobs(scene, rival):
    locked, free = scene.run(2)
    scene.finish(locked, free, now=NOON)
    with rival().holding("django_jobs_job", locked.job_id):
        assert scene.engine.prune(NOON + HOUR, NOON, 10).count == 1
    assert Job.objects.get().pk == locked.job_id
