"""How a job ends that was told to stop: in a thread when it asks, on a loop where it awaits."""

import asyncio
import threading

import pytest

from django_jobs import JobContext, job, registry
from django_jobs.context import Ask
from django_jobs.states import Interrupted, Later, Stopped, Succeeded, TimedOut
from django_jobs.worker.execution import make_context, run_async, run_sync
from tests.worker.making import claimed, run, until


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (Ask.SHUTDOWN, Interrupted()),
        (Ask.INTERRUPT, Interrupted()),
        (Ask.LOST, Interrupted()),
        (Ask.CANCEL, Stopped("Stopped as it was asked to")),
    ],
)
@pytest.mark.parametrize("ending", ["returns", "raises"])
def test_a_thread_job_that_obeys_counts_as_stopped(ask, expected, ending):
    @job
    def obey(context: JobContext):
        assert context.should_stop()
        if ending == "raises":
            raise ValueError("in a hurry")

    assert run(obey, ask) == expected


def test_a_thread_job_that_obeys_its_time_limit_has_timed_out():
    @job(timeout=2, max_attempts=2, backoff=lambda *_: 9)
    def obey(context: JobContext):
        context.should_stop()

    outcome = run(obey, Ask.TIMEOUT)
    assert isinstance(outcome, TimedOut)
    assert outcome.error.message.startswith("Stopped after 2 s (timeout). Raise timeout=")
    assert outcome.again == Later(9.0)
    assert run(obey, Ask.TIMEOUT, attempt=4).again is None


def test_a_time_limit_is_retried_whatever_retry_on_says():
    @job(timeout=2, retry_on=(KeyError,))
    def obey(context: JobContext):
        context.should_stop()

    assert run(obey, Ask.TIMEOUT).again is not None


@pytest.mark.parametrize("ask", list(Ask))
def test_a_thread_job_that_never_asks_ends_as_it_wants(ask):
    @job
    def deaf():
        return 1

    assert run(deaf, ask) == Succeeded("1")


def run_told(definition, ask, **changes):
    """Run an async job, tell it once it waits, and return its outcome."""
    one = claimed(name=definition.name, **changes)
    context = make_context(one)
    teller = threading.Thread(
        target=lambda: (until(lambda: context.entered), context.tell(ask)), daemon=True
    )
    context.entered = False
    teller.start()
    outcome = asyncio.run(asyncio.wait_for(run_async(one, context), 20))
    teller.join()
    return outcome


@job(name="tests.wait_for_ever")
async def wait_for_ever(context: JobContext):
    context.entered = True
    await asyncio.Event().wait()


@pytest.fixture
def waiting_job():
    registry.register(wait_for_ever)
    return wait_for_ever


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (Ask.INTERRUPT, Interrupted()),
        (Ask.LOST, Interrupted()),
        (Ask.CANCEL, Stopped("Stopped as it was asked to")),
    ],
)
def test_an_async_job_is_cancelled_where_it_awaits(waiting_job, ask, expected):
    assert run_told(waiting_job, ask) == expected


def test_an_async_job_is_stopped_at_its_time_limit():
    @job(timeout=0.05)
    async def slow():
        await asyncio.Event().wait()

    outcome = run(slow)
    assert isinstance(outcome, TimedOut)
    assert "Stopped after 0.05 s (timeout)" in outcome.error.message


def test_an_async_job_that_ends_in_time_is_left_alone():
    @job(timeout=0.05)
    async def quick():
        return 1

    async def both():
        one = claimed(name=quick.name)
        outcome = await run_async(one, make_context(one))
        await asyncio.sleep(0.06)
        return outcome

    assert asyncio.run(both()) == Succeeded("1")


def test_an_async_job_may_clean_up_when_it_is_cancelled(waiting_job):
    cleaned = []

    @job
    async def tidy(context: JobContext):
        try:
            await wait_for_ever.func(context)
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    assert run_told(tidy, Ask.CANCEL).reason
    assert cleaned == [True]


def test_a_shutdown_lets_an_async_job_finish():
    @job
    async def deaf():
        await asyncio.sleep(0)
        return 1

    assert run(deaf, Ask.SHUTDOWN) == Succeeded("1")


def test_an_async_job_that_asks_obeys_a_shutdown():
    @job
    async def obey(context: JobContext):
        await asyncio.sleep(0)
        return context.should_stop()

    assert run(obey, Ask.SHUTDOWN) == Interrupted()


def test_an_async_job_runs_to_its_end_in_a_thread_too():
    @job
    async def double(number):
        await asyncio.sleep(0)
        return 2 * number

    one = claimed(name=double.name, args="[21]")
    assert run_sync(one, make_context(one)) == Succeeded("42")


def test_steps_that_were_gathered_are_cancelled_with_their_job():
    inside, left = [], []

    @job
    async def gathering(context: JobContext):
        await asyncio.gather(*(context.step.arun(name, wait, name, context) for name in "ab"))

    async def wait(name, context):
        inside.append(name)
        context.entered = len(inside) == 2  # the steps enter one after the other, in a thread
        try:
            await asyncio.Event().wait()
        finally:
            left.append(name)

    assert run_told(gathering, Ask.CANCEL) == Stopped("Stopped as it was asked to")
    assert sorted(left) == ["a", "b"]


def test_a_cancelled_job_does_not_wait_for_steps_in_tasks_of_their_own():
    left = []

    @job
    async def leaving(context: JobContext):
        context.task = asyncio.create_task(context.step.arun("a", wait, context))
        await asyncio.Event().wait()

    async def wait(context):
        context.entered = True
        try:
            await asyncio.Event().wait()
        finally:
            left.append("a")

    assert run_told(leaving, Ask.CANCEL) == Stopped("Stopped as it was asked to")
    assert left == ["a"]
