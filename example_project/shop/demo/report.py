"""What `demo --once` prints of the campaign: who got what, the rows of the jobs, and whether all is right."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import Count

from django_jobs import State
from django_jobs.models import Job, JobRun
from django_jobs.states import RunOutcome
from example_project.shop import mail, outbox
from example_project.shop.models import Campaign


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must hold, and what was found."""

    holds: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok ' if self.holds else 'BAD'}  {self.text}"


class Report:
    """Reads a finished campaign once: from the outbox, the shop's tables and the jobs' tables."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        folder = Path(settings.OUTBOX["folder"])
        self.mails = list(outbox.delivered(folder, mail.tag(campaign)))
        self.recipients = list(campaign.recipients.select_related("customer").order_by("job_id"))
        self.sent = {mail.customer_id: mail for mail in campaign.sent_mails.all()}
        ids = [campaign.job_id, *(recipient.job_id for recipient in self.recipients)]
        self.jobs = Job.objects.filter(pk__in=ids)
        self.runs = JobRun.objects.filter(job_id__in=ids)

    def lines(self) -> Iterator[str]:
        """Yield everything that is worth reading, line by line."""
        yield f"Campaign {self.campaign.pk}: {self.campaign.name!r}, {len(self.recipients)} recipients"
        yield ""
        yield from self._mails()
        yield ""
        yield from self._jobs()
        yield ""
        yield from map(str, self.checks())

    def checks(self) -> list[Check]:
        """Return what must hold after a run in which nobody was killed."""
        counts = Counter(one.address for one in self.mails)
        addresses = {recipient.customer.email for recipient in self.recipients}
        twice = sorted(address for address, count in counts.items() if count > 1)
        missing = sorted(addresses - set(counts))
        busy = addresses & set(settings.OUTBOX["refuse_once"])
        retried = {
            recipient.customer.email
            for recipient in self.recipients
            if (row := self.sent.get(recipient.customer_id)) and row.attempt > 1
        }
        unfinished = self.jobs.exclude(state=State.SUCCESSFUL).count()
        recorded = {row.message_id for row in self.sent.values()}
        return [
            Check(
                bool(addresses) and not missing and not twice and set(counts) == addresses,
                f"{len(self.mails)} mails in the outbox for {len(addresses)} recipients; "
                f"without a mail: {_list(missing)}, with more than one: {_list(twice)}",
            ),
            Check(
                recorded == {one.message_id for one in self.mails},
                f"{len(recorded)} rows of SentMail, one for each mail in the outbox",
            ),
            Check(
                retried == busy,
                f"{len(retried)} of them after a retry ({_list(sorted(retried))}); "
                f"{len(busy)} mailboxes were busy at first",
            ),
            Check(
                not unfinished, f"{self.jobs.count()} jobs, not successful: {unfinished or 'none'}"
            ),
        ]

    def _mails(self) -> Iterator[str]:
        counts = Counter(one.address for one in self.mails)
        yield f"{'Job':>6}  {'To':<34} {'Mails':>5}  {'Attempt':>7}  Message"
        for recipient in self.recipients:
            row = self.sent.get(recipient.customer_id)
            attempt, message = (str(row.attempt), row.message_id[:12]) if row else ("-", "-")
            email = recipient.customer.email
            yield f"{recipient.job_id:>6}  {email:<34} {counts[email]:>5}  {attempt:>7}  {message}"

    def _jobs(self) -> Iterator[str]:
        by_state = self.jobs.values_list("name", "state").annotate(Count("pk")).order_by("-name")
        for name, state, count in by_state:
            yield f"Job     {name.rpartition('.')[2]:<14} {state:<11} {count:>4}"
        by_outcome = self.runs.values_list("job__name", "outcome").annotate(Count("pk"))
        for name, outcome, count in by_outcome.order_by("-job__name", "outcome"):
            yield f"JobRun  {name.rpartition('.')[2]:<14} {outcome:<11} {count:>4}"
        again = self.runs.exclude(outcome=RunOutcome.SUCCESSFUL).values("job_id")
        for run in self.runs.filter(job_id__in=again).order_by("job_id", "pk"):
            yield _run_line(run)


def _run_line(run: JobRun) -> str:
    seconds = (run.finished_at - run.started_at).total_seconds() if run.started_at else 0
    error = f"  {run.error_type.rpartition('.')[2]}: {run.error}" if run.error else ""
    return (
        f"        #{run.job_id} attempt {run.attempt}: {run.outcome:<10} "
        f"{run.finished_at:%H:%M:%S}  {seconds:.2f} s{error}"
    )


def _list(items: list[str]) -> str:
    return ", ".join(items) or "none"
