"""The records of what was: figures per minute and per hour, and when which version came."""

from typing import Any

from django.db import models

from django_jobs.tallies import RUNS, WAITS


class Tally(models.Model):
    """What ended in one minute, or one hour, of one job in one queue. Rows only grow.

    Every end is counted in both; minutes are kept for two days, hours for `RETENTION_HISTORY`.
    A row without queue and name is about all jobs together. The histograms are columns, so that any database can sum them up; an empty bucket is NULL.
    """

    id = models.BigAutoField(primary_key=True)
    span = models.SmallIntegerField(help_text="Minutes that it is about: 1 or 60.")
    minute = models.IntegerField(help_text="Its begin, in minutes since 1970 (UTC).")
    queue = models.CharField(max_length=64, help_text="Queue of the jobs; empty: all of them.")
    name = models.CharField(max_length=255, help_text="Their definition; empty: all of them.")
    succeeded = models.IntegerField(default=0, help_text="Jobs that ended well.")
    failed = models.IntegerField(default=0, help_text="Jobs that failed for good.")
    retried = models.IntegerField(default=0, help_text="Attempts after which the job is retried.")
    cancelled = models.IntegerField(default=0, help_text="Running jobs that were cancelled.")
    put_off = models.IntegerField(
        default=0, help_text="Runs that go on later: snoozed, suspended, handed back."
    )
    wait_sum = models.FloatField(default=0.0, help_text="Seconds waited, from due to begun.")
    run_sum = models.FloatField(default=0.0, help_text="Seconds run.")

    class Meta:
        db_table = "django_jobs_tally"
        verbose_name_plural = "tallies"
        constraints = [
            models.UniqueConstraint(
                fields=["span", "minute", "queue", "name"], name="django_jobs_tally_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} in {self.queue}, {self.span} min"


def _histogram(columns: tuple[str, ...], what: str) -> None:
    for number, column in enumerate(columns):
        text = f"Runs whose {what} falls into bucket {number} of tallies.py."
        field: Any = models.IntegerField(null=True, help_text=text)
        Tally.add_to_class(column, field)


_histogram(WAITS, "wait")
_histogram(RUNS, "time")


class Release(models.Model):
    """When a worker of a version of the code was seen first: a deploy, as far as one can know."""

    id = models.BigAutoField(primary_key=True)
    version = models.CharField(max_length=64, unique=True, help_text="The version.")
    seen_at = models.DateTimeField(help_text="When its first worker gave a sign of life.")

    class Meta:
        db_table = "django_jobs_release"
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return self.version
