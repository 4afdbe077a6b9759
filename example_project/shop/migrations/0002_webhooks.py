"""Partners, what they were told, and what their side remembers of it."""

import django.db.models.deletion
from django.db import migrations, models

import example_project.shop.models


class Migration(migrations.Migration):
    """The tables of the webhooks."""

    dependencies = [
        ("shop", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Partner",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("slug", models.SlugField(unique=True)),
                (
                    "temper",
                    models.CharField(
                        choices=[
                            ("steady", "takes everything at once"),
                            ("busy", "is busy twice, then takes it"),
                            ("switched", "can be switched on and off"),
                            ("gone", "has moved away and wants nothing"),
                        ],
                        default="steady",
                        max_length=10,
                    ),
                ),
                ("is_on", models.BooleanField(default=True)),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
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
                ("event", models.CharField(max_length=50)),
                ("payload", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("job_id", models.BigIntegerField(blank=True, editable=False, null=True)),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("answer", models.CharField(blank=True, max_length=200)),
                ("delivered_at", models.DateTimeField(blank=True, null=True)),
                (
                    "partner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="shop.partner",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="Receipt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=50)),
                ("calls", models.PositiveIntegerField(default=0)),
                ("taken_at", models.DateTimeField(blank=True, null=True)),
                (
                    "partner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="shop.partner"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("partner", "key"), name="shop_one_receipt_per_partner_and_key"
                    )
                ],
            },
        ),
    ]
