"""Reports that were asked for."""

from django.db import migrations, models

import example_project.shop.models


class Migration(migrations.Migration):
    """The table of the reports."""

    dependencies = [
        ("shop", "0003_imports"),
    ]

    operations = [
        migrations.CreateModel(
            name="CustomerReport",
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
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("job_id", models.BigIntegerField(blank=True, editable=False, null=True)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
    ]
