"""Ends of jobs handed out by other code than that which ended them, as during a deploy."""

from datetime import timedelta

import pytest

from django_jobs import Event, operations, registry, when
from django_jobs.definitions import job
from django_jobs.engines import get_engine
from django_jobs.events import Relay
from django_jobs.models import Event as EventRow
from django_jobs.models import Job
from django_jobs.services.relayer import PAGES, Relayer
from django_jobs.testing import run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

CANCELLED = "django_jobs/job.cancelled"


@pytest.fixture
def told():
    """Return the events that the job `tests.told` got."""
    return []


@pytest.fixture
def newer(told):
    """Return how the newer code declares the job `tests.told`, which the older does not know."""

    def declare(**options):
        @job(name="tests.told", **options)
        def tell(event: Event) -> None:
            told.append(event)

    return declare


@pytest.fixture
def pay():
    """Return a job that both know."""

    @job(name="tests.pay")
    def pay(amount: int) -> None: ...

    return pay


def cancel(pay, amount=5):
    """Let a job be cancelled by the code that is there now; nobody hands its end out yet."""
    handle = pay.enqueue(amount)
    operations.cancel([handle.id])
    return handle


def hand_out():
    """Hand out what this code can."""
    relay = Relay()
    while relay.run(get_engine("default")).moved:
        pass


def test_older_code_leaves_an_end_to_a_worker_that_knows_who_listens(newer, pay, told, caplog):
    newer(on=when(CANCELLED, match={"job": "tests.pay"}))
    handle = cancel(pay)
    registry.unregister("tests.told")
    hand_out()
    hand_out()
    assert EventRow.objects.get().handed_out_at is None
    assert "starts tests.told, which this worker does not know" in caplog.text
    newer(on=when(CANCELLED, match={"job": "tests.pay"}))
    run_jobs()
    assert [event.data["job_id"] for event in told] == [handle.id]
    assert EventRow.objects.get().handed_out_at is not None


def test_code_that_knows_the_job_but_not_that_it_listens_starts_it(newer, pay, told):
    newer(on=when(CANCELLED, match={"queue": "default"}))
    handle = cancel(pay)
    newer()
    run_jobs()
    assert [event.data["job_id"] for event in told] == [handle.id]


def test_newer_code_does_not_start_what_listened_to_nothing_when_the_job_ended(newer, pay, told):
    get_engine("default").watch([pay.enqueue(5).id])
    operations.cancel(Job.objects.values_list("pk", flat=True))
    newer(on="django_jobs/job.finished")
    run_jobs()
    assert told == []
    assert not EventRow.objects.exists()


def test_a_match_on_other_fields_is_judged_where_the_end_is_handed_out(newer, pay, told):
    newer(on=when(CANCELLED, match={"job": "tests.pay", "attempt": 7}))
    cancel(pay)
    run_jobs()
    assert told == []
    assert not EventRow.objects.exists()


def test_a_listener_that_nobody_knows_is_given_up_in_time_and_holds_up_no_other(
    newer, pay, told, caplog, frozen_clock
):
    @job(name="tests.gone", on=CANCELLED)
    def gone(event: Event) -> None: ...

    newer(on=CANCELLED)
    cancel(pay)
    registry.unregister("tests.gone")
    run_jobs()
    assert told == []
    frozen_clock.advance(timedelta(hours=1, seconds=1))
    run_jobs()
    assert len(told) == 1
    row = EventRow.objects.get()
    assert row.problem == "no worker knows tests.gone: not started"
    assert row.started == [Job.objects.get(name="tests.told").pk]
    assert "The end of job" in caplog.text
    assert "was to start tests.gone, which no worker knows" in caplog.text


def test_events_that_are_all_left_to_others_do_not_keep_a_worker_busy(newer, pay, monkeypatch):
    monkeypatch.setattr("django_jobs.events.relaying.PAGE", 2)
    newer(on=CANCELLED)
    for number in range(2 * PAGES + 1):
        cancel(pay, number)
    registry.unregister("tests.told")
    relayer = Relayer()
    relayer.attend(get_engine("default"))
    assert not relayer.due
    newer(on=CANCELLED)
    relayer.attend(get_engine("default"))
    assert relayer.due


def test_of_a_job_that_was_deleted_meanwhile_nobody_hears_and_that_is_said(
    newer, pay, told, caplog
):
    newer(on=when(CANCELLED, match={"job": "tests.pay"}))
    handle = cancel(pay)
    operations.delete([handle.id])
    run_jobs()
    assert told == []
    row = EventRow.objects.get()
    assert row.problem == f"job #{handle.id} was deleted: tests.told not started"
    assert row.handed_out_at is not None
    assert "was deleted before its end was handed out" in caplog.text


def test_older_code_leaves_an_end_that_starts_what_takes_no_event_there(newer, pay, told):
    newer(on=when(CANCELLED, match={"job": "tests.pay"}))
    handle = cancel(pay)

    @job(name="tests.told")
    def tell(text: str) -> None: ...

    hand_out()
    assert EventRow.objects.get().handed_out_at is None
    newer(on=when(CANCELLED, match={"job": "tests.pay"}))
    run_jobs()
    assert [event.data["job_id"] for event in told] == [handle.id]


def test_a_listener_that_cannot_be_started_is_no_other_listeners_business(newer, pay, told, caplog):
    @job(name="tests.picky", on=CANCELLED, cancel_on={"order/cancelled": "order_id"})
    def picky(event: Event) -> None: ...

    newer(on=CANCELLED)
    handle = cancel(pay)
    run_jobs()
    assert [event.data["job_id"] for event in told] == [handle.id]
    row = EventRow.objects.get()
    assert row.problem.startswith(
        "tests.picky is not started: InvalidEvent: tests.picky: cancel_on"
    )
    assert row.started == [Job.objects.get(name="tests.told").pk]
    assert f"The end of job #{handle.id} does not start tests.picky. InvalidEvent" in caplog.text
