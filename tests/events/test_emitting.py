"""Events of rows: what counts as a change, what is told of it, and what cannot be meant."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import F
from django.db.models.signals import post_save, pre_save

from django_jobs import Event, emit_on
from django_jobs.definitions import job
from django_jobs.events import emitting
from django_jobs.events.rows import as_json
from django_jobs.exceptions import InvalidEvent
from django_jobs.models import Job
from django_jobs.testing import run_jobs
from tests.events.sent import datas, names, told
from tests.models import Abstract, Purchase, QuickPurchase, Voucher

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize(
    ("value", "told_as"),
    [
        ("a\0b\ud800", "a\N{REPLACEMENT CHARACTER}b?"),
        (float("inf"), "inf"),
        (-1.5, -1.5),
        (timedelta(days=1), "1 day, 0:00:00"),
        (["x" * 500], '["' + "x" * 497 + "…"),
        ([Decimal("1.50"), {"at": None}], ["1.50", {"at": None}]),
    ],
)
def test_what_no_database_of_events_could_hold_is_told_as_well_as_can_be(value, told_as):
    assert as_json(value) == told_as


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
