from datetime import datetime, timedelta

import pytest
from django.db import transaction

from django_jobs import announcements, operations
from django_jobs.engines import get_engine
from django_jobs.exceptions import InvalidQueue
from django_jobs.models import Claim, Job, JobRun, Queue
from django_jobs.states import RunOutcome, State
from tests.conftest import NOON
from tests.factories import JobFactory, QueueFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

ALL = ["", "scheduled", "waiting", "running", "successful", "failed", "cancelled"]


def make(trait, **values):
    """Return a job in the state that `trait` names, READY without one."""
    return JobFactory(**({trait: True} if trait else {}), **values)


def state_of(job):
    return Job.objects.get(pk=job.pk).state


@pytest.mark.parametrize("trait", ["successful", "failed", "cancelled"])
def test_a_retried_job_is_ready_with_all_its_attempts_and_its_history(trait):
    job = make(trait, lost_count=2)
    assert operations.retry([job.pk]).done == {job.pk}
    job.refresh_from_db()
    assert (job.state, job.attempt, job.lost_count) == (State.READY, 0, 0)
    assert (job.finished_at, job.run_at) == (None, NOON)
    assert job.runs.count() == 1


@pytest.mark.parametrize("trait", ["successful", "failed", "cancelled"])
def test_a_finished_job_is_deleted_with_its_runs(trait):
    job = make(trait)
    assert operations.delete([job.pk]).done == {job.pk}
    assert not Job.objects.exists()
    assert not JobRun.objects.exists()
    assert operations.delete([job.pk]).refused == {job.pk: operations.NOT_FOUND}


@pytest.mark.parametrize("trait", ["", "scheduled", "waiting", "running"])
def test_a_job_that_has_not_ended_is_not_deleted(trait):
    job = make(trait)
    refused = operations.delete([job.pk]).refused
    assert refused[job.pk].endswith("only a finished job can be deleted")
    assert Job.objects.filter(pk=job.pk).exists()


@pytest.mark.parametrize("trait", ["", "scheduled", "waiting", "running"])
def test_a_job_that_has_not_ended_is_not_retried(trait):
    job = make(trait)
    result = operations.retry([job.pk])
    assert result.done == frozenset()
    assert result.refused[job.pk].endswith("; only a finished job can be retried")
    assert state_of(job) == job.state


def test_a_refusal_says_where_the_job_stands_and_since_when():
    job = JobFactory(running=True)
    reason = operations.retry([job.pk]).refused[job.pk]
    assert reason.startswith("it is running since 2030-01-15 11:59:48 UTC; ")


def test_a_job_that_does_not_exist_is_refused_by_itself():
    job = JobFactory(failed=True)
    result = operations.retry([job.pk, 10**9])
    assert result.done == {job.pk}
    assert result.refused == {10**9: "there is no such job; it may have been pruned"}


def test_a_retry_whose_key_is_taken_by_now_stops_no_other_one():
    JobFactory(unique_key="report")
    blocked = JobFactory(failed=True, unique_key="report")
    twins = JobFactory.create_batch(2, failed=True, unique_key="other")
    free = JobFactory.create_batch(3, failed=True)
    result = operations.retry([blocked.pk, *(job.pk for job in [*twins, *free])])
    assert result.done >= {job.pk for job in free}
    assert len(result.done & {job.pk for job in twins}) == 1
    assert result.refused[blocked.pk] == "another live job has its unique key by now"
    assert len(result.refused) == 2


@pytest.mark.parametrize("trait", ["", "scheduled", "waiting"])
def test_a_waiting_job_is_cancelled_at_once(trait):
    job = make(trait)
    assert operations.cancel([job.pk]).done == {job.pk}
    job.refresh_from_db()
    assert (job.state, job.finished_at) == (State.CANCELLED, NOON)


def test_a_running_job_is_asked_to_stop_and_goes_on():
    job = JobFactory(running=True)
    result = operations.cancel([job.pk])
    assert (result.done, result.asked, result.refused) == (frozenset(), {job.pk}, {})
    job.refresh_from_db()
    assert (job.state, job.cancel_requested_at, job.label) == (State.RUNNING, NOON, "stopping")


def test_asking_twice_is_the_same_as_asking_once():
    job = JobFactory(running=True)
    operations.cancel([job.pk])
    assert operations.cancel([job.pk]).asked == {job.pk}


def test_by_force_a_running_job_is_cancelled_now_and_its_worker_fenced_off():
    job = JobFactory(running=True)
    assert operations.cancel([job.pk], force=True).done == {job.pk}
    job.refresh_from_db()
    assert (job.state, job.claim_id) == (State.CANCELLED, None)
    assert JobRun.objects.get(job=job).outcome == RunOutcome.CANCELLED
    assert Claim.objects.get().job_ids == []


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("trait", ["successful", "failed", "cancelled"])
def test_an_ended_job_is_not_cancelled(trait, force):
    job = make(trait)
    result = operations.cancel([job.pk], force=force)
    assert "it cannot be cancelled any more" in result.refused[job.pk]
    assert state_of(job) == job.state


def test_a_job_of_a_silent_worker_is_requeued_and_keeps_its_attempt():
    job = JobFactory(running=True, silent=True)
    assert operations.requeue([job.pk]).done == {job.pk}
    job.refresh_from_db()
    assert (job.state, job.attempt, job.claim_id) == (State.READY, 0, None)


