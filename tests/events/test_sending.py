"""Sending: one row and the jobs that listen, in the sender's transaction, once per id and day."""

from datetime import timedelta

import pytest
from django.db import transaction

from django_jobs import Event, JobContext, State, send_event, when
from django_jobs.definitions import job
from django_jobs.exceptions import ArgumentsTooLarge, InvalidEvent
from django_jobs.models import Event as EventRow
from django_jobs.models import Job
from django_jobs.testing import run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


@pytest.fixture
def heard():
    """Return the events that listening jobs got."""
    return []


@pytest.fixture
def listen(heard):
    """Return how to declare a job that listens and notes what it hears."""

    def listen(on, name="tests.listening", **options):
        @job(name=name, on=on, **options)
        def note(event: Event) -> None:
            heard.append((name, event.name, dict(event.data), event.id))

        return note

    return listen


def test_every_listening_job_is_started_with_the_event(listen, heard, frozen_clock):
    listen("order/paid", "tests.ship")
    listen(["order/paid", "order/sent"], "tests.note")
    listen("order/sent", "tests.thank")
    sent = send_event("order/paid", {"order_id": 17})
    assert sent.created
    assert {handle.name for handle in sent.jobs} == {"tests.ship", "tests.note"}
    row = EventRow.objects.get()
    assert sorted(row.started) == sorted(handle.id for handle in sent.jobs)
    run_jobs()
    assert sorted(heard) == [
        (name, "order/paid", {"order_id": 17}, row.pk) for name in ("tests.note", "tests.ship")
    ]


def test_an_event_that_nobody_hears_is_on_record_all_the_same():
    sent = send_event("order/paid", {"order_id": 17})
    assert sent.jobs == []
    run_jobs()
    row = EventRow.objects.get()
    assert (row.started, row.woken) == ([], 0)
    assert row.handed_out_at is not None


def test_a_pattern_hears_all_below_it(listen, heard):
    listen("order/*")
    for name in ("order/paid", "order/sent", "orders/paid", "invoice/paid"):
        send_event(name)
    run_jobs()
    assert [name for _, name, _, _ in heard] == ["order/paid", "order/sent"]


def test_fields_and_functions_decide_what_is_heard(listen, heard):
    listen(
        when("order/paid", match={"customer.country": "DE"}, where=lambda e: e.data["sum"] > 100)
    )
    send_event("order/paid", {"customer": {"country": "DE"}, "sum": 120})
    send_event("order/paid", {"customer": {"country": "DE"}, "sum": 80})
    send_event("order/paid", {"customer": {"country": "FR"}, "sum": 120})
    run_jobs()
    assert [data["sum"] for _, _, data, _ in heard] == [120]


def test_a_job_whose_triggers_both_fit_is_started_once(listen):
    listen(["order/*", "order/paid"])
    assert len(send_event("order/paid").jobs) == 1


def test_a_failing_filter_is_named_and_nothing_is_sent(listen):
    listen(when("order/paid", where=lambda event: event.data["missing"]))
    with pytest.raises(InvalidEvent, match=r"where= of tests\.listening raised KeyError"):
        send_event("order/paid", {"order_id": 17})
    assert not EventRow.objects.exists()
    assert not Job.objects.exists()


def test_what_is_sent_in_a_transaction_goes_with_it(listen):
    listen("order/paid")
    with transaction.atomic():
        send_event("order/paid")
        transaction.set_rollback(True)
    assert not EventRow.objects.exists()
    assert not Job.objects.exists()


def test_an_id_counts_once_a_day(listen, frozen_clock):
    listen("order/paid")
    first = send_event("order/paid", id="17")
    again = send_event("order/paid", id="17")
    other = send_event("order/sent", id="17")
    assert (first.created, again.created, other.created) == (True, False, True)
    assert (len(first.jobs), len(again.jobs)) == (1, 0)
    assert EventRow.objects.get(pk=again.id).is_repeated
    frozen_clock.advance(timedelta(hours=24))
    assert send_event("order/paid", id="17").created
    assert not send_event("order/paid", id="17").created


