"""Finished steps never run again, and each has attempts of its own."""

import pickle
from collections import Counter
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync

from django_jobs import JobContext, NonRetriable, RetryAfter, State, operations
from django_jobs.definitions import job
from django_jobs.engines import get_engine
from django_jobs.exceptions import StepFailed
from django_jobs.models import JobRun, JobStep
from django_jobs.retries import Backoff
from django_jobs.states import RunOutcome
from django_jobs.testing import run_jobs
from tests.conftest import NOON
from tests.steps.conftest import steps, the_job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def test_steps_run_in_order_and_give_their_results(run, calls):
    def body(context: JobContext) -> list[int]:
        first = context.step.run("one", calls, "one", 1)
        return [first, context.step.run("two", calls, "two", first + 1)]

    handle, outcomes = run(body)
    handle.refresh()
    assert (outcomes, handle.result) == ([RunOutcome.SUCCESSFUL], [1, 2])
    assert steps() == {"one": "done", "two": "done"}
    assert the_job().has_steps


def test_a_finished_step_never_runs_again(run, calls, frozen_clock):
    calls.failures = {"two": 2}

    def body(context: JobContext) -> dict[str, int]:
        one = context.step.run("one", calls, "one", {"id": 7})
        return context.step.run("two", calls, "two", one)

    handle, outcomes = run(body)
    assert outcomes == [RunOutcome.RETRIED]
    assert the_job().run_at == NOON + timedelta(seconds=10)
    frozen_clock.advance(timedelta(seconds=10))
    assert run_jobs() == [RunOutcome.RETRIED]
    frozen_clock.advance(timedelta(seconds=20))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert calls.made == ["one", "two", "two", "two"]
    handle.refresh()
    assert handle.result == {"id": 7}


def test_a_result_comes_back_in_the_order_it_had(run, calls, frozen_clock):
    calls.failures = {"boom": 1}

    def body(context: JobContext) -> None:
        for who in context.step.run("load", lambda: {"zoe": 1, "al": 2}):
            context.step.run("mail", calls, f"mail {who}")
            context.step.run("boom", calls, "boom")

    run(body)
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert calls.made == ["mail zoe", "boom", "boom", "mail al", "boom"]


@pytest.mark.parametrize("verb", ["run", "atomic"])
def test_a_result_is_of_one_type_at_every_run(run, calls, frozen_clock, verb):
    calls.failures = {"boom": 1}
    seen = []

    def body(context: JobContext) -> None:
        seen.append(type(getattr(context.step, verb)("count", Counter, "aab")))
        context.step.run("boom", calls, "boom")

    run(body)
    frozen_clock.advance(timedelta(minutes=1))
    run_jobs()
    assert seen == [dict, dict]


def test_each_step_has_its_own_attempts(run, calls, frozen_clock):
    calls.failures = {"one": 2, "two": 2, "three": 2}

    def body(context: JobContext) -> None:
        for name in ("one", "two", "three"):
            context.step.run(name, calls, name)

    _, outcomes = run(body, max_attempts=3)
    while the_job().state == State.SCHEDULED:
        frozen_clock.advance(timedelta(minutes=1))
        outcomes += run_jobs()
    assert outcomes == [RunOutcome.RETRIED] * 6 + [RunOutcome.SUCCESSFUL]
    assert the_job().attempt == 1
    assert list(JobStep.objects.values_list("attempts", flat=True)) == [3, 3, 3]


def test_a_step_that_fails_for_good_fails_the_job(run, calls, frozen_clock):
    calls.failures = {"one": 99}

    def body(context: JobContext) -> None:
        context.step.run("one", calls, "one")

    _, outcomes = run(body, max_attempts=2)
    frozen_clock.advance(timedelta(minutes=1))
    outcomes += run_jobs()
    assert outcomes == [RunOutcome.RETRIED, RunOutcome.FAILED]
    assert steps() == {"one": "failed"}
    last = JobRun.objects.latest("pk")
    assert last.error_type.endswith("StepFailed")
    assert 'step "one" failed for good: RuntimeError: one is down' in last.error
    assert "is down" in last.traceback


def test_the_traceback_of_a_step_begins_in_its_function(run, calls):
    calls.failures = {"one": 1}

    def body(context: JobContext) -> None:
        context.step.run("one", calls, "one")

    run(body)
    lines = JobRun.objects.get().traceback.splitlines()
    assert "in __call__" in lines[1]


