"""The record of errors that people know of already."""

from django.db import models


class MutedError(models.Model):
    """Failures of one kind that are no problem for the verdict, until an instant or much growth."""

    id = models.BigAutoField(primary_key=True)
    fingerprint = models.CharField(max_length=16, unique=True, help_text="The kind of failures.")
    muted_at = models.DateTimeField(help_text="Since when it is muted.")
    muted_by = models.CharField(max_length=150, default="", blank=True, help_text="Who muted it.")
    muted_until = models.DateTimeField(help_text="When it is loud again by itself.")
    count = models.IntegerField(help_text="Failed jobs of this kind when it was muted.")

    class Meta:
        db_table = "django_jobs_muted_error"
        ordering = ["-muted_at"]

    def __str__(self) -> str:
        return f"error {self.fingerprint}"
