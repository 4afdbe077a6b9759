"""Steps that cannot be there are refused with the step named; the job fails at once."""

from datetime import datetime

import pytest
from django.db import transaction

from django_jobs import JobContext
from django_jobs.models import JobRun
from django_jobs.states import RunOutcome
from tests.conftest import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def test_a_naive_instant_is_refused(run, calls):
    def body(context: JobContext) -> None:
        context.step.sleep_until("morning", datetime(2030, 1, 16))  # noqa: DTZ001

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.FAILED]
    assert "is naive" in JobRun.objects.get().error_text


@pytest.mark.parametrize("verb", ["run", "atomic"])
def test_a_step_inside_a_transaction_is_refused(run, calls, verb):
    def body(context: JobContext) -> None:
        with transaction.atomic():
            getattr(context.step, verb)("one", calls, "one")

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.FAILED]
    assert "inside transaction.atomic()" in JobRun.objects.get().error_text
    assert calls.made == []


@pytest.mark.parametrize("name", ["", "x" * 201, "nul\x00", 7])
def test_a_step_needs_a_name(run, calls, name):
    def body(context: JobContext) -> None:
        context.step.run(name, calls, "one")

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.FAILED]
    assert "its name must be a text of 1 to 200" in JobRun.objects.get().error_text


def test_a_job_has_a_thousand_steps_and_no_more(run, calls, monkeypatch):
    monkeypatch.setattr("django_jobs.steps.MOST_STEPS", 3)

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
