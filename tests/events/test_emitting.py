"""Events of saved and deleted rows: in the save's own transaction, one for each thing that happened."""

import json
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.core import serializers
from django.db import IntegrityError, close_old_connections, connection, models, transaction
from django.db.models import F
from django.db.models.signals import post_save, pre_save

from django_jobs import Event, emit_on, when
from django_jobs.definitions import job
from django_jobs.engines import engine_class
from django_jobs.events import emitting
from django_jobs.exceptions import ArgumentsTooLarge, InvalidEvent
from django_jobs.models import Event as EventRow
from django_jobs.models import Job
from django_jobs.testing import run_jobs
from tests.models import Abstract, Gift, Purchase, QuickPurchase, Tag, Voucher

pytestmark = pytest.mark.django_db
committing = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch):
    monkeypatch.setattr(emitting, "_declared", defaultdict(dict))


@pytest.fixture
def placed():
    """A purchase gives rise to an event when it is made."""
    emit_on(Purchase, "purchase/placed", created=True)


@pytest.fixture
def paid():
    """A purchase gives rise to an event when it is paid."""
    emit_on(Purchase, "purchase/paid", changed="state", when=lambda row: row.state == "paid")


@pytest.fixture
def moved():
    """A purchase gives rise to an event whenever its state changes."""
    emit_on(Purchase, "purchase/moved", changed=["state"])


@pytest.fixture
def gone():
    """A purchase gives rise to an event when it is deleted."""
    emit_on(Purchase, "purchase/gone", deleted=True)


@pytest.fixture
def connect():
    """Return how to have a function called at a signal until the test is over."""
    connected = []

    def connect(signal, function, sender=Purchase):
        signal.connect(function, sender=sender)
        connected.append((signal, function, sender))

    yield connect
    for signal, function, sender in connected:
        signal.disconnect(function, sender=sender)


@pytest.fixture
def break_events(monkeypatch):
    """Let no event be written any more."""

    def refuse(*_):
        raise IntegrityError("no room for events")

    def now():
        monkeypatch.setattr(engine_class(connection), "insert_event", refuse)

    return now


def told():
    """The changes of each event that was sent."""
    return [data["changed"] for data in datas()]


def datas():
    return [
        json.loads(text) for text in EventRow.objects.order_by("id").values_list("data", flat=True)
    ]


def names():
    return list(EventRow.objects.order_by("id").values_list("name", flat=True))


def test_a_new_row_is_told_of_with_its_key(placed):
    row = Purchase.objects.create()
    row.save()
    assert names() == ["purchase/placed"]
    assert datas() == [{"model": "tests.purchase", "pk": row.pk, "created": True, "changed": {}}]


def test_a_change_is_told_of_with_the_old_and_the_new_value(moved):
    row = Purchase.objects.create()
    row.state, row.pieces = "paid", 7
    row.save()
    said = {"created": False, "changed": {"state": ["new", "paid"]}}
    assert datas() == [{"model": "tests.purchase", "pk": row.pk, **said}]


def test_a_job_hears_of_the_row(placed):
    @job(name="tests.follow", on="purchase/placed")
    def follow(event: Event) -> int:
        return event.data["pk"]

    row = Purchase.objects.create()
    run_jobs(raise_errors=True)
    assert Job.objects.get(name="tests.follow").runs.get().result == row.pk


def test_a_row_that_is_new_has_changed_nothing(moved):
    Purchase.objects.create(state="paid")
    assert told() == []


def test_several_conditions_are_each_enough():
    emit_on(Purchase, "purchase/touched", created=True, changed=["state", "pieces"])
    row = Purchase.objects.create()
    row.pieces = 2
    row.save()
    row.note = "!"
    row.save()
    assert told() == [{}, {"pieces": [1, 2]}]


def test_what_a_function_adds_goes_along():
    emit_on(Purchase, "purchase/placed", created=True, data=lambda row: {"total": str(row.total)})
    Purchase.objects.create(total=Decimal("9.90"))
    assert datas()[0]["total"] == "9.90"


def test_a_second_declaration_replaces_the_first(placed):
    emit_on(Purchase, "purchase/placed", created=True, data=lambda _: {"again": True})
    Purchase.objects.create()
    assert [data["again"] for data in datas()] == [True]


