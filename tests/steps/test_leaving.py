"""A job leaves its function at a step and goes on later: sleep, loss, a request to stop."""

import asyncio
import gc
import weakref
from datetime import UTC, datetime, timedelta

import pytest

from django_jobs import JobContext, Snooze, State, operations
from django_jobs.context import Ask
from django_jobs.engines import get_engine
from django_jobs.models import JobRun, Queue
from django_jobs.states import RunOutcome
from django_jobs.testing import run_jobs
from tests.conftest import NOON
from tests.steps.conftest import steps, the_job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def test_what_is_logged_before_a_sleep_stays_in_the_history(run, frozen_clock):
    def body(context: JobContext) -> None:
        context.step.run("one", lambda: context.log("card charged"))
        context.step.sleep("nap", 60)
        context.step.sleep("another", 60)

    run(body)
    frozen_clock.advance(timedelta(minutes=1))
    run_jobs()
    (history,) = JobRun.objects.all()
    assert history.outcome == RunOutcome.SUSPENDED
    assert "card charged" in history.log


def test_a_sleeping_job_waits_without_a_slot_and_costs_no_attempt(run, calls, frozen_clock):
    def body(context: JobContext) -> None:
        context.step.run("before", calls, "before")
        context.step.sleep("nap", timedelta(hours=2))
        context.step.run("after", calls, "after")

    _, outcomes = run(body)
    waiting = the_job()
    assert outcomes == [RunOutcome.SUSPENDED]
    assert (waiting.state, waiting.run_at) == (State.WAITING, NOON + timedelta(hours=2))
    assert (waiting.waiting_for, waiting.claim_id, waiting.attempt) == ('step "nap"', None, 0)
    frozen_clock.advance(timedelta(hours=1))
    assert run_jobs() == []
    frozen_clock.advance(timedelta(hours=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert calls.made == ["before", "after"]
    assert [run.outcome for run in JobRun.objects.all()] == [RunOutcome.SUCCESSFUL]


def test_a_sleep_goes_on_where_it_was_when_the_job_is_woken_early(run, calls, frozen_clock):
    def body(context: JobContext) -> None:
        context.step.sleep_until("morning", NOON + timedelta(hours=20))

    handle, _ = run(body)
    operations.cancel([handle.id])
    frozen_clock.advance(timedelta(hours=1))
    operations.retry([handle.id])
    assert run_jobs() == [RunOutcome.SUSPENDED]
    assert the_job().run_at == NOON + timedelta(hours=20)


def test_an_atomic_step_writes_its_effects_and_its_record_together(run, frozen_clock):
    tries = []

    def body(context: JobContext) -> None:
        context.step.atomic("book", book)

    def book():
        tries.append(1)
        Queue.objects.create(name=f"booked-{len(tries)}")
        if len(tries) == 1:
            raise RuntimeError("after the write")

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.RETRIED]
    assert not Queue.objects.filter(name__startswith="booked").exists()
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert [queue.name for queue in Queue.objects.filter(name__startswith="booked")] == ["booked-2"]
    assert steps() == {"book": "done"}


def test_an_atomic_step_of_a_lost_job_leaves_no_effect(run, calls, monkeypatch):
    engine = type(get_engine("default"))
    save = engine.save_step

    def refuse_once(self, hold, *arguments, **keywords):
        return None if lost.pop() else save(self, hold, *arguments, **keywords)

    def body(context: JobContext) -> None:
        context.step.atomic("book", book)

    def book():
        calls("book")
        Queue.objects.create(name=f"booked-{len(calls.made)}")

    lost = [False, True]
    monkeypatch.setattr(engine, "save_step", refuse_once)
    _, outcomes = run(body)
    assert outcomes == [RunOutcome.RELEASED, RunOutcome.SUCCESSFUL]
    booked = Queue.objects.filter(name__startswith="booked")
    assert [queue.name for queue in booked] == ["booked-2"]


def test_a_job_that_catches_everything_is_interrupted_all_the_same(run, calls):
    def body(context: JobContext) -> str:
        try:
            context.step.sleep("nap", 60)
        except BaseException:  # noqa: BLE001 - what such code does
            return "nothing happened"

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.SUSPENDED]


def test_a_step_after_a_swallowed_interruption_does_not_run(run, calls):
    def body(context: JobContext) -> None:
        try:
            context.step.sleep("nap", 60)
        except BaseException:  # noqa: BLE001 - as above
            context.step.run("late", calls, "late")

    _, outcomes = run(body)
    assert (outcomes, calls.made) == ([RunOutcome.SUSPENDED], [])


