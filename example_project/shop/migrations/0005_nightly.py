"""What the shop did in a day: counted while it lasts, and reported in the night."""

from django.db import migrations, models

import example_project.shop.models


class Migration(migrations.Migration):
    """The tables of the figures and of the nightly reports."""

    dependencies = [
        ("shop", "0004_reports"),
    ]

    operations = [
        migrations.CreateModel(
            name="DayFigures",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("mails", models.PositiveIntegerField(default=0)),
                ("delivered", models.PositiveIntegerField(default=0)),
                ("failed", models.PositiveIntegerField(default=0)),
                ("imports", models.PositiveIntegerField(default=0)),
                ("customers", models.PositiveIntegerField(default=0)),
                ("as_of", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "day figures",
                "ordering": ["-day"],
                "constraints": [
                    models.UniqueConstraint(fields=("day",), name="shop_one_row_per_day")
                ],
            },
        ),
        migrations.CreateModel(
            name="NightlyReport",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("mails", models.PositiveIntegerField(default=0)),
                ("delivered", models.PositiveIntegerField(default=0)),
                ("failed", models.PositiveIntegerField(default=0)),
                ("imports", models.PositiveIntegerField(default=0)),
                ("customers", models.PositiveIntegerField(default=0)),
                (
                    "key",
                    models.CharField(
                        default=example_project.shop.models.new_key,
                        editable=False,
                        max_length=12,
                        unique=True,
                    ),
                ),
                ("planned_at", models.DateTimeField(blank=True, null=True)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("job_id", models.BigIntegerField(blank=True, editable=False, null=True)),
                ("mailed_at", models.DateTimeField(blank=True, null=True)),
                ("message_id", models.CharField(blank=True, max_length=255)),
            ],
            options={
                "ordering": ["-pk"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("planned_at",), name="shop_one_nightly_report_per_planned_time"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("planned_at__isnull", True)),
                        fields=("day",),
                        name="shop_one_nightly_report_by_hand_per_day",
                    ),
                ],
            },
        ),
    ]
