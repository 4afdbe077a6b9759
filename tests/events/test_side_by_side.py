"""Branches of steps that go on side by side: none holds up another."""

from datetime import timedelta

import pytest

from django_jobs import JobContext, State, StepFailed, send_event
from django_jobs.definitions import job
from django_jobs.models import Job, JobRun
from django_jobs.states import RunOutcome
from django_jobs.testing import run_jobs
from tests.conftest import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOUR = timedelta(hours=1)


@pytest.fixture(params=["sync", "async"])
def start(request):
    """Return how to enqueue a job of branches, each a list of (verb, name, arguments)."""

    def start(*branches):
        if request.param == "sync":

            @job(name="tests.branching")
            def branching(context: JobContext) -> list[object]:
                return context.step.parallel(*(one(context, branch) for branch in branches))

        else:

            @job(name="tests.branching")
            async def branching(context: JobContext) -> list[object]:
                return await context.step.aparallel(*(other(context, each) for each in branches))

        return branching.enqueue()

    return start


def one(context, branch):
    """Return a branch of steps as a function."""

    def steps():
        for verb, name, *arguments in branch:
            result = getattr(context.step, verb)(name, *arguments)
        return result

    return steps


async def other(context, branch):
    """Return a branch of steps as a coroutine."""
    for verb, name, *arguments in branch:
        result = await getattr(context.step, f"a{verb}")(name, *arguments)
    return result


def test_sleeps_side_by_side_do_not_add_up(start, frozen_clock):
    start([("sleep", "one", 3600)], [("sleep", "two", 1800)], [("sleep", "three", 3600)])
    assert run_jobs() == [RunOutcome.SUSPENDED]
    assert Job.objects.get().run_at == NOON + HOUR / 2
    frozen_clock.advance(HOUR / 2)
    assert run_jobs() == [RunOutcome.SUSPENDED]
    frozen_clock.advance(HOUR / 2)
    assert run_jobs() == [RunOutcome.SUCCESSFUL]


def test_a_sleep_holds_up_no_other_branch(start, frozen_clock):
    called = []
    start(
        [("sleep", "rest", 3600)],
        [("run", "work", called.append, 1), ("run", "more work", called.append, 2)],
    )
    assert run_jobs() == [RunOutcome.SUSPENDED]
    assert called == [1, 2]
    frozen_clock.advance(HOUR)
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert called == [1, 2]


def test_results_come_in_the_order_of_the_branches(start, frozen_clock):
    handle = start(
        [("sleep", "rest", 3600), ("run", "first", lambda: 1)],
        [("run", "second", lambda: 2)],
    )
    run_jobs()
    frozen_clock.advance(HOUR)
    run_jobs()
    assert handle.refresh().result == [1, 2]


def test_a_failing_branch_lets_the_others_end_first(start, frozen_clock):
    called = []

    def fail():
        raise ValueError("no")

    @job(name="tests.other")
    def elsewhere() -> int:
        return 5

    handle = start(
        [("run", "bad", fail)],
        [("invoke", "child", elsewhere), ("run", "after", called.append, 1)],
    )
    for _ in range(4):
        run_jobs()
        frozen_clock.advance(HOUR)
    assert handle.refresh().status == State.FAILED
    assert called == [1]


def test_events_and_jobs_wake_whatever_comes_first():
    @job(name="tests.other", queue="slow")
    def elsewhere() -> str:
        return "child"

    @job(name="tests.branching")
    def branching(context: JobContext) -> list[object]:
        step = context.step
        return step.parallel(
            lambda: step.wait_for_event("paid", "order/paid", timeout=HOUR).data["sum"],
            lambda: step.invoke("child", elsewhere),
        )

    handle = branching.enqueue()
    run_jobs(queues=["default"])
    send_event("order/paid", {"sum": 7})
    assert run_jobs(queues=["default"]) == [RunOutcome.SUSPENDED]
    run_jobs()
    assert handle.refresh().result == [7, "child"]


def test_an_error_outside_of_steps_is_raised_when_the_others_are_through():
    @job(name="tests.branching", max_attempts=1)
    def branching(context: JobContext) -> None:
        context.step.parallel(
            lambda: 1 / 0, lambda: context.step.run("work", lambda: called.append(1))
        )

    called = []
    branching.enqueue()
    assert run_jobs() == [RunOutcome.FAILED]
    assert called == [1]


def test_a_failed_step_can_be_caught_around_the_branches():
    @job(name="tests.branching", max_attempts=1)
    def branching(context: JobContext) -> str:
        def fail():
            raise ValueError("no")

        try:
            context.step.parallel(lambda: context.step.run("bad", fail))
        except StepFailed as failure:
            return failure.step
        return ""

    handle = branching.enqueue()
    run_jobs()
    assert handle.refresh().result == "bad"


def test_outside_of_a_worker_the_branches_are_called():
    step = JobContext.detached("tests.detached").step
    assert step.parallel(lambda: step.run("one", lambda: 1), lambda: 2) == [1, 2]


def test_what_one_branch_has_done_meanwhile_is_no_change_of_the_code(start, frozen_clock):
    """Steps that come to be between others shift the numbers of those behind them."""
    start(
        [("sleep", "nap", 60), ("run", "after", int)],
        [("sleep", "long", 90), ("run", "last", int)],
    )
    for _ in range(3):
        run_jobs()
        frozen_clock.advance(HOUR)
    assert Job.objects.get().state == State.SUCCESSFUL
    logs = "".join(JobRun.objects.values_list("log", flat=True))
    assert "code has changed" not in logs


def test_branches_that_wait_for_one_kind_of_event_get_one_each(frozen_clock):
    @job(name="tests.branching")
    def branching(context: JobContext) -> list[int]:
        step = context.step
        return step.parallel(
            lambda: step.wait_for_event("a", "tick", timeout=HOUR).data["number"],
            lambda: step.wait_for_event("b", "tick", timeout=HOUR).data["number"],
        )

    handle = branching.enqueue()
    run_jobs()
    send_event("tick", {"number": 1})
    assert run_jobs() == [RunOutcome.SUSPENDED]
    send_event("tick", {"number": 2})
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert sorted(handle.refresh().result) == [1, 2]


def test_branches_that_look_back_get_one_each():
    @job(name="tests.branching")
    def branching(context: JobContext) -> list[int]:
        step = context.step
        return step.parallel(
            lambda: step.wait_for_event("a", "tick", timeout=60, lookback=60).data["number"],
            lambda: step.wait_for_event("b", "tick", timeout=60, lookback=60).data["number"],
        )

    send_event("tick", {"number": 1})
    send_event("tick", {"number": 2})
    handle = branching.enqueue()
    run_jobs()
    assert handle.refresh().result == [1, 2]