def test_a_repeated_event_wakes_nobody():
    @job(name="tests.waiting")
    def body(context: JobContext) -> None:
        context.step.wait_for_event("payment", "order/paid", timeout=60)

    send_event("order/paid", id="17")
    run_jobs()
    body.enqueue()
    run_jobs()
    send_event("order/paid", id="17")
    assert run_jobs() == []
    assert Job.objects.get().state == State.WAITING


def test_a_job_that_listens_can_be_enqueued_and_called_by_hand(listen, heard):
    note = listen("order/paid")
    note.enqueue(Event("order/paid", {"order_id": 17}))
    run_jobs()
    note(Event("order/paid", {"order_id": 18}))
    assert heard == [
        ("tests.listening", "order/paid", {"order_id": 17}, None),
        ("tests.listening", "order/paid", {"order_id": 18}, None),
    ]
    with pytest.raises(TypeError, match='takes an Event as "event"'):
        note.enqueue({"order_id": 17})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("",), "1 to 200 characters"),
        (("order/*",), 'has no "\\*"'),
        (("django_jobs/job.failed",), "sent by workers only"),
        (("order/paid", [1]), "data is a dict"),
        ((17,), "1 to 200 characters"),
        (("nul\0",), "1 to 200 characters"),
    ],
)
def test_what_cannot_be_an_event_is_refused(arguments, words):
    with pytest.raises(InvalidEvent, match=words):
        send_event(*arguments)
    assert not EventRow.objects.exists()


@pytest.mark.parametrize("key", ["", "x" * 201, 17, "a\0b"])
def test_what_cannot_be_an_id_is_refused(key):
    with pytest.raises(InvalidEvent, match="id is a text of 1 to 200 characters"):
        send_event("order/paid", id=key)
    assert not EventRow.objects.exists()


@pytest.mark.parametrize("name", ["evil\0", "\ud800", 1, None])
def test_names_in_data_that_cannot_be_stored_are_refused(name):
    with pytest.raises(InvalidEvent, match="the names in data are texts"):
        send_event("order/paid", {"order_id": 17, name: 1})
    assert not EventRow.objects.exists()


def test_data_that_cannot_be_stored_is_refused():
    with pytest.raises(TypeError, match='data "when" of event "order/paid" is a timedelta'):
        send_event("order/paid", {"when": timedelta(1)})
    with pytest.raises(ArgumentsTooLarge, match="Nothing was sent"):
        send_event("order/paid", {"text": "x" * 70_000})
    assert not EventRow.objects.exists()


HOSTILE = {
    "'; DROP TABLE django_jobs_job; --": "<script>alert(1)</script>",
    "ключ": ["💥", None, 1e300, -0.5, 2**60],
    "deep": {"a": {"b": {"c": {"d": "%s %(x)s {0}"}}}},
    "": "",
}


def test_hostile_data_comes_through_as_it_is(listen, heard):
    listen("order/paid")
    send_event("order/paid", HOSTILE)
    run_jobs()
    assert heard[0][2] == HOSTILE


def test_hostile_data_is_matched_as_it_is():
    @job(name="tests.waiting")
    def body(context: JobContext) -> bool:
        match = {"'; DROP TABLE django_jobs_job; --": "<script>alert(1)</script>"}
        return context.step.wait_for_event("x", "order/paid", match=match, timeout=60) is not None

    handle = body.enqueue()
    run_jobs()
    send_event("order/paid", HOSTILE)
    run_jobs()
    assert handle.refresh().result is True


def test_a_job_with_a_wrong_head_cannot_listen():
    with pytest.raises(TypeError, match="called with the event and nothing else") as caught:

        @job(name="tests.wrong", on="order/paid")
        def wrong(order_id: int) -> None: ...

    assert str(caught.value).endswith(
        "finds it by its annotation: def wrong(event: Event), "
        "or def wrong(context: JobContext, event: Event)."
    )

    with pytest.raises(InvalidEvent, match="stands only at the end"):

        @job(name="tests.wrong", on="*/paid")
        def wrong_too(event: Event) -> None: ...
