"""Events that cancel jobs: `cancel_on`."""

import pytest

from django_jobs import Event, JobContext, State, every, operations, send_event
from django_jobs.definitions import job
from django_jobs.exceptions import InvalidEvent
from django_jobs.models import Job, Wait
from django_jobs.states import RunOutcome
from django_jobs.testing import run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def follow(cancel_on):
    """Declare a job with `cancel_on`."""

    @job(name="tests.follow", cancel_on=cancel_on)
    def follow(context: JobContext, order_id: int, customer: str = "ana") -> None:
        context.step.sleep("rest", 3600)

    return follow


def states():
    """Return the states of all jobs, by their first argument."""
    return {row.args[0]: row.state for row in Job.objects.all()}


@pytest.mark.parametrize(
    ("cancel_on", "data"),
    [
        ({"order/cancelled": "order_id"}, {"order_id": 17}),
        ({"order/cancelled": ["order_id", "customer"]}, {"order_id": 17, "customer": "ana"}),
        ({"order/cancelled": {"order.id": "order_id"}}, {"order": {"id": 17}}),
    ],
)
def test_only_the_jobs_that_are_meant_are_cancelled(cancel_on, data):
    definition = follow(cancel_on)
    definition.enqueue_many([(17,), (18,)])
    run_jobs()
    send_event("order/cancelled", data)
    run_jobs()
    assert states() == {17: State.CANCELLED, 18: State.WAITING}


def test_without_fields_all_jobs_are_cancelled_that_have_not_ended():
    definition = follow("shop/closed")
    definition.enqueue_many([(17,), (18,)])
    send_event("shop/closed")
    run_jobs()
    assert set(states().values()) <= {State.CANCELLED, State.WAITING}
    send_event("shop/closed")
    run_jobs()
    assert states() == {17: State.CANCELLED, 18: State.CANCELLED}


def test_an_event_that_came_before_the_job_cancels_nothing():
    send_event("order/cancelled", {"order_id": 17})
    run_jobs()
    follow({"order/cancelled": "order_id"}).enqueue(17)
    run_jobs()
    assert states() == {17: State.WAITING}


def test_a_job_that_has_ended_waits_for_nothing(frozen_clock):
    from datetime import timedelta

    follow({"order/cancelled": "order_id"}).enqueue(17)
    run_jobs()
    frozen_clock.advance(timedelta(hours=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert not Wait.objects.exists()
    send_event("order/cancelled", {"order_id": 17})
    run_jobs()
    assert states() == {17: State.SUCCESSFUL}


def test_a_listening_job_is_compared_by_its_event():
    @job(name="tests.follow", on="order/placed", cancel_on={"order/cancelled": "order_id"})
    def follow(context: JobContext, event: Event) -> None:
        context.step.sleep("rest", 3600)

    send_event("order/placed", {"order_id": 17})
    send_event("order/placed", {"order_id": 18})
    run_jobs()
    send_event("order/cancelled", {"order_id": 18})
    run_jobs()
    rows = Job.objects.order_by("id").values_list("state", flat=True)
    assert list(rows) == [State.WAITING, State.CANCELLED]


def test_a_job_of_a_schedule_is_cancelled_as_well(frozen_clock):
    from datetime import timedelta

    from django_jobs.schedules import sync

    @job(name="tests.nightly", schedule=every(60), cancel_on="shop/closed")
    def nightly(context: JobContext) -> None:
        context.step.sleep("rest", 3600)

    sync()
    frozen_clock.advance(timedelta(minutes=1))
    run_jobs(schedules=True)
    assert Job.objects.get().state == State.WAITING
    send_event("shop/closed")
    run_jobs()
    assert Job.objects.get().state == State.CANCELLED


def test_a_job_that_was_retried_is_cancelled_by_the_next_event(frozen_clock):
    from datetime import timedelta

    definition = follow({"order/cancelled": "order_id"})
    ids = [handle.id for handle in definition.enqueue_many([(17,), (18,)])]
    for _ in range(2):
        send_event("order/cancelled", {"order_id": 17})
        run_jobs()
        assert states() == {17: State.CANCELLED, 18: State.WAITING}
        assert operations.retry([ids[0]]).done == {ids[0]}
        run_jobs()
        assert states() == {17: State.WAITING, 18: State.WAITING}
    frozen_clock.advance(timedelta(hours=1))
    run_jobs()
    assert states() == {17: State.SUCCESSFUL, 18: State.SUCCESSFUL}
    assert not Wait.objects.exists()


def test_a_job_that_was_retried_is_cancelled_by_what_its_code_says_now():
    follow("shop/closed").enqueue(17)
    operations.cancel(Job.objects.values_list("pk", flat=True))
    run_jobs()
    follow({"order/cancelled": "order_id"})
    operations.retry(Job.objects.values_list("pk", flat=True))
    assert list(Wait.objects.values_list("event", flat=True)) == ["order/cancelled"]
    follow({"order/cancelled": "customer"})
    operations.cancel(Job.objects.values_list("pk", flat=True))
    operations.retry(Job.objects.values_list("pk", flat=True))
    send_event("order/cancelled", {"order_id": 17})
    run_jobs()
    assert states() == {17: State.WAITING}
    send_event("order/cancelled", {"customer": "ana"})
    run_jobs()
    assert states() == {17: State.CANCELLED}


@pytest.mark.parametrize("stored", [[[17]], [17, "ana", "too many"], []])
def test_arguments_that_cannot_be_compared_any_more_stop_no_retry(stored):
    handle = follow({"order/cancelled": "order_id"}).enqueue(17)
    operations.cancel([handle.id])
    run_jobs()
    Job.objects.update(args=stored)
    assert operations.retry([handle.id]).done == {handle.id}
    assert not Wait.objects.exists()


def test_a_listening_job_that_was_retried_is_compared_by_its_event():
    @job(name="tests.follow", on="order/placed", cancel_on={"order/cancelled": "order_id"})
    def follow(context: JobContext, event: Event) -> None:
        context.step.sleep("rest", 3600)

    send_event("order/placed", {"order_id": 17})
    operations.cancel(Job.objects.values_list("pk", flat=True))
    run_jobs()
    operations.retry(Job.objects.values_list("pk", flat=True))
    send_event("order/cancelled", {"order_id": 17})
    run_jobs()
    assert Job.objects.get().state == State.CANCELLED


@pytest.mark.parametrize(
    ("cancel_on", "words"),
    [
        ({"order/cancelled": "order"}, 'compares "order", but there is no such parameter'),
        ({"order/*": "order_id"}, 'has no "\\*"'),
        ({"django_jobs/job.failed": "job"}, "sent by workers only"),
        (17, "cancel_on takes an event's name"),
        ({"order/cancelled": {"id": 17}}, "fields are texts"),
    ],
)
def test_what_cannot_be_meant_is_refused(cancel_on, words):
    with pytest.raises(InvalidEvent, match=words):
        follow(cancel_on)


def test_an_argument_that_cannot_be_compared_is_refused():
    with pytest.raises(InvalidEvent, match="takes texts, numbers"):
        follow({"order/cancelled": "order_id"}).enqueue([17])
    assert not Job.objects.exists()


def test_in_a_test_what_was_sent_before_cancels_before_anything_runs():
    definition = follow({"order/cancelled": "order_id"})
    definition.enqueue(17)
    send_event("order/cancelled", {"order_id": 17})
    assert run_jobs() == []
    assert states() == {17: State.CANCELLED}