def test_each_of_several_declarations_has_its_event(placed, moved, paid):
    row = Purchase.objects.create()
    row.state = "sent"
    row.save()
    row.state = "paid"
    row.save()
    assert names() == ["purchase/placed", "purchase/moved", "purchase/moved", "purchase/paid"]


# What counts as a change


def test_a_save_without_the_field_is_not_looked_at(moved, django_assert_num_queries):
    row = Purchase.objects.create()
    row.state, row.pieces = "paid", 2
    with django_assert_num_queries(1):
        row.save(update_fields=["pieces"])
    assert told() == []
    row.save(update_fields=["state"])
    assert told() == [{"state": ["new", "paid"]}]


def test_a_save_that_changes_nothing_costs_one_query_more(moved, django_assert_num_queries):
    row = Purchase.objects.create()
    with django_assert_num_queries(4):  # savepoint, the look, the save, savepoint
        row.save()


def test_an_instance_that_is_out_of_date_is_compared_with_its_row(paid, moved):
    row = Purchase.objects.create()
    stale = Purchase.objects.get(pk=row.pk)
    row.state = "paid"
    row.save()
    stale.state = "paid"
    stale.save()
    assert told() == [{"state": ["new", "paid"]}] * 2
    other = Purchase.objects.get(pk=row.pk)
    Purchase.objects.filter(pk=row.pk).update(state="sent")
    other.save()
    assert told()[2:] == [{"state": ["sent", "paid"]}] * 2


def test_a_reloaded_instance_has_not_changed(moved):
    row = Purchase.objects.create()
    row.state = "paid"
    row.refresh_from_db()
    row.save()
    assert told() == []


def test_deferred_fields_are_left_alone(moved):
    Purchase.objects.create()
    row = Purchase.objects.defer("state").get()
    row.pieces = 2
    row.save()
    assert told() == []


def test_an_instance_that_was_not_loaded_is_compared_with_its_row(moved):
    row = Purchase.objects.create()
    Purchase(pk=row.pk, state="paid").save()
    assert told() == [{"state": ["new", "paid"]}]


def test_the_database_says_what_an_expression_is():
    emit_on(Purchase, "purchase/moved", changed="pieces")
    row = Purchase.objects.create()
    row.pieces = F("pieces") + 1
    row.save()
    row.refresh_from_db()
    row.pieces = F("pieces")
    row.save()
    assert told() == [{"pieces": [1, 2]}]


@pytest.mark.parametrize(
    ("field", "value"),
    [("pieces", "1"), ("total", "0"), ("total", 0.0), ("total", Decimal("0.00")), ("extra", {})],
)
def test_the_same_value_spelled_in_another_way_is_no_change(field, value):
    emit_on(Purchase, "purchase/moved", changed=field)
    row = Purchase.objects.create()
    setattr(row, field, value)
    row.save()
    assert told() == []


def test_values_that_json_does_not_have_are_told_as_text():
    emit_on(Purchase, "moved", changed=["total", "bought_at", "voucher", "note", "extra"])
    row, voucher = Purchase.objects.create(), Voucher.objects.create()
    row.total, row.bought_at = Decimal("9.90"), datetime(2030, 1, 15, 12, tzinfo=UTC)
    row.voucher, row.note, row.extra = voucher, "ä" * 100_000, {"a": [1, None, "x"]}
    row.save()
    assert told() == [
        {
            "total": ["0.00", "9.90"],
            "bought_at": [None, "2030-01-15T12:00:00+00:00"],
            "voucher": [None, str(voucher.pk)],
            "note": ["", "ä" * 499 + "…"],
            "extra": [{}, {"a": [1, None, "x"]}],
        }
    ]


def test_a_key_that_json_does_not_have_is_told_as_text():
    emit_on(Voucher, "voucher/new", created=True)
    voucher = Voucher.objects.create()
    assert datas()[0]["pk"] == str(voucher.pk)


def test_receivers_that_save_again_are_told_of_once(placed, moved, connect):
    def pay(instance, created, **_):
        if created:
            instance.state = "paid"
            instance.save()

    connect(post_save, pay)
    row = Purchase.objects.create()
    assert Purchase.objects.get().state == "paid"
    row.pieces = 3
    row.save()
    assert sorted(names()) == ["purchase/moved", "purchase/placed"]


