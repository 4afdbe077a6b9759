"""How far a campaign is: read from its recipients, its sent mails, and the steps of its jobs."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import CharField, Count, Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Concat

from django_jobs import State
from django_jobs.models import Job, JobStep
from django_jobs.states import StepState
from example_project.shop.models import Campaign, SentMail
from example_project.shop.watching import LIVE, job_url

SHOWN = 20
STEP = "send-to-"
"""How the step of a recipient begins; the customer's key follows."""

FAILED = Q(is_sent=False) & (Q(is_live=False) | Q(step_state=StepState.FAILED))
"""Nobody will send the mail by himself any more."""

RETRYING = Q(is_sent=False, is_live=True, step_state=StepState.RETRYING)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A mail that did not go out at the first attempt, or not at all."""

    name: str
    email: str
    state: str
    attempts: int
    max_attempts: int
    error: str
    url: str

    @property
    def failed(self) -> bool:
        """Whether nobody will try again by himself."""
        return self.state != "retrying"


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a campaign. `total` is 0 until its first job has drawn up the recipients."""

    campaign: Campaign
    total: int
    sent: int
    failed: int
    finished: bool
    state: str
    job_url: str
    troubles: list[Trouble] = field(default_factory=list)
    retried: list[Any] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Mails that will still be sent, or tried again."""
        return self.total - self.sent - self.failed

    @property
    def percent(self) -> int:
        """Sent mails in percent of all, rounded down so that 100 means all."""
        return 100 * self.sent // self.total if self.total else 0


def progress_of(campaign: Campaign) -> Progress:
    """Return where `campaign` stands now; a handful of queries, however many recipients."""
    parent = Job.objects.filter(pk=campaign.job_id).first()
    recipients = recipients_of(campaign)
    counts = recipients.aggregate(
        total=Count("pk"),
        sent=Count("pk", filter=Q(is_sent=True)),
        failed=Count("pk", filter=FAILED),
    )
    return Progress(
        campaign=campaign,
        **counts,
        finished=is_finished(campaign),
        state=parent.label if parent else "unknown",
        job_url=job_url(campaign.job_id) if parent else "",
        troubles=[_trouble(one) for one in recipients.filter(FAILED | RETRYING)[:SHOWN]],
        retried=list(recipients.filter(is_sent=True, attempts__gt=1)[:SHOWN]),
    )


def recipients_of(campaign: Campaign) -> QuerySet[Any]:
    """Return the recipients of `campaign`, each with what became of the mail.

    `is_sent`; `is_live`: the part's job has not ended; `step_state`, `attempts` and `error` of the
    mail's step, `job_state` and `max_attempts` of the job, `None` when there is none (any more).
    """
    job = Job.objects.filter(pk=OuterRef("job_id"))
    key = Concat(Value(STEP), Cast(OuterRef("customer_id"), CharField()))
    step = JobStep.objects.filter(job_id=OuterRef("job_id"), key=key)
    mail = SentMail.objects.filter(campaign=OuterRef("campaign"), customer=OuterRef("customer"))
    return (
        campaign.recipients.select_related("customer")
        .annotate(
            is_sent=Exists(mail),
            is_live=Exists(job.filter(state__in=LIVE)),
            step_state=Subquery(step.values("state")),
            attempts=Subquery(step.values("attempts")),
            error=Subquery(step.values("error")),
            job_state=Subquery(job.values("state")),
            max_attempts=Subquery(job.values("max_attempts")),
        )
        .order_by("pk")
    )


def is_finished(campaign: Campaign) -> bool:
    """Say whether no job works on `campaign` any more."""
    parts = campaign.recipients.values("job_id")
    jobs = Job.objects.filter(Q(pk=campaign.job_id) | Q(pk__in=parts))
    return not jobs.filter(state__in=LIVE).exists()


def _trouble(recipient: Any) -> Trouble:
    return Trouble(
        name=recipient.customer.name,
        email=recipient.customer.email,
        state=_word(recipient),
        attempts=recipient.attempts or 0,
        max_attempts=recipient.max_attempts or 0,
        error=recipient.error or "",
        url=job_url(recipient.job_id) if recipient.job_state else "",
    )


def _word(recipient: Any) -> str:
    if recipient.step_state == StepState.FAILED:
        return "failed"
    if recipient.is_live:
        return "retrying"
    return "cancelled" if recipient.job_state == State.CANCELLED else "failed"
