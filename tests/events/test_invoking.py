"""A step that lets another job do the work and waits for its end."""

from contextlib import contextmanager

import pytest
from django.db import OperationalError

from django_jobs import JobContext, NonRetriable, State, StepFailed, operations
from django_jobs.definitions import job
from django_jobs.engines.base import Engine
from django_jobs.exceptions import JobFailed
from django_jobs.models import Event, Job, JobStep, Wait
from django_jobs.states import RunOutcome
from django_jobs.testing import run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


@pytest.fixture
def double():
    """Return a job that doubles a number."""

    @job(name="tests.double", queue="numbers")
    def double(number: int) -> int:
        return 2 * number

    return double


@pytest.fixture
def hopeless():
    """Return a job that fails for good."""

    @job(name="tests.hopeless")
    def hopeless() -> None:
        raise NonRetriable("no such user")

    return hopeless


def parent(body, **options):
    """Enqueue a job with this body."""
    return job(name="tests.parent", **options)(body).enqueue()


def test_the_result_of_the_other_job_comes_back(double):
    def body(context: JobContext) -> list[int]:
        first = context.step.invoke("first", double, 4)
        return [first, context.step.invoke("second", double, number=first)]

    handle = parent(body)
    assert run_jobs() == [
        RunOutcome.SUSPENDED,
        RunOutcome.SUCCESSFUL,
        RunOutcome.SUSPENDED,
        RunOutcome.SUCCESSFUL,
        RunOutcome.SUCCESSFUL,
    ]
    assert handle.refresh().result == [8, 16]
    assert set(Job.objects.values_list("queue", flat=True)) == {"default", "numbers"}
    assert not Wait.objects.exists()


def test_the_failure_of_the_other_job_can_be_caught(hopeless):
    def body(context: JobContext) -> str:
        try:
            context.step.invoke("check", hopeless)
        except StepFailed as failure:
            return str(failure)
        return "nothing failed"

    handle = parent(body)
    run_jobs()
    text = handle.refresh().result
    assert text.startswith('step "check" failed for good: JobFailed: job #')
    assert text.endswith("(hopeless) failed: NonRetriable: no such user")


def test_uncaught_it_fails_the_job_that_waits(hopeless):
    def body(context: JobContext) -> None:
        context.step.invoke("check", hopeless)

    handle = parent(body)
    assert run_jobs()[-1] == RunOutcome.FAILED
    assert handle.refresh().status == State.FAILED


def test_after_a_retry_the_other_job_is_enqueued_anew(hopeless):
    def body(context: JobContext) -> None:
        context.step.invoke("check", hopeless)

    handle = parent(body)
    run_jobs()
    operations.retry([handle.id])
    run_jobs()
    assert Job.objects.filter(name="tests.hopeless").count() == 2
    assert handle.refresh().status == State.FAILED


def test_a_job_that_is_cancelled_counts_as_failed(double):
    def body(context: JobContext) -> None:
        context.step.invoke("first", double.using(queue="nobody"), 4)

    handle = parent(body)
    run_jobs(queues=["default"])
    operations.cancel([Job.objects.get(name="tests.double").pk])
    run_jobs(queues=["default"])
    assert handle.refresh().status == State.FAILED
    assert JobStep.objects.get().error_type == "JobCancelled"


def test_cancelling_the_one_that_waits_cancels_what_has_not_begun(double):
    @job(name="tests.middle")
    def middle(context: JobContext) -> int:
        return context.step.invoke("first", double.using(queue="nobody"), 4)

    def body(context: JobContext) -> None:
        context.step.invoke("middle", middle)

    handle = parent(body)
    run_jobs(queues=["default"])
    assert operations.cancel([handle.id]).done == {handle.id}
    run_jobs(queues=["default"])
    assert set(Job.objects.values_list("state", flat=True)) == {State.CANCELLED}


