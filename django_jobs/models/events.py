"""The records of events: what has happened, which ids were seen, who waits for what."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy


class Event(models.Model):
    """Something that has happened, written in its sender's transaction."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(
        verbose_name=gettext_lazy("name"),
        max_length=255,
        help_text=gettext_lazy("What has happened, such as order/paid."),
    )
    data = models.TextField(default="{}", help_text="What is known of it, as JSON.")
    key = models.CharField(
        verbose_name=gettext_lazy("key"),
        max_length=255,
        null=True,
        help_text=gettext_lazy("The sender's own id of it."),
    )
    sent_at = models.DateTimeField(help_text="When it was written.")
    job_id = models.BigIntegerField(null=True, help_text="The job that ended, in our own events.")
    is_repeated = models.BooleanField(
        default=False, help_text="Its id was seen within a day: it starts and wakes nothing."
    )
    is_heard = models.BooleanField(
        default=False, help_text="Whether the jobs that it starts are written."
    )
    handed_out_at = models.DateTimeField(
        null=True, help_text="When the last one that waited for it was woken."
    )
    started = models.JSONField(default=list, help_text="The jobs that it has started.")
    woken = models.IntegerField(default=0, help_text="How many jobs it has woken or cancelled.")
    problem = models.TextField(
        verbose_name=gettext_lazy("problem"),
        default="",
        help_text=gettext_lazy("Why it could not be handed out."),
    )

    class Meta:
        db_table = "django_jobs_event"
        verbose_name = gettext_lazy("event")
        verbose_name_plural = gettext_lazy("events")
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["id"], condition=Q(handed_out_at=None), name="django_jobs_event_pending"
            ),
            models.Index(fields=["name", "sent_at"], name="django_jobs_event_by_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"

    @property
    def summary(self) -> str:
        """What came of it, in words."""
        if self.problem:
            return _("could not be handed out: %(problem)s") % {"problem": self.problem}
        if self.is_repeated:
            return _("its id had been seen: nothing")
        done = [_("started %(number)d") % {"number": len(self.started)}] if self.started else []
        done += [_("woke or cancelled %(number)d") % {"number": self.woken}] if self.woken else []
        if self.handed_out_at is None:
            done.append(_("not handed out yet"))
        return ", ".join(done) or _("nobody listened")


class EventKey(models.Model):
    """An id of an event that was seen; a day later it may be used anew."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=255, help_text="The event's name.")
    key = models.CharField(max_length=255, help_text="The id.")
    seen_at = models.DateTimeField(help_text="When it last counted.")

    class Meta:
        db_table = "django_jobs_event_key"
        constraints = [
            models.UniqueConstraint(fields=["name", "key"], name="django_jobs_event_key_once"),
        ]
        indexes = [models.Index(fields=["seen_at"], name="django_jobs_event_key_age")]

    def __str__(self) -> str:
        return f"{self.key} of {self.name}"


class Wait(models.Model):
    """What a job waits for in a step, or what cancels it. It goes when that has come."""

    id = models.BigAutoField(primary_key=True)
    job_id = models.BigIntegerField(help_text="The job.")
    key = models.CharField(max_length=255, help_text="The step; of a cancellation: !event.")
    event = models.CharField(max_length=255, help_text="Name of the event.")
    fields = models.CharField(max_length=1000, help_text="The fields compared, as JSON.")
    digest = models.CharField(max_length=32, help_text="What their values must be.")
    cancels = models.BooleanField(default=False, help_text="Whether the job is then cancelled.")
    child_id = models.BigIntegerField(null=True, help_text="The job whose end it waits for.")
    had = models.JSONField(default=list, help_text="Events that the job has had before.")
    since = models.DateTimeField(help_text="When it began.")

    class Meta:
        db_table = "django_jobs_wait"
        constraints = [
            models.UniqueConstraint(fields=["job_id", "key"], name="django_jobs_wait_once"),
        ]
        indexes = [
            models.Index(fields=["event", "fields", "digest"], name="django_jobs_wait_by_event"),
        ]

    def __str__(self) -> str:
        return f"job #{self.job_id} waits for {self.event}"
