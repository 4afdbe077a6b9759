"""Steps that cannot be there are refused with the step named; the job fails at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from django.db import transaction

from django_jobs import JobContext, job
from django_jobs.models import JobRun
from django_jobs.states import RunOutcome
from django_jobs.steps import Interruption
from django_jobs.testing import run_jobs
from tests.conftest import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def test_a_naive_instant_is_refused(run, calls):
    def body(context: JobContext) -> None:
        context.step.sleep_until("morning", datetime(2030, 1, 16))  # noqa: DTZ001

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.FAILED]
    assert "no datetime with a time zone" in JobRun.objects.get().error_text


@pytest.mark.parametrize("verb", ["run", "atomic"])
def test_a_step_inside_a_transaction_is_refused(run, calls, verb):
    def body(context: JobContext) -> None:
        with transaction.atomic():
            getattr(context.step, verb)("one", calls, "one")

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.FAILED]
    assert "inside transaction.atomic()" in JobRun.objects.get().error_text
    assert calls.made == []


@pytest.mark.parametrize("name", ["", "x" * 201, 7])
def test_a_step_needs_a_name(run, calls, name):
    def body(context: JobContext) -> None:
        context.step.run(name, calls, "one")

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.FAILED]
    assert "its name must be a text of 1 to 200" in JobRun.objects.get().error_text


@pytest.mark.parametrize("name", ["nul\x00", "half \ud83d"])
def test_a_name_that_no_database_stores_is_refused_before_anything_is_called(run, calls, name):
    def body(context: JobContext) -> None:
        context.step.run(name, calls, "one")

    _, outcomes = run(body)
    assert (outcomes, calls.made) == ([RunOutcome.FAILED], [])


@pytest.mark.parametrize("verb", ["run", "sleep"])
def test_a_step_inside_a_step_is_refused(run, calls, verb):
    def body(context: JobContext) -> None:
        context.step.run("outer", outer, context)

    def outer(context):
        inner = {"run": ("inner", calls, "inner"), "sleep": ("inner", 5)}[verb]
        getattr(context.step, verb)(*inner)

    _, outcomes = run(body)
    assert (outcomes, calls.made) == ([RunOutcome.FAILED], [])
    assert 'stands inside the step "outer"' in JobRun.objects.get().error_text


def test_a_job_that_a_step_runs_has_steps_of_its_own(run, calls):
    def body(context: JobContext) -> None:
        context.step.run("outer", outer)

    def outer():
        job(name="tests.inner")(inner).enqueue()
        assert run_jobs() == [RunOutcome.SUCCESSFUL]

    def inner(context: JobContext) -> None:
        context.step.run("inner", calls, "inner")

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.SUCCESSFUL]


def test_a_step_in_a_thread_of_the_jobs_own_is_refused(run, calls):
    def body(context: JobContext) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(context.step.run, "one", calls, "one").result()

    _, outcomes = run(body)
    assert (outcomes, calls.made) == ([RunOutcome.FAILED], [])
    assert "a thread that the job has started" in JobRun.objects.get().error_text


@pytest.mark.parametrize("verb", ["run", "atomic"])
def test_a_sync_step_in_async_code_is_refused_before_anything_is_called(run, calls, verb):
    async def body(context: JobContext) -> None:
        getattr(context.step, verb)("one", calls, "one")

    _, outcomes = run(body)
    assert (outcomes, calls.made) == ([RunOutcome.FAILED], [])
    assert "Await step.arun()" in JobRun.objects.get().error_text


def test_a_step_after_the_end_of_its_run_is_refused(run, calls):
    kept = []

    def body(context: JobContext) -> None:
        kept.append(context)

    run(body)
    with pytest.raises(Interruption):
        kept[0].step.run("late", calls, "late")
    assert calls.made == []


def test_a_job_has_a_thousand_steps_and_no_more(run, calls, monkeypatch):
    monkeypatch.setattr("django_jobs.steps.places.MOST_STEPS", 3)

    def body(context: JobContext) -> None:
        for number in range(4):
            context.step.run(f"step {number}", calls, "one")

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.FAILED]
    assert len(calls.made) == 3
    assert "at most 3 steps" in JobRun.objects.get().error_text


def test_a_result_that_json_cannot_hold_fails_the_job_and_names_the_step(run, calls):
    def body(context: JobContext) -> None:
        context.step.run("when", calls, "when", NOON)

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.FAILED]
    assert 'Step "when" of tests.stepping finished' in JobRun.objects.get().error_text


def test_what_is_too_large_is_refused(run, calls, settings):
    settings.DJANGO_JOBS = {"MAX_RESULT": 100}

    def body(context: JobContext) -> None:
        context.step.run("much", calls, "much", "x" * 200)

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.FAILED]
    assert 'Step "much"' in JobRun.objects.get().error_text
