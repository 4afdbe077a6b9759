"""Events of rows: all the ways in which rows are saved and deleted."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.core import serializers
from django.db import models, transaction

from django_jobs import emit_on
from tests.events.sent import datas, names, told
from tests.models import Gift, Purchase, QuickPurchase, Seat, Tag, Voucher

pytestmark = pytest.mark.django_db
committing = pytest.mark.django_db(transaction=True)


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


def test_a_key_of_several_columns_is_a_list():
    emit_on(Seat, "seat/taken", created=True, changed="taken", deleted=True)
    seat = Seat.objects.create(row="A", number=7)
    seat.taken = True
    seat.save()
    seat.delete()
    assert [data["pk"] for data in datas()] == [["A", 7]] * 3
    assert datas()[1]["changed"] == {"taken": [False, True]}


def test_a_column_that_the_database_fills_in_can_be_named():
    emit_on(Seat, "seat/changed", changed="is_free")
    seat = Seat.objects.create(row="A", number=7)
    seat.save()
    seat.taken = True
    seat.save()
    assert told() == [{"is_free": [True, False]}]


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
