"""All errors of which jobs have failed, as a page shows them: four or five bounded queries.

Filters choose which errors are shown; their numbers are those of all failures considered.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, Min, Q

from django_jobs import __version__
from django_jobs.conf import get_settings
from django_jobs.models import JobRun, MutedError, Worker
from django_jobs.reports import summary
from django_jobs.reports.error_groups import (
    ErrorGroup,
    Kind,
    biggest,
    described,
    groups_of,
    newest_failures,
)
from django_jobs.reports.overview import Amount, amount
from django_jobs.states import RunOutcome

MOST_GROUPS = 50
MOST_MUTED = 50
RUNS = 10_000
"""Among so many newest runs the last failure is looked for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which errors to show: struck within `since`, in a queue, of a job; empty: all."""

    since: timedelta | None = None
    queue: str = ""
    job: str = ""

    def chooses(self, kind: Kind, now: datetime) -> bool:
        """Say whether to show a kind."""
        return (
            (self.since is None or now - kind.last <= self.since)
            and (not self.queue or self.queue in kind.queues)
            and self.job in ("", kind.job)
        )


@dataclass(frozen=True, slots=True)
class Deploy:
    """The newest version of the project that a living worker runs, and since when one does.

    As far as the workers on record tell: one that has stopped in good order is on record no more.
    """

    version: str
    since: datetime


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """The errors of one database at `now`, the fastest growing and biggest first.

    `failed`: all failures considered; `kinds`: of how many kinds they are; `more`: how many of the
    chosen kinds are not among `groups`. `muted`: what else is muted. `last_failure`: when a job
    last failed, as far as one can see, asked only where none is failed. `seen`: up to when
    failures were seen; the database's clock may be ahead of ours.
    """

    now: datetime
    seen: datetime
    failed: Amount
    kinds: int
    groups: tuple[ErrorGroup, ...]
    more: int
    jobs: tuple[str, ...]
    queues: tuple[str, ...]
    muted: tuple[MutedError, ...]
    deploy: Deploy | None
    last_failure: datetime | None

    def is_new(self, group: ErrorGroup) -> bool:
        """Say whether all failures of a kind came after the newest version was started.

        Where there are more failures than were considered, nobody can say.
        """
        return (
            self.deploy is not None and not self.failed.capped and group.first > self.deploy.since
        )


def report(alias: str, now: datetime, choice: Choice) -> ErrorReport:
    """Return the errors of the database `alias` at `now`, those that `choice` wants."""
    failures = newest_failures(alias, now)
    kinds = failures.kinds
    chosen = biggest(kind for kind in kinds if choice.chooses(kind, now))
    heads = chosen[:MOST_GROUPS]
    known = described(alias, [kind.newest_id for kind in heads], places=True)
    groups = groups_of(heads, known, now)
    shown = {group.fingerprint for group in groups}
    return ErrorReport(
        now=now,
        seen=max([now, *(kind.last for kind in kinds[:1])]),
        failed=amount(failures.number, summary.CAP),
        kinds=len(kinds),
        groups=groups,
        more=len(chosen) - len(heads),
        jobs=tuple(sorted({kind.job for kind in kinds})),
        queues=tuple(sorted({queue for kind in kinds for queue in kind.queues})),
        muted=tuple(row for row in _muted(alias, now) if row.fingerprint not in shown),
        deploy=_deploy(alias, now),
        last_failure=None if failures.number else _last_failure(alias),
    )


def _muted(alias: str, now: datetime) -> Iterable[MutedError]:
    rows = MutedError.objects.using(alias).filter(muted_until__gt=now)
    return rows.order_by("-muted_at")[:MOST_MUTED]


def _deploy(alias: str, now: datetime) -> Deploy | None:
    """Return the living version that came last; our own version tells nothing of the project's."""
    silent_before = now - timedelta(seconds=get_settings().LEASE)
    rows = Worker.objects.using(alias).order_by().exclude(version__in=["", __version__])
    starts = rows.values("version").annotate(first=Min("started_at"), beat=Max("beat_at"))
    alive = starts.filter(beat__gte=silent_before).order_by("-first")
    found = list(alive.values_list("version", "first")[:1])
    return Deploy(*found[0]) if found else None


def _last_failure(alias: str) -> datetime | None:
    newest = JobRun.objects.using(alias).order_by("-id")[:RUNS]
    failed = Q(outcome__in=[RunOutcome.FAILED, RunOutcome.TIMED_OUT])
    found: datetime | None = newest.aggregate(at=Max("finished_at", filter=failed))["at"]
    return found
