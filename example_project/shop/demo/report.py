"""What `demo --once` prints of the campaign: who got what, its jobs and steps, and whether all is right."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, groupby
from operator import attrgetter
from pathlib import Path

from django.conf import settings

from django_jobs import State
from django_jobs.models import Job, JobRun, JobStep
from django_jobs.states import RunOutcome
from example_project.shop import mail, outbox
from example_project.shop.models import Campaign
from example_project.shop.progress import recipients_of


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
        self.recipients = list(recipients_of(campaign))
        self.sent = {mail.customer_id: mail for mail in campaign.sent_mails.all()}
        ids = {campaign.job_id, *(recipient.job_id for recipient in self.recipients)}
        self.jobs = Job.objects.filter(pk__in=ids)
        self.runs = JobRun.objects.filter(job_id__in=ids)
        self.steps = JobStep.objects.filter(job_id__in=ids)

    def lines(self) -> Iterator[str]:
        """Yield everything that is worth reading, line by line."""
        parts = len({recipient.job_id for recipient in self.recipients})
        yield (
            f"Campaign {self.campaign.pk}: {self.campaign.name!r}, {len(self.recipients)} recipients "
            f"in {parts} parts"
        )
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
            if recipient.is_sent and (recipient.attempts or 0) > 1
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
        yield f"{'Job':>6}  {'To':<34} {'Mails':>5}  {'Attempts':>8}  Message"
        for recipient in self.recipients:
            row = self.sent.get(recipient.customer_id)
            attempts, message = recipient.attempts or "-", row.message_id[:12] if row else "-"
            email = recipient.customer.email
            yield f"{recipient.job_id:>6}  {email:<34} {counts[email]:>5}  {attempts:>8}  {message}"

    def _jobs(self) -> Iterator[str]:
        names = {pk: name.rpartition(".")[2] for pk, name in self.jobs.values_list("pk", "name")}
        tables = {
            "Job": self.jobs.values_list("pk", "state"),
            "JobRun": self.runs.values_list("job_id", "outcome"),
            "JobStep": self.steps.values_list("job_id", "state"),
        }
        for table, rows in tables.items():
            counts = Counter((names[job_id], state) for job_id, state in rows)
            for (name, state), number in sorted(counts.items()):
                yield f"{table:<8} {name:<14} {state:<11} {number:>4}"
        again = self.runs.exclude(outcome=RunOutcome.SUCCESSFUL).values("job_id")
        runs = self.runs.filter(job_id__in=again).order_by("job_id", "pk")
        for _, of_one_job in groupby(runs, attrgetter("job_id")):
            yield from map(_run_line, of_one_job, count(1))


def _run_line(run: JobRun, number: int) -> str:
    seconds = (run.finished_at - run.started_at).total_seconds() if run.started_at else 0
    error = f"  {run.error_type.rpartition('.')[2]}: {run.error}" if run.error else ""
    return (
        f"         #{run.job_id} run {number}: {run.outcome:<10} "
        f"{run.finished_at:%H:%M:%S}  {seconds:.2f} s{error}"
    )


def _list(items: list[str]) -> str:
    return ", ".join(items) or "none"