def test_a_job_may_catch_a_step_that_failed_and_it_is_remembered(run, calls, frozen_clock):
    calls.failures = {"pay": 99, "mail": 1}

    def body(context: JobContext) -> str:
        try:
            context.step.run("pay", calls, "pay")
        except StepFailed as failed:
            context.step.run("mail", calls, "mail")
            return f"{failed.step}: {failed.error}"
        return "paid"

    handle, outcomes = run(body, max_attempts=2)
    while the_job().state == State.SCHEDULED:
        frozen_clock.advance(timedelta(minutes=1))
        outcomes += run_jobs()
    assert outcomes == [RunOutcome.RETRIED, RunOutcome.RETRIED, RunOutcome.SUCCESSFUL]
    assert calls.made == ["pay", "pay", "mail", "mail"]
    handle.refresh()
    assert handle.result == "pay: pay is down"


def test_a_step_that_must_not_be_retried_fails_at_once(run, calls):
    def body(context: JobContext) -> None:
        context.step.run("one", hopeless)

    def hopeless():
        raise NonRetriable("no such account")

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.FAILED]
    assert steps() == {"one": "failed"}


def test_an_operators_retry_keeps_finished_steps_and_tries_failed_ones_anew(
    run, calls, frozen_clock
):
    calls.failures = {"two": 1}

    def body(context: JobContext) -> None:
        context.step.run("one", calls, "one")
        context.step.run("two", calls, "two")

    handle, outcomes = run(body, max_attempts=1)
    assert outcomes == [RunOutcome.FAILED]
    operations.retry([handle.id])
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert calls.made == ["one", "two", "two"]


def test_the_second_step_of_a_name_has_a_memory_of_its_own(run, calls, frozen_clock):
    calls.failures = {"last": 1}

    def body(context: JobContext) -> list[str]:
        found = [context.step.run("page", calls, "page", text) for text in "ab"]
        context.step.run("last", calls, "last")
        return found

    handle, _ = run(body)
    frozen_clock.advance(timedelta(minutes=1))
    run_jobs()
    handle.refresh()
    assert handle.result == ["a", "b"]
    assert calls.made == ["page", "page", "last", "last"]
    assert set(steps()) == {"page", "page#2", "last"}


def test_steps_in_another_order_are_found_by_name_and_the_log_tells(run, calls, frozen_clock):
    calls.failures = {"last": 1}
    order = ["one", "two"]

    def body(context: JobContext) -> None:
        for name in order:
            context.step.run(name, calls, name)
        context.step.run("last", calls, "last")

    run(body)
    order.reverse()
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert calls.made == ["one", "two", "last", "last"]
    assert 'Step "two" was number 2 and is number 1 now' in JobRun.objects.latest("pk").log


def test_the_idempotency_key_is_the_same_at_every_attempt(run, calls, frozen_clock):
    keys = []

    def body(context: JobContext) -> None:
        keys.append(context.idempotency_key)
        context.step.run("mail", mail, context)

    def mail(context):
        keys.append(context.idempotency_key)
        calls("mail")

    calls.failures = {"mail": 1}
    handle, _ = run(body)
    frozen_clock.advance(timedelta(minutes=1))
    run_jobs()
    assert keys == [str(handle.id), f"{handle.id}:mail"] * 2


def test_outside_a_worker_steps_simply_run(run, calls):
    def body(context: JobContext) -> list[int]:
        context.step.sleep("nap", 3600)
        context.step.sleep_until("morning", NOON)
        return [context.step.run("a", calls, "a", 1), context.step.atomic("b", calls, "b", 2)]

    definition = job(name="tests.plain")(body)
    assert definition() == [1, 2]
    assert not JobStep.objects.exists()


def test_outside_a_worker_each_step_of_each_call_has_an_idempotency_key_of_its_own(db):
    async def later(context):
        return context.idempotency_key

    def key_of(context):
        return context.idempotency_key

    @job(name="tests.keys")
    async def body(context: JobContext) -> list[str]:
        return [
            key_of(context),
            await context.step.arun("a", later, context),
            await context.step.aatomic("b", key_of, context),
            await context.step.arun("b", key_of, context),
        ]

    @job(name="tests.more_keys")
    def plain(context: JobContext) -> list[str]:
        return [context.step.run("a", key_of, context), context.step.run("a", key_of, context)]

    keys = async_to_sync(body.func)(JobContext("tests.keys"))
    assert [key.partition(":")[2] for key in keys] == ["", "a", "b", "b#2"]
    assert len({*plain(), *plain()}) == 4


