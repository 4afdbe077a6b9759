"""A step that waits for an event: woken once, whenever the event comes, or told that it did not."""

from datetime import timedelta

import pytest
from django.db import transaction

from django_jobs import JobContext, State, operations, send_event
from django_jobs.definitions import job
from django_jobs.engines.orm import ORMEngine
from django_jobs.models import Event, Job, JobRun, JobStep, Wait
from django_jobs.states import RunOutcome
from django_jobs.testing import run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

WEEK = timedelta(days=7)


@pytest.fixture
def wait():
    """Return how to enqueue a job that waits for "order/paid" and returns what it got."""

    def wait(**options):
        @job(name="tests.waiting")
        def body(context: JobContext, order_id: int = 17) -> object:
            match = {"order_id": order_id}
            given = {"timeout": WEEK, "match": match, **options}
            event = context.step.wait_for_event("payment", "order/paid", **given)
            return event and event.data

        return body.enqueue()

    return wait


def test_a_job_that_waits_holds_nothing_and_is_woken_by_the_event(wait):
    handle = wait()
    assert run_jobs() == [RunOutcome.SUSPENDED]
    row = Job.objects.get()
    assert (row.state, row.claim_id, row.attempt) == (State.WAITING, None, 0)
    assert row.waiting_for == "event order/paid"
    assert run_jobs() == []
    send_event("order/paid", {"order_id": 17, "sum": "9.90"})
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert handle.refresh().result == {"order_id": 17, "sum": "9.90"}
    assert not Wait.objects.exists()
    assert Event.objects.get().woken == 1


def test_an_event_that_does_not_match_wakes_nobody(wait):
    wait()
    run_jobs()
    send_event("order/paid", {"order_id": 18})
    send_event("order/paid", {"order": 17})
    send_event("order/sent", {"order_id": 17})
    assert run_jobs() == []
    assert Wait.objects.count() == 1


def test_when_the_time_is_over_the_step_gives_nothing(wait, frozen_clock):
    handle = wait()
    run_jobs()
    frozen_clock.advance(WEEK)
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert handle.refresh().result is None
    assert not Wait.objects.exists()
    send_event("order/paid", {"order_id": 17})
    assert run_jobs() == []


def test_of_two_events_the_first_is_taken(wait):
    handle = wait()
    run_jobs()
    send_event("order/paid", {"order_id": 17, "number": 1})
    send_event("order/paid", {"order_id": 17, "number": 2})
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert handle.refresh().result["number"] == 1
    assert [event.woken for event in Event.objects.order_by("id")] == [1, 0]


def test_an_event_from_before_the_wait_counts_only_with_a_lookback(wait, frozen_clock):
    send_event("order/paid", {"order_id": 17})
    run_jobs()
    frozen_clock.advance(timedelta(minutes=5))
    wait()
    assert run_jobs() == [RunOutcome.SUSPENDED]
    handle = wait(lookback=timedelta(minutes=6))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert handle.refresh().result == {"order_id": 17}
    assert Wait.objects.count() == 1


def test_a_lookback_does_not_go_back_farther(wait, frozen_clock):
    send_event("order/paid", {"order_id": 17})
    frozen_clock.advance(timedelta(minutes=5))
    run_jobs()
    wait(lookback=60)
    assert run_jobs() == [RunOutcome.SUSPENDED]


def test_a_second_step_does_not_get_the_event_that_the_first_one_had(frozen_clock):
    @job(name="tests.twice")
    def twice(context: JobContext) -> list[int]:
        events = [
            context.step.wait_for_event("tick", "tick", timeout=WEEK, lookback=3600)
            for _ in range(2)
        ]
        return [event.data["number"] for event in events]

    send_event("tick", {"number": 1})
    handle = twice.enqueue()
    assert run_jobs() == [RunOutcome.SUSPENDED]
    send_event("tick", {"number": 2})
    run_jobs()
    assert handle.refresh().result == [1, 2]


def test_an_event_that_is_rolled_back_wakes_nobody(wait):
    wait()
    run_jobs()
    with transaction.atomic():
        send_event("order/paid", {"order_id": 17})
        transaction.set_rollback(True)
    assert run_jobs() == []
    assert not Event.objects.exists()


def test_an_event_that_comes_while_the_job_still_runs_is_not_lost(wait, monkeypatch):
    """The step is on record, the job not yet suspended, when the event is handed out."""
    from django_jobs import testing

    handle = wait()
    finish = testing.after_run

    def send_meanwhile(outcome):
        monkeypatch.setattr(testing, "after_run", finish)
        send_event("order/paid", {"order_id": 17})
        testing.Relay().run(testing.get_engine("default"))
        assert Job.objects.get().woken
        return finish(outcome)

    monkeypatch.setattr(testing, "after_run", send_meanwhile)
    assert run_jobs() == [RunOutcome.SUSPENDED, RunOutcome.SUCCESSFUL]
    assert handle.refresh().result == {"order_id": 17}
    assert not Job.objects.get().woken


def test_a_waiting_job_can_be_cancelled_and_goes_on_waiting_after_a_retry(wait):
    handle = wait()
    run_jobs()
    operations.cancel([handle.id])
    assert handle.refresh().status == State.CANCELLED
    operations.retry([handle.id])
    assert run_jobs() == [RunOutcome.SUSPENDED]
    send_event("order/paid", {"order_id": 17})
    assert run_jobs() == [RunOutcome.SUCCESSFUL]


def test_after_a_retry_from_the_start_it_waits_anew(wait):
    handle = wait()
    run_jobs()
    operations.cancel([handle.id])
    operations.retry([handle.id], from_start=True)
    assert not Wait.objects.exists()
    assert not JobStep.objects.exists()
    assert run_jobs() == [RunOutcome.SUSPENDED]
    assert Wait.objects.count() == 1


def test_nobody_can_wait_for_what_nobody_can_send(wait):
    @job(name="tests.hopeless", max_attempts=1)
    def hopeless(context: JobContext) -> None:
        context.step.wait_for_event("end", "django_jobs/job.failed", timeout=5)

    hopeless.enqueue()
    assert run_jobs() == [RunOutcome.FAILED]
    assert "sent by workers only" in JobRun.objects.get().error_text


def test_outside_of_a_worker_it_returns_at_once():
    context = JobContext.detached("tests.detached")
    assert context.step.wait_for_event("payment", "order/paid", timeout=5) is None


def test_a_run_that_died_before_it_looked_back_is_made_up_for(wait, monkeypatch, frozen_clock):
    send_event("order/paid", {"order_id": 17})
    run_jobs()
    handle = wait(lookback=60)
    with monkeypatch.context() as patch:
        patch.setattr(ORMEngine, "find_event", lambda *_: None)  # as if it had not come so far
        assert run_jobs() == [RunOutcome.SUSPENDED]
    frozen_clock.advance(timedelta(minutes=5))
    Job.objects.update(state=State.READY)
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert handle.refresh().result == {"order_id": 17}


def test_fields_whose_names_no_wait_could_hold_are_refused(wait):
    wait(match={f"{number}" + "ж" * 100: 1 for number in range(10)})
    run_jobs()
    assert "InvalidEvent" in JobRun.objects.get().error_type
