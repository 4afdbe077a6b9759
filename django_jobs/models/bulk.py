"""The record of one operation on very many jobs, which the workers work off page by page."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy


class BulkOperation(models.Model):
    """What somebody wants done to all jobs that fit a search, and how far it is."""

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(
        max_length=64, unique=True, help_text="Of the page that asked: it starts one only."
    )
    verb = models.CharField(max_length=10, help_text="What is done: retry, cancel or delete.")
    search = models.TextField(help_text="Which jobs, as it was searched for.")
    as_of = models.DateTimeField(help_text="What has ended later is left alone.")
    low = models.BigIntegerField(default=0, help_text="Only jobs with bigger numbers.")
    high = models.BigIntegerField(help_text="The biggest number: later jobs are left alone.")
    expected = models.IntegerField(help_text="How many were counted before; 10,001: more.")
    created_at = models.DateTimeField(help_text="When it was asked for.")
    created_by = models.CharField(
        verbose_name=gettext_lazy("asked for by"),
        max_length=150,
        default="",
        help_text="Who asked for it.",
    )
    last_id = models.BigIntegerField(help_text="All jobs up to this number are dealt with.")
    started_at = models.DateTimeField(null=True, help_text="When a worker began.")
    finished_at = models.DateTimeField(null=True, help_text="When it was done, or stopped.")
    stopped_by = models.CharField(max_length=150, default="", help_text="Who stopped it.")
    done = models.IntegerField(default=0, help_text="Jobs to which it was done.")
    asked = models.IntegerField(default=0, help_text="Running jobs that were asked to stop.")
    refused = models.IntegerField(
        verbose_name=gettext_lazy("refused"),
        default=0,
        help_text="Jobs to which it could not be done.",
    )
    reasons = models.JSONField(default=dict, help_text="Why, with how many jobs, and one of them.")

    class Meta:
        db_table = "django_jobs_bulk_operation"
        verbose_name = gettext_lazy("bulk operation")
        verbose_name_plural = gettext_lazy("bulk operations")
        ordering = ["-id"]
        default_permissions = ()
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(finished_at=None),
                name="django_jobs_bulk_open",
            ),
            models.Index(fields=["finished_at"], name="django_jobs_bulk_finished"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} #{self.pk}"

    @property
    def handled(self) -> int:
        """How many jobs it has dealt with."""
        return self.done + self.asked + self.refused

    @property
    def is_cut_short(self) -> bool:
        """Whether it was ended before it had looked at all: somebody stopped it, or it failed."""
        return self.finished_at is not None and (bool(self.stopped_by) or self.last_id < self.high)
