"""Steps that an async job runs at the same time: what one of them decides leaves the others whole."""

import asyncio
import threading
from datetime import timedelta

import pytest

from django_jobs import JobContext, RetryAfter, State, clock
from django_jobs.engines import get_engine
from django_jobs.states import RunOutcome
from django_jobs.testing import run_jobs
from tests.steps.conftest import steps, the_job

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("frozen_clock"),
]


def gathered(*coroutines):
    return asyncio.gather(*coroutines)


async def grouped(*coroutines):
    async with asyncio.TaskGroup() as group:
        for coroutine in coroutines:
            group.create_task(coroutine)


@pytest.mark.parametrize("together", [gathered, grouped])
def test_a_step_that_is_done_is_on_record_whatever_interrupts_the_job(
    run, calls, frozen_clock, monkeypatch, together
):
    engine = type(get_engine("default"))
    save, paid = engine.save_step, threading.Event()

    def save_late(self, hold, step, **options):
        if step.key == "nap":
            assert paid.wait(20)  # by now the other step has returned, and wants its record
        return save(self, hold, step, **options)

    async def pay():
        calls("pay")
        asyncio.get_running_loop().call_later(0.05, paid.set)

    async def body(context: JobContext) -> None:
        await together(context.step.arun("pay", pay), context.step.asleep("nap", 60))

    monkeypatch.setattr(engine, "save_step", save_late)
    run(body)
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert steps()["pay"] == "done"
    assert calls.made == ["pay"]


def test_of_two_failures_the_one_to_be_retried_first_decides(run, calls):
    calls.failures = {"quick": 1}
    failed = asyncio.Event()

    async def quick():
        try:
            calls("quick")
        finally:
            asyncio.get_running_loop().call_later(0.05, failed.set)

    async def slow():
        await failed.wait()
        raise RetryAfter(3600)

    async def body(context: JobContext) -> None:
        await asyncio.gather(context.step.arun("quick", quick), context.step.arun("slow", slow))

    run(body)
    assert the_job().state == State.SCHEDULED
    assert the_job().run_at == clock.now() + timedelta(seconds=10)