def test_a_job_that_was_deleted_is_noticed(double, frozen_clock):
    from django_jobs.engines import get_engine
    from django_jobs.events import Relay

    def body(context: JobContext) -> None:
        context.step.invoke("first", double.using(queue="nobody"), 4)

    handle = parent(body)
    run_jobs(queues=["default"])
    Job.objects.filter(name="tests.double").delete()
    relay, engine = Relay(), get_engine("default")
    assert relay.repair(engine) == 0  # it may only just have been written
    frozen_clock.advance(relay_patience())
    assert relay.repair(engine) == 1
    run_jobs(queues=["default"])
    assert handle.refresh().status == State.FAILED
    assert JobStep.objects.get().error_type == "JobGone"


def test_an_end_that_nobody_was_told_of_is_told_in_the_end(double, frozen_clock):
    from django_jobs.engines import get_engine
    from django_jobs.events import Relay

    def body(context: JobContext) -> int:
        return context.step.invoke("first", double.using(queue="nobody"), 4)

    handle = parent(body)
    run_jobs(queues=["default"])
    Job.objects.filter(name="tests.double").update(watched=False)
    run_jobs(queues=["nobody"])
    assert not Event.objects.exists()
    frozen_clock.advance(relay_patience())
    assert Relay().repair(get_engine("default")) == 1
    run_jobs()
    assert handle.refresh().result == 8


def test_one_job_with_a_unique_key_serves_two_that_wait(double):
    def body(context: JobContext) -> int:
        return context.step.invoke("first", double.using(unique_key="four"), 4)

    handles = [parent(body), parent(body)]
    run_jobs()
    assert [handle.refresh().result for handle in handles] == [8, 8]
    assert Job.objects.filter(name="tests.double").count() == 1


def test_an_async_job_invokes_and_is_invoked():
    @job(name="tests.triple")
    async def triple(number: int) -> int:
        return 3 * number

    async def body(context: JobContext) -> int:
        return await context.step.ainvoke("first", triple, 4)

    handle = parent(body)
    run_jobs()
    assert handle.refresh().result == 12


def test_what_nobody_waits_for_any_more_leaves_no_event(double):
    def body(context: JobContext) -> int:
        return context.step.invoke("first", double, 4)

    parent(body)
    run_jobs()
    assert [event.woken for event in Event.objects.all()] == [1]


def test_outside_of_a_worker_the_function_is_called(double):
    assert JobContext.detached("tests.detached").step.invoke("first", double, 4) == 8
    assert not Job.objects.exists()


def test_arguments_that_do_not_fit_are_refused_before_anything_is_written(double):
    def body(context: JobContext) -> None:
        context.step.invoke("first", double, 1, 2)

    handle = parent(body, max_attempts=1)
    assert run_jobs() == [RunOutcome.FAILED]
    assert handle.refresh().status == State.FAILED
    assert Job.objects.count() == 1
    assert not JobStep.objects.exists()


def test_a_job_cannot_wait_for_itself():
    @job(name="tests.selfish")
    def selfish(context: JobContext) -> None:
        context.step.invoke("again", selfish.using(unique_key="me"))

    handle = selfish.using(unique_key="me").enqueue()
    assert run_jobs() == [RunOutcome.FAILED]
    with pytest.raises(JobFailed, match="invokes the job itself"):
        _ = handle.refresh().result
    assert Job.objects.count() == 1
    assert not Wait.objects.exists()


def relay_patience():
    """Return for how long a wait is left alone."""
    from datetime import timedelta

    from django_jobs.events.relaying import PATIENCE

    return PATIENCE + timedelta(seconds=1)


@pytest.mark.django_db(transaction=True)
def test_when_the_reply_to_a_commit_is_lost_no_second_job_is_enqueued(double, monkeypatch):
    undoable = Engine.undoable
    lost = []

    @contextmanager
    def without_a_reply(self):
        with undoable(self):
            yield
        if not lost:
            lost.append("reply")
            raise OperationalError("server closed the connection unexpectedly")

    def body(context: JobContext) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(Engine, "undoable", without_a_reply)
            return context.step.invoke("first", double, 4)

    handle = parent(body)
    run_jobs()
    assert lost
    assert Job.objects.exclude(pk=handle.id).count() == 1
    assert handle.refresh().result == 8
