"""Orders, and how far they are."""

import django.db.models.deletion
from django.db import migrations, models

import example_project.shop.models


class Migration(migrations.Migration):
    """The table of the orders."""

    dependencies = [
        ("shop", "0006_parts"),
    ]

    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        default=example_project.shop.models.new_key,
                        editable=False,
                        max_length=12,
                        unique=True,
                    ),
                ),
                ("what", models.CharField(max_length=100)),
                ("cents", models.PositiveIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("placed", "waits for payment"),
                            ("paid", "paid"),
                            ("shipped", "shipped"),
                            ("cancelled", "cancelled by the customer"),
                            ("given up", "given up, never paid"),
                        ],
                        default="placed",
                        max_length=10,
                    ),
                ),
                ("placed_at", models.DateTimeField(auto_now_add=True)),
                ("reminded_at", models.DateTimeField(blank=True, null=True)),
                ("paid_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("job_id", models.BigIntegerField(blank=True, editable=False, null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="shop.customer"
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
    ]
