"""The records of a job: what to do, its ended attempts, its progress and its log.

Every index of `Job` costs each job something; each one here has a measured reason
(docs/performance.md).
"""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_jobs.states import FINAL, LIVE, RunOutcome, State, as_choices, label, spoken


class Job(models.Model):
    """One enqueued call: what to do, and where it stands."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(
        max_length=255, help_text="Name of the definition: module and function."
    )
    queue = models.CharField(max_length=64, default="default", help_text="Queue it waits in.")
    priority = models.SmallIntegerField(default=0, help_text="−100 … 100, the bigger the sooner.")
    args = models.JSONField(default=list, help_text="Positional arguments.")
    kwargs = models.JSONField(default=dict, help_text="Keyword arguments.")
    state = models.CharField(
        max_length=10, choices=as_choices(State), default=State.READY, help_text="Where it stands."
    )
    run_at = models.DateTimeField(help_text="Not before this instant; in READY its place in line.")
    attempt = models.SmallIntegerField(
        default=0, db_default=0, help_text="Number of the newest attempt that counts."
    )
    max_attempts = models.SmallIntegerField(default=4, help_text="Attempts it may use up.")
    lost_count = models.SmallIntegerField(
        default=0, db_default=0, help_text="Workers that died under it."
    )
    max_lost = models.SmallIntegerField(default=3, help_text="Worker deaths it survives.")
    claim_id = models.BigIntegerField(
        null=True, help_text="The claim it runs under: the fencing token."
    )
    enqueued_at = models.DateTimeField(help_text="When enqueue() wrote it.")
    started_at = models.DateTimeField(null=True, help_text="When it was last claimed.")
    finished_at = models.DateTimeField(null=True, help_text="When it reached a final state.")
    cancel_requested_at = models.DateTimeField(
        null=True, help_text="When somebody asked it to stop."
    )
    fingerprint = models.CharField(
        max_length=16, default="", db_default="", help_text="Groups failures of one kind."
    )
    unique_key = models.CharField(
        max_length=255, null=True, help_text="No second live job may carry this key."
    )
    unknown_since = models.DateTimeField(
        null=True, help_text="Since when no worker knows its name."
    )
    deadline_at = models.DateTimeField(
        null=True, help_text="Not started by then: not worth starting."
    )
    concurrency_key = models.CharField(
        max_length=255, null=True, help_text="Jobs of one key share a limit."
    )
    schedule_id = models.BigIntegerField(null=True, help_text="The schedule that made it.")
    planned_at = models.DateTimeField(null=True, help_text="The planned time it stands for.")
    has_steps = models.BooleanField(
        default=False, db_default=False, help_text="Whether steps of it are on record."
    )
    watched = models.BooleanField(
        default=False, db_default=False, help_text="Whether its end is an event of its own."
    )
    woken = models.BooleanField(
        default=False, db_default=False, help_text="What it waits for came while it still ran."
    )
    waiting_for = models.CharField(
        max_length=255, null=True, help_text="What it waits for, in words."
    )
    version = models.CharField(
        max_length=64, default="", db_default="", help_text="Code version that enqueued it."
    )
    metadata = models.JSONField(null=True, help_text="Free data that travels with it.")
    original_args = models.JSONField(
        null=True, help_text="args and kwargs as enqueued, once somebody has changed them."
    )
    copy_of = models.BigIntegerField(null=True, help_text="The job whose call it repeats.")
    copied_as = models.BigIntegerField(null=True, help_text="The newest job that repeats its call.")
    about = models.CharField(
        max_length=255, null=True, help_text="The row it is about: app.model:key."
    )
    enqueued_by = models.CharField(
        max_length=255, null=True, help_text="Its origin: view, request and user, or an operator."
    )

    class Meta:
        db_table = "django_jobs_job"
        verbose_name = gettext_lazy("job")
        verbose_name_plural = gettext_lazy("jobs")
        ordering = ["-id"]
        permissions = [("view_job_payload", "Can view arguments, results and logs of jobs")]
        constraints = [
            models.CheckConstraint(
                condition=Q(state=State.RUNNING, claim_id__isnull=False)
                | (~Q(state=State.RUNNING) & Q(claim_id__isnull=True)),
                name="django_jobs_job_running_has_claim",
            ),
            models.CheckConstraint(
                condition=Q(state__in=sorted(FINAL), finished_at__isnull=False)
                | (~Q(state__in=sorted(FINAL)) & Q(finished_at__isnull=True)),
                name="django_jobs_job_final_is_finished",
            ),
            models.UniqueConstraint(
                fields=["unique_key"],
                condition=Q(state__in=sorted(LIVE), unique_key__isnull=False),
                name="django_jobs_job_unique_live",
            ),
        ]
        indexes = [
            models.Index(
                F("queue"),
                F("priority").desc(),
                F("run_at"),
                F("id"),
                condition=Q(state=State.READY),
                name="django_jobs_job_ready",
            ),
            models.Index(
                # What follows the instant is for counting: ten thousand rows need not be read then.
                fields=["run_at", "state", "attempt", "waiting_for"],
                condition=Q(state__in=[State.SCHEDULED, State.WAITING]),
                name="django_jobs_job_due",
            ),
            models.Index(
                # What follows the instant is for telling errors apart without reading the rows; the
                # state, which all of them have, because SQLite reads a row for it otherwise.
                fields=["finished_at", "fingerprint", "name", "queue", "id", "state"],
                condition=Q(state=State.FAILED),
                name="django_jobs_job_failed",
            ),
            models.Index(
                fields=["fingerprint", "finished_at"],
                condition=Q(state=State.FAILED),
                name="django_jobs_job_failed_alike",
            ),
            models.Index(
                fields=["about", "id"],
                condition=Q(about__isnull=False),
                name="django_jobs_job_about",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.short_name} #{self.pk}"

    @property
    def short_name(self) -> str:
        """The function's name without its module."""
        return self.name.rpartition(".")[2]

    @property
    def label(self) -> str:
        """The state in the word that people read."""
        return label(
            self.state,
            self.attempt,
            cancel_requested=bool(self.cancel_requested_at),
            waits=bool(self.waiting_for),
        )


