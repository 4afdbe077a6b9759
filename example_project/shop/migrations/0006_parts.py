"""Recipients come in parts, one job each; how often a mail was tried is on record with its step."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The number of a recipient's part: 0 for those who had a job of their own."""

    dependencies = [("shop", "0005_nightly")]

    operations = [
        migrations.AddField(
            model_name="recipient",
            name="part",
            field=models.PositiveIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.RemoveField(model_name="sentmail", name="attempt"),
    ]
