"""Models of the tests, of all kinds that Django has."""

import uuid

from django.db import models


class Tag(models.Model):
    name = models.CharField(max_length=20)


class Purchase(models.Model):
    state = models.CharField(max_length=20, default="new")
    pieces = models.IntegerField(default=1)
    total = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    bought_at = models.DateTimeField(null=True)
    note = models.TextField(default="")
    extra = models.JSONField(default=dict)
    voucher = models.ForeignKey("Voucher", models.CASCADE, null=True, related_name="purchases")
    tags = models.ManyToManyField(Tag)


class QuickPurchase(Purchase):
    class Meta:
        proxy = True


class Gift(Purchase):
    message = models.CharField(max_length=20, default="")


class Voucher(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    used = models.BooleanField(default=False)


class Abstract(models.Model):
    class Meta:
        abstract = True


class Seat(models.Model):
    pk = models.CompositePrimaryKey("row", "number")
    row = models.CharField(max_length=1)
    number = models.IntegerField()
    taken = models.BooleanField(default=False)
    is_free = models.GeneratedField(
        expression=models.ExpressionWrapper(models.Q(taken=False), models.BooleanField()),
        output_field=models.BooleanField(),
        db_persist=True,
    )
