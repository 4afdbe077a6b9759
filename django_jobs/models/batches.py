"""The records of batches and flows: jobs that belong together, and what comes when all have ended.

A flow is a batch with a parent: a job that waits for the others, its children.
"""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_jobs.states import FINAL, IfFailed, as_choices


class Batch(models.Model):
    """Jobs that belong together, counted. Who changes a count has this row locked."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=255, default="", help_text="What it is, for people.")
    parent_id = models.BigIntegerField(
        verbose_name=gettext_lazy("parent"),
        null=True,
        help_text=gettext_lazy("The job that waits for the others: it is a flow then."),
    )
    total = models.IntegerField(
        verbose_name=gettext_lazy("total"), default=0, help_text=gettext_lazy("Jobs in it.")
    )
    pending = models.IntegerField(
        verbose_name=gettext_lazy("pending"),
        default=0,
        help_text=gettext_lazy("Those that have not ended."),
    )
    successful = models.IntegerField(
        verbose_name=gettext_lazy("successful"),
        default=0,
        help_text=gettext_lazy("Those that ended well."),
    )
    failed = models.IntegerField(
        verbose_name=gettext_lazy("failed"), default=0, help_text=gettext_lazy("Those that failed.")
    )
    cancelled = models.IntegerField(
        verbose_name=gettext_lazy("cancelled"),
        default=0,
        help_text=gettext_lazy("Those cancelled or deleted."),
    )
    created_at = models.DateTimeField(help_text="When it was written.")
    finished_at = models.DateTimeField(
        null=True, help_text="When all had ended; of a flow: when its parent was let go or failed."
    )

    class Meta:
        db_table = "django_jobs_batch"
        verbose_name = gettext_lazy("batch")
        verbose_name_plural = gettext_lazy("batches")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["parent_id"], name="django_jobs_batch_parent"),
        ]
        indexes = [
            models.Index(
                fields=["pending"],
                condition=Q(finished_at=None),
                name="django_jobs_batch_open",
            ),
            models.Index(fields=["finished_at"], name="django_jobs_batch_finished"),
        ]

    def __str__(self) -> str:
        name = self.name or _("batch")
        return f"{name} #{self.pk}"


class BatchJob(models.Model):
    """A job in a batch; in a flow a child. It counts once, with its first end."""

    id = models.BigAutoField(primary_key=True)
    batch_id = models.BigIntegerField(help_text="The batch.")
    job_id = models.BigIntegerField(help_text="The job; its row may be gone.")
    name = models.CharField(max_length=255, help_text="Name of its definition.")
    policy = models.CharField(
        max_length=10,
        choices=as_choices(IfFailed),
        default=IfFailed.FAIL,
        help_text="What its failure means to the parent of a flow.",
    )
    state = models.CharField(
        max_length=10,
        default="",
        choices=[(state.value, state.value.lower()) for state in sorted(FINAL)],
        help_text="How it ended, as it was counted; empty: not counted yet.",
    )

    class Meta:
        db_table = "django_jobs_batch_job"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["job_id", "batch_id"], name="django_jobs_batch_job_once"
            ),
        ]
        indexes = [
            models.Index(fields=["batch_id", "id"], name="django_jobs_batch_job_order"),
            models.Index(
                fields=["id"], condition=Q(state=""), name="django_jobs_batch_job_pending"
            ),
        ]

    def __str__(self) -> str:
        return f"job #{self.job_id} in batch #{self.batch_id}"


class BatchCallback(models.Model):
    """A job that is enqueued when its batch is finished, kept as it is going to be written."""

    id = models.BigAutoField(primary_key=True)
    batch_id = models.BigIntegerField(db_index=True, help_text="The batch.")
    on = models.CharField(max_length=10, help_text="Which end it is for: success, failure, finish.")
    job = models.TextField(help_text="The job that is to be written, as JSON.")
    job_id = models.BigIntegerField(null=True, help_text="The job, once it is written.")

    class Meta:
        db_table = "django_jobs_batch_callback"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"on {self.on} of batch #{self.batch_id}"