def test_the_first_run_reads_no_steps_and_a_later_one_reads_them_in_one_query(
    run, calls, frozen_clock, django_assert_num_queries, monkeypatch
):
    calls.failures = {"last": 1}
    loads = []
    engine = type(get_engine("default"))
    plain = engine.load_steps

    def load_steps(self, *arguments):
        loads.append(arguments)
        return plain(self, *arguments)

    monkeypatch.setattr(engine, "load_steps", load_steps)

    def body(context: JobContext) -> None:
        for number in range(20):
            context.step.run(f"step {number}", calls, "one")
        context.step.run("last", calls, "last")

    run(body)
    assert loads == []
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert len(loads) == 1


def test_a_step_may_be_called_what_the_second_of_a_name_is_called(run, calls, frozen_clock):
    calls.failures = {"last": 1}

    def body(context: JobContext) -> list[str]:
        names = ["page", "page", "page#2", "page"]
        found = [context.step.run(name, calls, "p", n) for n, name in enumerate(names)]
        context.step.run("last", calls, "last")
        return found

    handle, _ = run(body)
    frozen_clock.advance(timedelta(minutes=1))
    run_jobs()
    handle.refresh()
    assert handle.result == [0, 1, 2, 3]
    assert calls.made.count("p") == 4


def test_running_a_job_now_does_not_give_its_step_new_attempts(run, calls):
    calls.failures = {"one": 99}

    def body(context: JobContext) -> None:
        context.step.run("one", calls, "one")

    handle, outcomes = run(body, max_attempts=2)
    operations.run_now([handle.id])
    assert outcomes + run_jobs() == [RunOutcome.RETRIED, RunOutcome.FAILED]


def test_a_step_is_retried_when_and_as_often_as_it_says(run, calls):
    def body(context: JobContext) -> None:
        context.step.run("one", later)

    def later():
        raise RetryAfter(500)

    run(body)
    assert the_job().run_at == NOON + timedelta(seconds=500)


@pytest.mark.parametrize("options", [{"never_retry": [KeyError]}, {"retry_on": [OSError]}])
def test_the_jobs_options_say_what_is_not_retried(run, options):
    def body(context: JobContext) -> None:
        context.step.run("one", {}.__getitem__, "x")

    _, outcomes = run(body, **options)
    assert (outcomes, steps()) == ([RunOutcome.FAILED], {"one": "failed"})


def test_secrets_are_masked_in_what_is_kept_of_a_failed_step(run, frozen_clock):
    def body(context: JobContext, token: str = "") -> None:
        context.step.run("one", refuse, token)

    def refuse(token):
        raise ValueError(f"bad token {token}")

    job(name="tests.secretive", backoff=Backoff(first=10), max_attempts=2)(body).enqueue(
        token="hush-hush"
    )
    run_jobs()
    frozen_clock.advance(timedelta(minutes=1))
    run_jobs()
    kept = [*JobStep.objects.values_list("error"), *JobRun.objects.values_list()]
    assert "hush" not in str(kept)
    assert "bad token" in str(kept)


def test_the_error_of_a_failed_step_is_an_ordinary_exception():
    failed = StepFailed("pay", "ValueError", "no money")
    again = pickle.loads(pickle.dumps(failed))
    assert (again.step, again.error_type, again.error) == ("pay", "ValueError", "no money")
    assert str(again) == 'step "pay" failed for good: ValueError: no money'
    assert repr(again) == "StepFailed('pay', 'ValueError', 'no money')"


def test_a_test_that_wants_errors_gets_that_of_a_step(run, calls):
    calls.failures = {"one": 1}

    def body(context: JobContext) -> None:
        context.step.run("one", calls, "one")

    job(name="tests.stepping")(body).enqueue()
    with pytest.raises(RuntimeError, match="one is down"):
        run_jobs(raise_errors=True)
    assert steps() == {"one": "retrying"}


def test_a_step_knows_how_often_it_was_called(run, calls, frozen_clock):
    calls.failures = {"two": 1}
    seen = []

    def body(context: JobContext) -> None:
        def note(name):
            seen.append((name, context.step.attempt, context.attempt))
            calls(name)

        context.step.run("one", note, "one")
        context.step.atomic("two", note, "two")
        seen.append(("outside", context.step.attempt))

    run(body)
    frozen_clock.advance(timedelta(minutes=1))
    run_jobs()
    assert seen == [("one", 1, 1), ("two", 1, 1), ("two", 2, 1), ("outside", 0)]