def test_a_job_of_a_living_worker_is_requeued_by_force_only():
    job = JobFactory(running=True)
    reason = operations.requeue([job.pk]).refused[job.pk]
    assert reason.startswith("worker web-1:4711 still holds it, for another 40 s")
    assert state_of(job) == State.RUNNING
    assert operations.requeue([job.pk], force=True).done == {job.pk}
    assert state_of(job) == State.READY


@pytest.mark.parametrize("trait", ["", "scheduled", "waiting", "successful", "failed", "cancelled"])
def test_what_does_not_run_is_not_requeued(trait):
    job = make(trait)
    assert "only a running job can be requeued" in operations.requeue([job.pk]).refused[job.pk]
    assert state_of(job) == job.state


def test_a_scheduled_job_can_be_run_now_and_a_retry_keeps_its_attempts():
    first, retrying = JobFactory(scheduled=True), JobFactory(retrying=True)
    assert operations.run_now([first.pk, retrying.pk]).done == {first.pk, retrying.pk}
    retrying.refresh_from_db()
    assert (retrying.state, retrying.attempt, retrying.run_at) == (State.READY, 1, NOON)


@pytest.mark.parametrize("trait", ["", "waiting", "running", "successful", "failed", "cancelled"])
def test_only_a_scheduled_job_can_be_run_now(trait):
    job = make(trait)
    assert "only a scheduled job" in operations.run_now([job.pk]).refused[job.pk]
    assert state_of(job) == job.state


@pytest.mark.parametrize("operation", ["retry", "run_now", "cancel", "requeue"])
def test_every_job_that_was_named_is_answered_exactly_once(operation):
    ids = [make(trait).pk for trait in ALL] + [10**9]
    result = getattr(operations, operation)([*ids, *ids])
    answered = [*result.done, *result.asked, *result.refused]
    assert sorted(answered) == sorted(ids)


@pytest.mark.parametrize("operation", ["retry", "run_now", "cancel", "requeue"])
def test_no_jobs_are_no_work(operation):
    assert getattr(operations, operation)([]) == operations.OperationResult()


def test_an_operation_rolled_back_has_not_happened():
    job = JobFactory(failed=True)
    with transaction.atomic():
        operations.retry([job.pk])
        transaction.set_rollback(True)
    assert state_of(job) == State.FAILED


@pytest.mark.django_db(transaction=True)
def test_workers_are_told_of_the_queues_that_have_work_again(monkeypatch):
    told = []
    announcements.forget()
    engine = type(get_engine("default"))
    monkeypatch.setattr(engine, "notify", lambda _, queues: told.append(sorted(queues)))
    failed = [JobFactory(failed=True, queue=queue) for queue in ("mail", "reports")]
    operations.retry([job.pk for job in failed])
    operations.cancel([job.pk for job in failed])
    assert told == [["mail", "reports"]]


@pytest.mark.django_db(transaction=True)
def test_workers_are_told_of_running_jobs_that_were_asked_to_stop(monkeypatch):
    told = []
    engine = type(get_engine("default"))
    monkeypatch.setattr(engine, "notify", lambda _, queues: told.append(queues))
    operations.cancel([JobFactory(running=True).pk])
    assert told == [{engine.STOP_ASKED}]


def test_pausing_says_who_why_and_until_when():
    until = NOON + timedelta(hours=1)
    assert operations.pause_queue("default", by="ana", reason="database upgrade", until=until)
    queue = Queue.objects.get()
    assert (queue.paused_at, queue.paused_until) == (NOON, until)
    assert (queue.paused_by, queue.paused_reason) == ("ana", "database upgrade")


def test_pausing_twice_keeps_the_first_time_and_takes_the_newer_reason(frozen_clock):
    operations.pause_queue("default", reason="one")
    frozen_clock.advance(timedelta(minutes=1))
    assert not operations.pause_queue("default", reason="two")
    queue = Queue.objects.get()
    assert (queue.paused_at, queue.paused_reason) == (NOON, "two")


def test_a_pause_that_has_run_out_is_none_and_begins_anew(frozen_clock):
    operations.pause_queue("default", until=NOON + timedelta(minutes=1))
    frozen_clock.advance(timedelta(minutes=2))
    assert not operations.is_paused(Queue.objects.get(), frozen_clock.now())
    assert operations.pause_queue("default")
    assert Queue.objects.get().paused_at == frozen_clock.now()


def test_a_resumed_queue_keeps_nothing_of_its_pause():
    operations.pause_queue("default", by="ana", reason="why")
    assert operations.resume_queue("default")
    queue = Queue.objects.get()
    assert (queue.paused_at, queue.paused_until) == (None, None)
    assert (queue.paused_by, queue.paused_reason) == ("", "")
    assert not operations.resume_queue("default")


@pytest.mark.parametrize("operation", [operations.pause_queue, operations.resume_queue])
def test_a_queue_that_nobody_uses_is_most_likely_misspelt(operation):
    QueueFactory(name="reports")
    with pytest.raises(InvalidQueue, match=r'no queue "reprots".*Did you mean "reports"\?'):
        operation("reprots")
    assert Queue.objects.count() == 1


def test_a_queue_of_a_declared_job_can_be_paused_before_its_first_job():
    assert operations.pause_queue("mail")


def test_a_queue_cannot_be_paused_until_a_naive_time():
    with pytest.raises(ValueError, match="until is naive"):
        operations.pause_queue("default", until=datetime(2030, 1, 1))  # noqa: DTZ001
