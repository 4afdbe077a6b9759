"""Events of rows: in one transaction with the row, one for each thing that happened."""

import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, close_old_connections, connection, transaction
from django.db.models.signals import post_save

from django_jobs import Event, emit_on, when
from django_jobs.definitions import job
from django_jobs.exceptions import ArgumentsTooLarge, InvalidEvent
from django_jobs.models import Event as EventRow
from django_jobs.models import Job
from tests.events.sent import names
from tests.models import Purchase

pytestmark = pytest.mark.django_db
committing = pytest.mark.django_db(transaction=True)


# One transaction


@committing
def test_a_save_whose_event_cannot_be_written_is_undone(placed, break_events):
    break_events()
    assert not connection.in_atomic_block
    with pytest.raises(IntegrityError, match="no room"):
        Purchase.objects.create()
    assert not Purchase.objects.exists()


@committing
def test_a_change_and_a_deletion_whose_event_cannot_be_written_are_undone(
    moved, gone, break_events
):
    row = Purchase.objects.create()
    break_events()
    row.state = "paid"
    with pytest.raises(IntegrityError, match="no room"):
        row.save()
    with pytest.raises(IntegrityError, match="no room"):
        row.delete()
    assert Purchase.objects.get().state == "new"


@committing
def test_a_save_that_fails_leaves_no_event(placed):
    row = Purchase.objects.create()
    with pytest.raises(IntegrityError):
        Purchase(pk=row.pk).save(force_insert=True)
    assert len(names()) == 1


def test_a_receiver_that_fails_leaves_neither(placed, connect):
    def fail(**_):
        raise RuntimeError("no")

    connect(post_save, fail)
    with pytest.raises(RuntimeError):
        Purchase.objects.create()
    assert not Purchase.objects.exists()
    assert names() == []


def test_a_rollback_takes_the_event_with_it(placed):
    with transaction.atomic():
        Purchase.objects.create()
        assert len(names()) == 1
        transaction.set_rollback(True)
    assert names() == []


@pytest.mark.parametrize("word", ["when", "data"])
def test_a_function_that_fails_undoes_the_save_and_is_named(word):
    options = {word: lambda row: row.nothing}
    emit_on(Purchase, "purchase/placed", created=True, **options)
    with pytest.raises(InvalidEvent) as caught:
        Purchase.objects.create()
    said = str(caught.value)
    assert said.startswith(
        f"purchase/placed: {word}= of emit_on(Purchase, …) raised AttributeError"
    )
    assert "Nothing was saved" in said
    assert not Purchase.objects.exists()
    assert names() == []


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ({"total": Decimal("9.90")}, TypeError, r"is a Decimal, .*Pass str\(total\)"),
        ({"at": datetime(2030, 1, 15, tzinfo=UTC)}, TypeError, r"Pass at\.isoformat\(\)"),
        ({"text": "x" * 70_000}, ArgumentsTooLarge, "Nothing was sent"),
        (None, InvalidEvent, "returned None. Let it return a dict"),
    ],
)
def test_data_that_cannot_be_sent_undoes_the_save(data, error, words):
    emit_on(Purchase, "purchase/placed", created=True, data=lambda _: data)
    with pytest.raises(error, match=words):
        Purchase.objects.create()
    assert not Purchase.objects.exists()


def test_a_listener_whose_filter_fails_undoes_the_save(placed):
    @job(name="tests.follow", on=when("purchase/placed", where=lambda event: event.data["no"]))
    def follow(event: Event) -> None:
        pass

    with pytest.raises(InvalidEvent, match=r"where= of tests\.follow raised KeyError"):
        Purchase.objects.create()
    assert not Purchase.objects.exists()
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_model_in_another_database_is_told_of_at_its_commit(placed, moved):
    with transaction.atomic(using="other"):
        row = Purchase.objects.using("other").create()
        assert names() == []
    row.state = "paid"
    row.save()
    with transaction.atomic(using="other"):
        Purchase.objects.using("other").create()
        transaction.set_rollback(True, using="other")
    assert names() == ["purchase/placed", "purchase/moved"]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_jobs_in_another_database_are_told_in_its_own_transaction(settings, placed):
    settings.DJANGO_JOBS = {"DATABASE": "other"}
    with transaction.atomic():  # the default database's has nothing to do with it
        Purchase.objects.using("other").create()
        assert EventRow.objects.using("other").count() == 1
        Purchase.objects.create()
        assert EventRow.objects.using("other").count() == 1
    assert EventRow.objects.using("other").count() == 2


def side_by_side(*functions):
    """Call each function in a thread of its own; return what they raised."""
    raised = []

    def call(function):
        try:
            function()
        except Exception as error:  # noqa: BLE001 - the test says whether there may be any
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=call, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    close_old_connections()
    return raised


@committing
@pytest.mark.parametrize("round_", range(5))
def test_two_who_pay_at_once_are_one_payment(paid, round_):
    row = Purchase.objects.create()
    barrier = threading.Barrier(2, timeout=20)

    def pay():
        mine = Purchase.objects.get(pk=row.pk)
        mine.state = "paid"
        barrier.wait()
        mine.save()

    assert side_by_side(pay, pay) == []
    assert names() == ["purchase/paid"]


@committing
def test_who_comes_second_waits_for_the_first(paid, moved):
    row = Purchase.objects.create()
    saved = threading.Event()
    begun = threading.Event()

    def first():
        with transaction.atomic():
            mine = Purchase.objects.get(pk=row.pk)
            mine.state = "paid"
            mine.save()
            saved.set()
            assert begun.wait(20)

    def second():
        assert saved.wait(20)
        begun.set()
        mine = Purchase(pk=row.pk, state="paid")
        mine.save()

    assert side_by_side(first, second) == []
    assert sorted(names()) == ["purchase/moved", "purchase/paid"]


@committing
def test_two_who_delete_at_once_are_one_deletion(gone):
    row = Purchase.objects.create()
    barrier = threading.Barrier(2, timeout=20)

    def delete():
        mine = Purchase.objects.get(pk=row.pk)
        barrier.wait()
        mine.delete()

    assert side_by_side(delete, delete) == []
    assert names() == ["purchase/gone"]