def test_a_job_that_is_asked_to_stop_stops_before_its_next_step(run, calls):
    def body(context: JobContext) -> None:
        context.step.run("one", calls, "one")
        context.tell(Ask.CANCEL)
        context.step.run("two", calls, "two")

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.CANCELLED]
    assert calls.made == ["one"]


def test_a_step_may_snooze_its_job(run, calls, frozen_clock):
    def body(context: JobContext) -> None:
        context.step.run("one", later)

    def later():
        calls("one")
        if len(calls.made) == 1:
            raise Snooze(60)

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.SNOOZED]
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]


def test_an_async_job_has_the_same_steps(run, calls, frozen_clock):
    calls.failures = {"two": 1}

    async def body(context: JobContext) -> list[int]:
        one = await context.step.arun("one", calls.awaited, "one", 1)
        await context.step.asleep("nap", 60)
        two = await context.step.arun("two", calls, "two", 2)
        three = await context.step.aatomic("three", calls, "three", 3)
        await context.step.asleep_until("then", frozen_clock.now() - timedelta(seconds=1))
        return [one, two, three]

    handle, outcomes = run(body)
    while the_job().state in (State.SCHEDULED, State.WAITING):
        frozen_clock.advance(timedelta(minutes=1))
        outcomes += run_jobs()
    handle.refresh()
    assert handle.result == [1, 2, 3]
    assert outcomes[:2] == [RunOutcome.SUSPENDED, RunOutcome.RETRIED]
    assert calls.made == ["one", "two", "two", "three"]


@pytest.mark.parametrize("span", [0, -5, float("nan"), timedelta(days=-1)])
def test_a_sleep_of_no_time_is_over_at_once(run, calls, span):
    def body(context: JobContext) -> None:
        context.step.sleep("nap", span)

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.SUSPENDED, RunOutcome.SUCCESSFUL]


@pytest.mark.parametrize("span", [1e300, float("inf"), timedelta.max])
def test_a_sleep_ends_within_a_hundred_years(run, span):
    def body(context: JobContext) -> None:
        context.step.sleep("for ever", span)

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.SUSPENDED]
    assert the_job().run_at.year in (2129, 2130)


def test_a_sleep_until_the_end_of_the_calendar_does_too(run):
    def body(context: JobContext) -> None:
        context.step.sleep_until("doomsday", datetime.max.replace(tzinfo=UTC))

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.SUSPENDED]
    assert the_job().run_at.year in (2129, 2130)


def test_steps_that_were_gathered_are_on_record_before_the_job_goes_elsewhere(
    run, calls, frozen_clock
):
    calls.failures = {"fails": 1}

    async def body(context: JobContext) -> list[str]:
        steps = [context.step.arun(name, visit, name) for name in ("slow", "fails", "quick")]
        return await asyncio.gather(*steps)

    async def visit(name):
        for _ in range({"slow": 50, "fails": 5, "quick": 0}[name]):
            await asyncio.sleep(0)
        return calls(name, name)

    handle, outcomes = run(body)
    assert outcomes == [RunOutcome.RETRIED]
    assert steps() == {"slow": "done", "fails": "retrying", "quick": "done"}
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    handle.refresh()
    assert handle.result == ["slow", "fails", "quick"]
    assert sorted(calls.made) == ["fails", "fails", "quick", "slow"]


def test_a_cancelled_sleeper_that_is_retried_from_its_start_sleeps_anew(run, calls, frozen_clock):
    def body(context: JobContext) -> None:
        context.step.run("one", calls, "one")
        context.step.sleep("nap", 3600)

    handle, _ = run(body)
    operations.cancel([handle.id])
    frozen_clock.advance(timedelta(hours=1))
    operations.retry([handle.id], from_start=True)
    assert run_jobs() == [RunOutcome.SUSPENDED]
    assert calls.made == ["one", "one"]
    assert the_job().run_at == NOON + timedelta(hours=2)


def test_nothing_of_a_job_whose_step_was_interrupted_stays_in_memory(run, calls):
    class Big:
        pass

    held = []

    def body(context: JobContext) -> None:
        big = Big()
        held.append(weakref.ref(big))
        context.step.sleep("nap", 60)
        del big

    gc.collect()
    gc.disable()
    try:
        run(body)
        assert held[0]() is None
    finally:
        gc.enable()


def test_a_job_whose_time_is_over_leaves_at_its_next_step_and_is_retried(run, calls, frozen_clock):
    def body(context: JobContext) -> None:
        context.step.run("one", calls, "one")
        if context.attempt == 1:
            context.tell(Ask.TIMEOUT)
        context.step.run("two", calls, "two")

    _, outcomes = run(body, timeout=5)
    assert (outcomes, the_job().attempt) == ([RunOutcome.TIMED_OUT], 1)
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert calls.made == ["one", "two"]
