"""Under which names the ends of jobs are heard: former ones, and such as no job has."""

import pytest

from django_jobs import Event, NonRetriable, operations, registry, when
from django_jobs.definitions import job
from django_jobs.exceptions import InvalidEvent
from django_jobs.models import Event as EventRow
from django_jobs.models import Job
from django_jobs.testing import run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

FAILED = "django_jobs/job.failed"


def failing(name, **options):
    """Declare a job that fails."""

    @job(name=name, **options)
    def fail() -> None:
        raise NonRetriable("no")

    return fail


@pytest.fixture
def told():
    """Return the names of the jobs whose ends were told."""
    return []


@pytest.fixture
def tell(told):
    """Return how to declare a job that listens."""

    def declare(**options):
        @job(name="tests.told", **options)
        def tell(event: Event) -> None:
            told.append(event.data["job"])

        return tell

    return declare


def enqueue_before_it_was_renamed(old):
    """Enqueue a job under a name that is a former one by now."""
    failing(old).enqueue()
    registry.unregister(old)


@pytest.mark.parametrize("named", ["tests.new", "tests.old"])
def test_a_renamed_job_is_heard_under_both_names_whichever_the_listener_says(tell, told, named):
    enqueue_before_it_was_renamed("tests.old")
    failing("tests.new", aliases=["tests.old"]).enqueue()
    tell(on=when(FAILED, match={"job": named}))
    run_jobs()
    assert told == ["tests.old", "tests.new"]


def test_the_failure_of_a_job_under_its_former_name_starts_what_is_named_for_it_once(tell, told):
    enqueue_before_it_was_renamed("tests.old")
    failing("tests.new", aliases=["tests.old"], on_failure=tell())
    run_jobs()
    assert told == ["tests.old"]


def test_a_listener_does_not_hear_of_itself_under_its_former_name():
    enqueue_before_it_was_renamed("tests.old")

    @job(name="tests.new", aliases=["tests.old"], on=FAILED)
    def broken(event: Event) -> None:
        raise NonRetriable("I am broken, too")

    run_jobs()
    assert not Job.objects.filter(name="tests.new").exists()


def test_a_job_that_this_code_does_not_know_is_heard_all_the_same(tell, told):
    handle = failing("tests.removed").enqueue()
    registry.unregister("tests.removed")
    tell(on=when("django_jobs/job.cancelled", match={"job": "tests.removed"}))
    operations.cancel([handle.id])
    run_jobs()
    assert told == ["tests.removed"]


@pytest.mark.parametrize("name", ["tests.\x00", "tests.\ud800", 17, True, None])
def test_what_no_job_can_be_called_is_heard_of_nobody(tell, told, name):
    tell(on=when(FAILED, match={"job": name}))
    failing("tests.pay").enqueue()
    failing("17").enqueue()
    assert len(run_jobs()) == 2
    assert told == []
    assert not EventRow.objects.exists()


@pytest.mark.parametrize(
    "value",
    ["\x00", "\ud800", "'", '"{\\}', float("nan"), float("inf"), 2**70, "ä", "\N{PILE OF POO}"],
)
def test_whatever_a_listener_compares_no_end_is_refused_for_it(tell, told, value):
    tell(on=[when(FAILED, match={"error": value}), when(FAILED, match={"queue": "default"})])
    failing("tests.pay").enqueue()
    run_jobs()
    assert told == ["tests.pay"]


def test_a_number_too_long_to_be_written_is_refused_at_once():
    with pytest.raises(InvalidEvent, match="a number too long"):
        when(FAILED, match={"attempt": 10**5000})
