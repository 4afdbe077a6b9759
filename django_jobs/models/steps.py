"""The records of steps: what a job has done once and never does again."""

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_jobs import clock
from django_jobs.states import StepState, as_choices


class JobStep(models.Model):
    """One step of a job, under its key: its result, or how far it is."""

    id = models.BigAutoField(primary_key=True)
    job_id = models.BigIntegerField(help_text="The job.")
    key = models.CharField(max_length=255, help_text="The step's name; the second of a name: #2.")
    position = models.SmallIntegerField(help_text="Its place among the steps when it was written.")
    state = models.CharField(
        max_length=10, choices=as_choices(StepState), help_text="Whether it is done."
    )
    result = models.TextField(null=True, help_text="What its function returned, as JSON.")
    attempts = models.SmallIntegerField(default=0, help_text="How often its function was called.")
    error_type = models.CharField(
        max_length=255, default="", help_text="Class of its newest exception."
    )
    error = models.CharField(max_length=255, default="", help_text="First line of its message.")
    wake_at = models.DateTimeField(null=True, help_text="Until when it sleeps.")
    started_at = models.DateTimeField(null=True, help_text="When its newest call began.")
    finished_at = models.DateTimeField(help_text="When this row was last written.")
    claim_id = models.BigIntegerField(help_text="The claim of the run that wrote it.")

    class Meta:
        db_table = "django_jobs_job_step"
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["job_id", "key"], name="django_jobs_job_step_once"),
        ]

    def __str__(self) -> str:
        return f"step {self.key} of job #{self.job_id}: {self.state}"

    def word(self, *, ended: bool = False) -> str:
        """Return its state in the words people read; `ended`: of a job that goes on no more."""
        when = {"when": f"{self.wake_at:%Y-%m-%d %H:%M:%S} UTC"} if self.wake_at else {}
        if self.state == StepState.WAITING:
            if ended:
                return _("was waiting until %(when)s") % when if when else _("was waiting")
            return _("waiting until %(when)s") % when if when else _("waiting")
        if self.wake_at is None:
            return _(self.state)
        if self.wake_at <= clock.now():
            return _("slept until %(when)s") % when
        return (_("was to sleep until %(when)s") if ended else _("sleeps until %(when)s")) % when

    def summary(self, *, ended: bool = False) -> str:
        """Return how far it is, in words; nothing of its result."""
        if self.wake_at is not None or self.state == StepState.WAITING:
            return self.word(ended=ended)
        calls = ngettext(" after %(number)d call", " after %(number)d calls", self.attempts)
        text = _(self.state) + (calls % {"number": self.attempts} if self.attempts else "")
        return f"{text}: {self.error_type}: {self.error}" if self.error_type else text
