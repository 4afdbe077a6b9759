"""The ends of jobs as events: jobs that are started when others fail, end, are cancelled."""

from datetime import timedelta

import pytest

from django_jobs import Event, NonRetriable, State, operations, when
from django_jobs.definitions import job
from django_jobs.exceptions import InvalidEvent
from django_jobs.models import Event as EventRow
from django_jobs.models import Job
from django_jobs.testing import run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


@pytest.fixture
def told():
    """Return the events that the job `tests.told` got."""
    return []


@pytest.fixture
def tell(told):
    """Return how to declare the job `tests.told`."""

    def declare(**options):
        @job(name="tests.told", **options)
        def tell(event: Event) -> None:
            told.append(event)

        return tell

    return declare


def pay(**options):
    """Declare a job that fails when its argument is negative."""

    @job(name="tests.pay", max_attempts=2, **options)
    def pay(amount: int, card: str = "") -> int:
        if amount < 0:
            raise NonRetriable("less than nothing")
        return amount

    return pay


def test_a_job_that_failed_for_good_starts_the_one_that_is_named_for_it(tell, told):
    handle = pay(on_failure=tell()).enqueue(-5)
    pay(on_failure="tests.told").enqueue(5)
    run_jobs()
    [event] = told
    assert event.name == "django_jobs/job.failed"
    assert event.data == {
        "job_id": handle.id,
        "job": "tests.pay",
        "queue": "default",
        "state": "FAILED",
        "attempt": 1,
        "args": [-5],
        "kwargs": {},
        "error_type": "django_jobs.exceptions.NonRetriable",
        "error": "less than nothing",
    }
    assert EventRow.objects.get().started == [Job.objects.get(name="tests.told").pk]


def test_a_retry_in_between_is_no_failure(tell, told, frozen_clock):
    @job(name="tests.flaky", max_attempts=2, on_failure=tell())
    def flaky() -> None:
        raise ValueError

    flaky.enqueue()
    run_jobs()
    assert told == []
    frozen_clock.advance(timedelta(hours=1))
    run_jobs()
    assert len(told) == 1


def test_secret_arguments_are_not_passed_on(tell, told):
    pay(on_failure=tell(), sensitive="card").enqueue(-5, card="4111111111111111")
    run_jobs()
    assert told[0].data["kwargs"] == {"card": "•••"}


def test_ends_of_every_kind_can_be_listened_to(tell, told):
    tell(on="django_jobs/job.finished")
    definition = pay()
    definition.enqueue(5)
    definition.enqueue(-5)
    operations.cancel([definition.enqueue(7).id])
    run_jobs()
    assert sorted(event.name for event in told) == [
        "django_jobs/job.cancelled",
        "django_jobs/job.failed",
        "django_jobs/job.successful",
    ]


def test_only_what_is_listened_to_is_written(tell, told):
    tell(on=when("django_jobs/job.failed", match={"job": "tests.other"}))
    pay().enqueue(-5)
    run_jobs()
    assert told == []
    assert not EventRow.objects.exists()


def test_a_listener_that_fails_does_not_start_itself():
    @job(name="tests.broken", on="django_jobs/job.failed", max_attempts=1)
    def broken(event: Event) -> None:
        raise ValueError("I am broken, too")

    pay().enqueue(-5)
    run_jobs()
    assert Job.objects.filter(name="tests.broken", state=State.FAILED).count() == 1


def test_a_failing_job_for_failures_can_have_one_of_its_own(tell, told):
    @job(name="tests.broken", max_attempts=1, on_failure=tell())
    def broken(event: Event) -> None:
        raise ValueError("I am broken, too")

    pay(on_failure=broken).enqueue(-5)
    run_jobs()
    assert [event.data["job"] for event in told] == ["tests.broken"]


def test_arguments_too_large_to_pass_on_are_left_out(tell, told):
    pay(on_failure=tell()).enqueue(-5, "x" * 65_450)
    run_jobs()
    assert told[0].data["args"] is None


def test_our_own_events_take_no_functions():
    with pytest.raises(InvalidEvent, match="use match="):
        when("django_jobs/job.failed", where=bool)
    with pytest.raises(InvalidEvent, match="our events are"):
        when("django_jobs/job.exploded")
