"""Handing out beside trouble: events that cannot be handed out, jobs that are locked, other relays."""

import threading
from datetime import timedelta

import pytest
from django.db import connections

from django_jobs import JobContext, State, operations, send_event
from django_jobs.definitions import job
from django_jobs.engines import get_engine
from django_jobs.events import Relay, relaying
from django_jobs.events.starting import Starter
from django_jobs.models import Event as EventRow
from django_jobs.models import Job, JobStep
from django_jobs.testing import run_jobs
from tests.engines.rivals import DEADLINE, Rival

WEEK = 604_800
committing = pytest.mark.django_db(transaction=True)


@pytest.fixture
def waiting():
    """Return how to make jobs that wait for "tick" with a number."""

    @job(name="tests.waiting")
    def body(context: JobContext, number: int) -> object:
        match = {"number": number}
        event = context.step.wait_for_event("tick", "tick", match=match, timeout=WEEK)
        return event and event.data["number"]

    def start(*numbers):
        handles = [body.enqueue(number) for number in numbers]
        run_jobs()
        assert Job.objects.filter(state=State.WAITING).count() == len(numbers)
        return handles

    return start


@pytest.fixture
def poison(monkeypatch):
    """Return how to let an event be one that nobody can hand out."""
    bad = set()
    start = Starter.start

    def start_or_raise(self, engine, events, *more):
        if found := bad & {event.id for event in events}:
            raise ValueError(f"poison {found}")
        return start(self, engine, events, *more)

    monkeypatch.setattr(Starter, "start", start_or_raise)
    return bad.add


@pytest.fixture
def small_page(monkeypatch):
    """Let a page have three events."""
    monkeypatch.setattr(relaying, "PAGE", 3)


@pytest.fixture
def rival(transactional_db):
    """Return another session."""
    other = Rival(type(get_engine("default")))
    yield other
    other.close()


def hand_out():
    """Do what the service does; return how many turns it took."""
    relay, turns = Relay(), 1
    while relay.run(get_engine("default")).more:
        turns += 1
        assert turns < 50
    return turns


def problems():
    """Return the events that were given up."""
    return set(EventRow.objects.exclude(problem="").values_list("pk", flat=True))


@committing
def test_an_event_that_cannot_be_handed_out_stops_no_other_and_is_named(waiting, poison, caplog):
    waiting(1, 2, 3)
    events = [send_event("tick", {"number": number}).id for number in (1, 2, 3)]
    poison(events[1])
    hand_out()
    assert problems() == {events[1]}
    assert not EventRow.objects.filter(handed_out_at=None).exists()
    assert Job.objects.filter(state=State.READY).count() == 2
    assert f"Event tick #{events[1]} is not handed out. ValueError: poison" in caplog.text


@committing
def test_of_many_relays_at_once_none_gives_up_an_event_that_is_good(waiting, poison):
    numbers = range(12)
    waiting(*numbers)
    bad = set()
    for number in numbers:
        bad.add(event := send_event("poison").id)
        poison(event)
        send_event("tick", {"number": number})
    _at_once(4, hand_out)
    hand_out()
    assert problems() == bad
    assert Job.objects.filter(state=State.READY).count() == len(numbers)


@committing
@pytest.mark.postgresql
@pytest.mark.usefixtures("small_page")
def test_events_whose_jobs_are_locked_hold_up_none_behind_them(waiting, rival):
    locked = [handle.id for handle in waiting(*range(7))]
    (free,) = [handle.id for handle in waiting_too(waiting, locked)]
    for number in range(8):
        send_event("tick", {"number": number})
    rival.begin()
    rival.sql("SELECT 1 FROM django_jobs_job WHERE id = ANY(%s) FOR NO KEY UPDATE", locked)
    hand_out()
    assert Job.objects.get(pk=free).state == State.READY
    assert Job.objects.filter(state=State.WAITING).count() == 7
    rival.rollback()
    hand_out()
    assert Job.objects.filter(state=State.READY).count() == 8
    assert not EventRow.objects.filter(handed_out_at=None).exists()


@committing
@pytest.mark.postgresql
@pytest.mark.usefixtures("small_page")
def test_beside_one_that_is_locked_poison_holds_up_nobody(waiting, rival, poison):
    locked, *_ = waiting(0, 1)
    send_event("tick", {"number": 0})
    poison(bad := send_event("poison").id)
    send_event("tick", {"number": 1})
    with rival.holding("django_jobs_job", locked.id):
        hand_out()
        assert problems() == {bad}
        assert Job.objects.filter(state=State.READY).count() == 1
    hand_out()
    assert Job.objects.filter(state=State.READY).count() == 2


@committing
@pytest.mark.usefixtures("small_page")
def test_page_after_page_is_handed_out_in_the_order_of_sending(waiting):
    waiting(*range(10))
    for number in range(10):
        send_event("tick", {"number": number})
    assert hand_out() <= 5
    assert JobStep.objects.filter(state="done").count() == 10
    assert [event.woken for event in EventRow.objects.all()] == [1] * 10


@pytest.mark.django_db
def test_one_that_is_retried_before_its_end_was_handed_out_can_still_be_cancelled():
    @job(name="tests.failing", cancel_on="shop/closed", max_attempts=1)
    def failing() -> None:
        raise ValueError("no")

    handle = failing.using(run_after=timedelta(days=7)).enqueue()
    operations.cancel([handle.id])
    operations.retry([handle.id])
    hand_out()
    send_event("shop/closed")
    hand_out()
    assert handle.refresh().status == State.CANCELLED


def waiting_too(waiting, before):
    """Return one more waiting job."""
    Job.objects.filter(pk__in=before).update(state=State.SCHEDULED, waiting_for=None)
    handles = waiting(7)
    Job.objects.filter(pk__in=before).update(state=State.WAITING)
    return handles


def _at_once(count, work):
    """Run `work` in threads of their own that begin together; raise what any of them raised."""
    barrier, errors = threading.Barrier(count), []

    def run():
        try:
            barrier.wait(DEADLINE)
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    if errors:
        raise errors[0]
