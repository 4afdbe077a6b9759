"""Files of customers, and whether a customer wants mail."""

from django.db import migrations, models

import example_project.shop.models


class Migration(migrations.Migration):
    """The table of the imports, and a column of the customers."""

    dependencies = [
        ("shop", "0002_webhooks"),
    ]

    operations = [
        migrations.CreateModel(
            name="CustomerImport",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("file", models.FileField(upload_to=example_project.shop.models.stored_name)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("job_id", models.BigIntegerField(blank=True, editable=False, null=True)),
                ("rows", models.PositiveIntegerField(blank=True, null=True)),
                ("done", models.PositiveIntegerField(default=0)),
                ("added", models.PositiveIntegerField(default=0)),
                ("changed", models.PositiveIntegerField(default=0)),
                ("bad", models.PositiveIntegerField(default=0)),
                ("problems", models.JSONField(blank=True, default=list)),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
        migrations.AddField(
            model_name="customer",
            name="subscribed",
            field=models.BooleanField(default=True),
        ),
    ]
