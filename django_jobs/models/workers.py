"""The records of who works: claims with their leases, queues, workers."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy

from django_jobs.models.fields import IdListField
from django_jobs.states import Wish, as_choices


class Claim(models.Model):
    """The lease on one claimed batch. Its id is the fencing token of the jobs under it."""

    id = models.BigAutoField(primary_key=True)
    worker = models.CharField(max_length=128, help_text="Name of the worker that holds it.")
    expires_at = models.DateTimeField(help_text="After this instant the jobs may be taken away.")
    job_ids = IdListField(default=list, help_text="The jobs still under it; the list only shrinks.")
    cancel_ids = IdListField(default=list, help_text="Those of them that were asked to stop.")

    class Meta:
        db_table = "django_jobs_claim"

    def __str__(self) -> str:
        return f"claim {self.pk} of {self.worker}"


class Queue(models.Model):
    """A queue that was seen, and whether it is paused."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=64, unique=True, help_text="Its name.")
    paused_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is paused.")
    paused_by = models.CharField(max_length=150, default="", blank=True, help_text="Who paused it.")
    paused_reason = models.CharField(max_length=255, default="", blank=True, help_text="Why.")
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text="When it resumes by itself."
    )
    latency_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Seconds a ready job may wait in it; empty: 60."
    )

    class Meta:
        db_table = "django_jobs_queue"
        verbose_name = gettext_lazy("queue")
        verbose_name_plural = gettext_lazy("queues")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class PresentWorkers(models.Manager["Worker"]):
    """The workers that have not gone: whoever asks for workers means them."""

    def get_queryset(self) -> "models.QuerySet[Worker]":
        """Return them; `Worker.everyone` has the others, too."""
        return super().get_queryset().filter(left_at__isnull=True)


class Worker(models.Model):
    """A worker process, for people to see. No correctness hangs on it."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(
        verbose_name=gettext_lazy("name"),
        max_length=128,
        unique=True,
        help_text=gettext_lazy("Host, process and boot."),
    )
    queues = models.JSONField(default=list, help_text="Queues it serves; empty: all of them.")
    processes = models.SmallIntegerField(default=1, help_text="Processes that run jobs.")
    threads = models.SmallIntegerField(default=0, help_text="Jobs at once per process.")
    version = models.CharField(
        verbose_name=gettext_lazy("version"),
        max_length=64,
        default="",
        help_text=gettext_lazy("Code version it runs."),
    )
    started_at = models.DateTimeField(help_text="When it started.")
    beat_at = models.DateTimeField(help_text="Its newest sign of life.")
    left_at = models.DateTimeField(
        null=True, help_text="When it stopped, or was found dead by the process that started it."
    )
    boot = models.CharField(
        max_length=128,
        default="",
        db_default="",
        help_text="What the processes of one start share.",
    )
    wish = models.CharField(
        max_length=5,
        choices=as_choices(Wish),
        default=Wish.NONE,
        db_default=Wish.NONE.value,
        help_text="What somebody wants of it; it reads that at its next sign of life.",
    )
    wished_at = models.DateTimeField(null=True, help_text="Since when somebody wants it.")
    wished_by = models.CharField(
        max_length=150, default="", db_default="", help_text="Who wants it."
    )

    objects = PresentWorkers()
    everyone: ClassVar[models.Manager["Worker"]] = models.Manager()

    class Meta:
        db_table = "django_jobs_worker"
        verbose_name = gettext_lazy("worker")
        verbose_name_plural = gettext_lazy("workers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
