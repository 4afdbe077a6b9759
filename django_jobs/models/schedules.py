"""The records of schedules: the rule, and what became of each planned time."""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_lazy as _

from django_jobs.declarations import wrong_with
from django_jobs.exceptions import InvalidSchedule
from django_jobs.states import as_choices
from django_jobs.timetables.planning import Missed, Overlap, Policy, TickOutcome
from django_jobs.timetables.timetable import Timetable

CODE, ADMIN = "code", "admin"


class Schedule(models.Model):
    """When a job is enqueued by itself. Its identity is its name."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(
        verbose_name=_("name"), max_length=255, unique=True, help_text=_("Its name.")
    )
    job_name = models.CharField(
        verbose_name=_("job"), max_length=255, help_text=_("Name of the job that it enqueues.")
    )
    args = models.JSONField(
        verbose_name=_("arguments"), default=list, blank=True, help_text=_("Positional arguments.")
    )
    kwargs = models.JSONField(
        verbose_name=_("named arguments"),
        default=dict,
        blank=True,
        help_text=_("Keyword arguments."),
    )
    cron = models.CharField(
        verbose_name=_("cron"),
        max_length=200,
        default="",
        blank=True,
        help_text=_("Five fields, or a name such as @daily."),
    )
    every = models.DurationField(
        verbose_name=_("every"), null=True, blank=True, help_text=_("Or a fixed span of time.")
    )
    timezone = models.CharField(
        verbose_name=_("time zone"),
        max_length=64,
        default="UTC",
        help_text=_("Time zone in which the cron fields are read."),
    )
    starts_at = models.DateTimeField(
        verbose_name=_("starts at"), null=True, blank=True, help_text=_("Not before this instant.")
    )
    ends_at = models.DateTimeField(
        verbose_name=_("ends at"), null=True, blank=True, help_text=_("Not after this instant.")
    )
    jitter = models.DurationField(
        verbose_name=_("jitter"),
        default=timedelta,
        help_text=_("Jobs start up to so much later, to spread the load."),
    )
    missed = models.CharField(
        verbose_name=_("missed"),
        max_length=10,
        choices=as_choices(Missed),
        default=Missed.ONE,
        help_text=_("After a gap: no job, one for the newest missed planned time, or all of them."),
    )
    missed_within = models.DurationField(
        verbose_name=_("missed within"),
        default=timedelta(days=1),
        help_text=_("What was missed longer ago stays missed."),
    )
    overlap = models.CharField(
        verbose_name=_("overlap"),
        max_length=10,
        choices=as_choices(Overlap),
        default=Overlap.SKIP,
        help_text=_("When the job before it has not ended."),
    )
    source = models.CharField(
        max_length=5,
        choices=[(CODE, CODE), (ADMIN, ADMIN)],
        default=ADMIN,
        help_text="Declared in code, or made in the admin.",
    )
    declared = models.JSONField(
        default=dict, blank=True, help_text="What the code says, as last seen."
    )
    overrides = models.JSONField(
        default=list,
        blank=True,
        help_text="Fields that somebody changed here; deploys leave them alone.",
    )
    paused_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is paused.")
    paused_by = models.CharField(max_length=150, default="", blank=True, help_text="Who paused it.")
    paused_reason = models.CharField(max_length=255, default="", blank=True, help_text="Why.")
    disabled_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when it cannot run: its job or its declaration is gone.",
    )
    disabled_reason = models.TextField(default="", blank=True, help_text="What is wrong with it.")
    doubted_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when no worker was able to enqueue its job."
    )
    next_run_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="The next planned time; empty: none, or paused, or disabled.",
    )
    last_planned_at = models.DateTimeField(
        null=True, blank=True, help_text="The newest planned time that was dealt with."
    )
    created_at = models.DateTimeField(help_text="When it was first seen.")

    class Meta:
        db_table = "django_jobs_schedule"
        verbose_name = gettext_lazy("schedule")
        verbose_name_plural = gettext_lazy("schedules")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=(~Q(cron="") & Q(every__isnull=True))
                | (Q(cron="") & Q(every__isnull=False)),
                name="django_jobs_schedule_one_rule",
            ),
            models.CheckConstraint(
                condition=Q(next_run_at__isnull=True)
                | Q(paused_at__isnull=True, disabled_at__isnull=True),
                name="django_jobs_schedule_stopped_is_never_due",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_run_at"],
                condition=Q(next_run_at__isnull=False),
                name="django_jobs_schedule_due",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raise ValidationError with what code would be told, beside the fields it is about."""
        problems: dict[str, list[str]] = {}
        for problem in wrong_with(self):
            field = problem.field if isinstance(problem, InvalidSchedule) else "job_name"
            problems.setdefault(field, []).append(str(problem))
        if problems:
            raise ValidationError(problems)

    @property
    def timetable(self) -> Timetable:
        """Its planned times; raises InvalidSchedule where somebody wrote nonsense into the row."""
        return Timetable(
            name=self.name,
            cron=self.cron or None,
            every=self.every,
            timezone=self.timezone,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            jitter=self.jitter,
        )

    @property
    def policy(self) -> Policy:
        """What it says beside its timetable."""
        return Policy(Missed(self.missed), self.missed_within, Overlap(self.overlap))

    @property
    def is_active(self) -> bool:
        """Whether its planned times lead to jobs."""
        return self.paused_at is None and self.disabled_at is None


class Tick(models.Model):
    """One planned time of a schedule, and what became of it. Outlives the job."""

    id = models.BigAutoField(primary_key=True)
    schedule = models.ForeignKey(
        Schedule, on_delete=models.CASCADE, related_name="ticks", db_index=False, help_text="Whose."
    )
    planned_at = models.DateTimeField(
        null=True, help_text="The planned time; empty for a job started by hand, and for many."
    )
    outcome = models.CharField(
        max_length=10, choices=as_choices(TickOutcome), help_text="What became of it."
    )
    count = models.IntegerField(default=1, help_text="How many planned times the row stands for.")
    since = models.DateTimeField(null=True, help_text="The first of them, when they are many.")
    until = models.DateTimeField(null=True, help_text="The last of them, when they are many.")
    job_id = models.BigIntegerField(null=True, help_text="The job that it led to.")
    job_state = models.CharField(
        max_length=10, default="", help_text="The state in which the job ended, once it is known."
    )
    held = models.BooleanField(
        default=False, help_text="Whether the job waits for the one before it."
    )
    made_at = models.DateTimeField(help_text="When it was dealt with.")

    class Meta:
        db_table = "django_jobs_tick"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "planned_at"], name="django_jobs_tick_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["schedule"],
                condition=Q(job_id__isnull=False, job_state=""),
                name="django_jobs_tick_open",
            ),
            models.Index(fields=["schedule"], condition=Q(held=True), name="django_jobs_tick_held"),
        ]

    def __str__(self) -> str:
        return f"{self.planned_at or 'by hand'}: {self.outcome}"