def test_a_receiver_that_saves_another_change_is_told_of_each_change_once(moved, connect):
    def send(instance, **_):
        if instance.state == "paid":
            instance.state = "sent"
            instance.save()

    row = Purchase.objects.create()
    connect(post_save, send)
    row.state = "paid"
    row.save()
    assert sorted(told(), key=str) == [{"state": ["new", "paid"]}, {"state": ["paid", "sent"]}]


def test_what_a_receiver_sets_before_the_save_counts(moved, connect):
    def pay(instance, **_):
        instance.state = "paid"

    row = Purchase.objects.create()
    connect(pre_save, pay)
    row.save()
    assert told() == [{"state": ["new", "paid"]}]


# All ways to save


def test_every_way_that_saves_an_instance_counts(placed, moved):
    _, made = Purchase.objects.get_or_create(note="x")
    assert made
    Purchase.objects.update_or_create(note="x", defaults={"state": "paid"})
    Voucher.objects.create().purchases.create()
    assert names() == ["purchase/placed", "purchase/moved", "purchase/placed"]


@committing
def test_async_saves_count(placed, moved):
    async def save():
        row = await Purchase.objects.acreate()
        row.state = "paid"
        await row.asave()

    async_to_sync(save)()
    assert names() == ["purchase/placed", "purchase/moved"]


def test_a_save_in_the_admin_counts(placed, moved, rf, admin_user):
    site = admin.ModelAdmin(Purchase, admin.site)
    site.fields, request = ["state", "pieces", "note"], rf.post("/")
    request.user = admin_user
    row = Purchase()
    for state in ("new", "paid"):
        form = site.get_form(request)({"state": state, "pieces": 1, "note": "x"}, instance=row)
        site.save_model(request, form.save(commit=False), form, change=False)
    assert names() == ["purchase/placed", "purchase/moved"]


def test_what_saves_no_instance_sends_nothing(placed, moved, gone):
    rows = Purchase.objects.bulk_create([Purchase(), Purchase()])
    Purchase.objects.update(state="paid")
    rows[0].state = "sent"
    Purchase.objects.bulk_update(rows, ["state"])
    Purchase.objects.all()._raw_delete("default")
    assert names() == []


def test_fixtures_send_nothing(placed, moved):
    text = serializers.serialize("json", [Purchase(pk=17, state="paid")])
    for loaded in serializers.deserialize("json", text):
        loaded.save()
    Purchase(pk=18).save_base(raw=True)
    assert Purchase.objects.count() == 2
    assert names() == []


def test_a_proxy_is_the_model_whose_rows_it_has(placed, moved, gone):
    row = QuickPurchase.objects.create()
    row.state = "paid"
    row.save()
    QuickPurchase.objects.all().delete()
    assert names() == ["purchase/placed", "purchase/moved", "purchase/gone"]
    assert {data["model"] for data in datas()} == {"tests.purchase"}


def test_a_proxy_that_is_defined_later_is_known(gone):
    class LatePurchase(Purchase):
        class Meta:
            app_label = "tests"
            proxy = True

    try:
        LatePurchase.objects.create().delete()
        assert names() == ["purchase/gone"]
    finally:
        del LatePurchase._meta.apps.all_models["tests"]["latepurchase"]
        LatePurchase._meta.apps.clear_cache()


def test_a_child_is_told_of_as_its_parent(placed, moved, gone):
    gift = Gift.objects.create()
    gift.state = "paid"
    gift.save()
    gift.delete()
    assert names() == ["purchase/placed", "purchase/moved", "purchase/gone"]
    assert {data["model"] for data in datas()} == {"tests.purchase"}


def test_parent_and_child_have_declarations_of_their_own(moved):
    emit_on(Gift, "gift/new", created=True)
    emit_on(Gift, "gift/moved", changed=["state", "message"])
    parent = Purchase.objects.create()
    gift = Gift(purchase_ptr=parent, message="Hello")
    gift.save()
    gift.state, gift.message = "paid", "Hi"
    gift.save()
    assert names() == ["gift/new", "purchase/moved", "gift/moved"]
    assert told()[1:] == [
        {"state": ["new", "paid"]},
        {"state": ["new", "paid"], "message": ["Hello", "Hi"]},
    ]
    parent.state = "sent"
    parent.save()
    assert names()[3:] == ["purchase/moved"]


