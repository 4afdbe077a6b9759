"""How far a campaign is: read from its recipients, its sent mails and their jobs."""

from dataclasses import dataclass, field

from django.db.models import Q, QuerySet

from django_jobs import State
from django_jobs.models import Job, JobRun
from example_project.shop.models import Campaign, Recipient, SentMail
from example_project.shop.watching import GIVEN_UP, LIVE, job_url

IN_TROUBLE = (
    Q(state__in=GIVEN_UP)
    | Q(state__in=[State.SCHEDULED, State.READY], attempt__gt=0)
    | Q(state=State.RUNNING, attempt__gt=1)
)
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Trouble:
    """A mail that did not go out at the first attempt, or not at all."""

    name: str
    email: str
    state: str
    attempt: int
    max_attempts: int
    error: str
    url: str

    @property
    def given_up(self) -> bool:
        """Whether nobody will try again by itself."""
        return self.state in {"failed", "cancelled"}


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
    retried: list[SentMail] = field(default_factory=list)

    @property
    def percent(self) -> int:
        """Sent mails in percent of all, rounded down so that 100 means all."""
        return 100 * self.sent // self.total if self.total else 0


def progress_of(campaign: Campaign) -> Progress:
    """Return where `campaign` stands now; a handful of queries, however many recipients."""
    parent = Job.objects.filter(pk=campaign.job_id).first()
    jobs = Job.objects.filter(pk__in=campaign.recipients.values("job_id"))
    sent = campaign.sent_mails.select_related("customer")
    return Progress(
        campaign=campaign,
        total=campaign.recipients.count(),
        sent=sent.count(),
        failed=jobs.filter(state__in=GIVEN_UP).count(),
        finished=is_finished(campaign),
        state=parent.label if parent else "unknown",
        job_url=job_url(campaign.job_id) if parent else "",
        troubles=_troubles(jobs),
        retried=list(sent.filter(attempt__gt=1)[:SHOWN]),
    )


def is_finished(campaign: Campaign) -> bool:
    """Say whether no job works on `campaign` any more."""
    recipients = campaign.recipients.values("job_id")
    jobs = Job.objects.filter(Q(pk=campaign.job_id) | Q(pk__in=recipients))
    return not jobs.filter(state__in=LIVE).exists()


def _troubles(jobs: QuerySet[Job]) -> list[Trouble]:
    troubled = {job.pk: job for job in jobs.filter(IN_TROUBLE).order_by("pk")[:SHOWN]}
    recipients = Recipient.objects.filter(job_id__in=troubled).select_related("customer")
    runs = JobRun.objects.filter(job_id__in=troubled).exclude(error="").order_by("pk")
    errors = {run.job_id: run.error for run in runs}
    return [
        Trouble(
            name=recipient.customer.name,
            email=recipient.customer.email,
            state=troubled[recipient.job_id].label,
            attempt=troubled[recipient.job_id].attempt,
            max_attempts=troubled[recipient.job_id].max_attempts,
            error=errors.get(recipient.job_id, ""),
            url=job_url(recipient.job_id),
        )
        for recipient in recipients.order_by("job_id")
    ]