class JobRun(models.Model):
    """One attempt that has ended: written once, by whoever ended it."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(
        Job,
        on_delete=models.DO_NOTHING,
        related_name="runs",
        db_constraint=False,
        db_index=False,
        help_text="The job; the unique index on (job, claim) serves the look-up.",
    )
    claim_id = models.BigIntegerField(help_text="The claim it ran under.")
    attempt = models.SmallIntegerField(help_text="Number of the attempt; numbers can repeat.")
    outcome = models.CharField(
        verbose_name=gettext_lazy("outcome"),
        max_length=10,
        choices=as_choices(RunOutcome),
        help_text="How it ended.",
    )
    started_at = models.DateTimeField(null=True, help_text="When it began; empty when unknown.")
    finished_at = models.DateTimeField(help_text="When it ended.")
    worker = models.CharField(
        verbose_name=gettext_lazy("worker"),
        max_length=128,
        default="",
        help_text=gettext_lazy("Name of the worker."),
    )
    result = models.JSONField(null=True, help_text="What the function returned.")
    error_type = models.CharField(max_length=255, default="", help_text="Class of the exception.")
    error = models.CharField(
        verbose_name=gettext_lazy("error"),
        max_length=255,
        default="",
        help_text=gettext_lazy("First line of the message."),
    )
    error_text = models.TextField(default="", help_text="The whole message.")
    traceback = models.TextField(default="", help_text="Where it was raised; values masked.")
    fingerprint = models.CharField(
        max_length=16, default="", help_text="Groups failures of one kind."
    )
    log = models.TextField(default="", help_text="The last log lines of the run.")
    fenced_at = models.DateTimeField(
        null=True, help_text="When a worker that had lost the claim reported after all."
    )

    class Meta:
        db_table = "django_jobs_job_run"
        verbose_name = gettext_lazy("job run")
        verbose_name_plural = gettext_lazy("job runs")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["job", "claim_id"], name="django_jobs_job_run_once"),
        ]

    def __str__(self) -> str:
        return _("attempt %(number)d of job #%(id)d: %(outcome)s") % {
            "number": self.attempt,
            "id": self.job_id,
            "outcome": _(spoken(self.outcome)),
        }


class JobProgress(models.Model):
    """How far a job is, for the jobs that say so."""

    job_id = models.BigIntegerField(primary_key=True, help_text="The job.")
    done = models.BigIntegerField(default=0, help_text="Steps done.")
    total = models.BigIntegerField(null=True, help_text="Steps in all, when known.")
    note = models.CharField(max_length=255, default="", help_text="What it is doing.")
    updated_at = models.DateTimeField(help_text="When it last said so.")

    class Meta:
        db_table = "django_jobs_job_progress"
        verbose_name_plural = "job progress"

    def __str__(self) -> str:
        return f"{self.done}/{self.total or '?'} of job #{self.job_id}"


class JobLog(models.Model):
    """A log line of a run that is still going on; moved to the run when it ends."""

    id = models.BigAutoField(primary_key=True)
    job_id = models.BigIntegerField(db_index=True, help_text="The job.")
    claim_id = models.BigIntegerField(help_text="The claim of the run that wrote it.")
    at = models.DateTimeField(help_text="When it was written.")
    line = models.TextField(help_text="The line; values masked.")

    class Meta:
        db_table = "django_jobs_job_log"
        ordering = ["id"]

    def __str__(self) -> str:
        return self.line