def test_a_row_that_a_child_is_added_to_is_not_new(placed):
    parent = Purchase.objects.create()
    Gift(purchase_ptr=parent).save()
    assert len(names()) == 1


def test_a_model_with_a_save_of_its_own_keeps_it(monkeypatch):
    saved = []

    def save(self, *arguments, **options):
        saved.append(self.pk)
        models.Model.save(self, *arguments, **options)

    monkeypatch.setattr(Voucher, "save", save)
    emit_on(Voucher, "voucher/new", created=True)
    voucher = Voucher.objects.create()
    assert saved == [voucher.pk]
    assert names() == ["voucher/new"]


# Deletions


def test_deleted_rows_are_told_of_one_by_one(gone):
    row = Purchase.objects.create()
    key = row.pk
    row.delete()
    assert datas() == [{"model": "tests.purchase", "pk": key, "deleted": True}]
    Purchase.objects.bulk_create([Purchase(), Purchase(), Purchase(state="kept")])
    Purchase.objects.exclude(state="kept").delete()
    assert names() == ["purchase/gone"] * 3


def test_rows_that_go_with_others_are_told_of(gone):
    voucher = Voucher.objects.create()
    voucher.purchases.create()
    voucher.delete()
    assert names() == ["purchase/gone"]


def test_a_row_that_is_gone_is_not_told_of_twice(gone):
    row = Purchase.objects.create()
    again = Purchase.objects.get()
    row.delete()
    again.delete()
    Purchase(pk=4711).delete()
    assert names() == ["purchase/gone"]


def test_a_deletion_can_be_refused_and_told_of_with_what_is_still_there():
    emit_on(
        Purchase,
        "gone",
        deleted=True,
        when=lambda row: row.state == "paid",
        data=lambda row: {"tags": [tag.name for tag in row.tags.all()]},
    )
    Purchase.objects.create().delete()
    row = Purchase.objects.create(state="paid")
    row.tags.add(Tag.objects.create(name="red"))
    row.delete()
    assert datas()[0]["tags"] == ["red"]


def test_a_deletion_that_is_rolled_back_leaves_no_event(gone):
    row = Purchase.objects.create()
    with transaction.atomic():
        row.delete()
        transaction.set_rollback(True)
    assert names() == []


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


# What cannot be meant


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "says not when"),
        ({"changed": []}, "says not when"),
        ({"changed": ["stat"]}, r'no field of Purchase\. Did you mean "state"\?'),
        ({"changed": ["zzz"]}, r"no field of Purchase\. Known: bought_at, "),
        ({"changed": ["tags"]}, "many-to-many"),
        ({"changed": ["gift"]}, "no field of Purchase"),
        ({"changed": ["voucher_id"]}, 'say "voucher"'),
        ({"changed": [17]}, "no field of Purchase"),
        ({"created": True, "when": "paid"}, "when is a function"),
        ({"created": True, "data": {"a": 1}}, "data is a function"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, words):
    with pytest.raises(InvalidEvent, match=words):
        emit_on(Purchase, "purchase/placed", **options)
    assert not emitting._declared[Purchase]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("shop.Order", "takes a model"),
        (timedelta, "takes a model"),
        (Abstract, "is abstract"),
        (QuickPurchase, "is a proxy; declare it for Purchase"),
    ],
)
def test_what_is_no_model_with_rows_is_refused(model, words):
    with pytest.raises(InvalidEvent, match=words):
        emit_on(model, "purchase/placed", created=True)


@pytest.mark.parametrize("name", ["", "purchase/*", "django_jobs/job.failed", 17])
def test_what_is_no_name_of_an_event_is_refused(name):
    with pytest.raises(InvalidEvent):
        emit_on(Purchase, name, created=True)


def test_without_declarations_a_save_is_as_it_was(django_assert_num_queries):
    with django_assert_num_queries(2):
        Purchase.objects.create().save()
