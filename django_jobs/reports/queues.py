"""All queues with what waits, runs and is planned in each, and one queue in detail; bounded."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, F, Q, Value, When

from django_jobs.engines.bounded import groups_beside
from django_jobs.models import Claim, Job, Queue
from django_jobs.models.conditions import in_due_index
from django_jobs.reports import summary
from django_jobs.reports.history import Speed, speeds
from django_jobs.reports.overview import (
    MOST_CLAIMS,
    Amount,
    QueueState,
    queue_states,
)
from django_jobs.reports.summary import MOST_QUEUES, QUEUE_CAP
from django_jobs.states import State

MOST_RUNNING = 5_000
"""Running jobs of all queues together are not counted further."""

OLDEST = 20
RUNNING, RETRYING, SCHEDULED, WAITING = "running", "retrying", "scheduled", "waiting"


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A queue, and how many of its jobs run, wait for another try, or are planned.

    `speed`: how it did in the last 15 minutes, if anything ended.
    """

    state: QueueState
    running: Amount
    retrying: Amount
    scheduled: Amount
    speed: Speed | None


@dataclass(frozen=True, slots=True)
class QueueReport:
    """The queues of one database at `now`; `more`: there may be others."""

    now: datetime
    queues: tuple[QueueLine, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class QueueDetail:
    """One queue at `now`, with the oldest of the jobs that are ready in it."""

    now: datetime
    state: QueueState
    oldest: tuple[Job, ...]


def report(alias: str, now: datetime) -> QueueReport:
    """Return how the queues of the database `alias` are at `now`; five queries."""
    states = queue_states(alias, now, summary.workers(alias, now))
    counts, more_run, more_wait = _counts(alias)
    known = speeds(alias, now)

    def number(queue: str, kind: str) -> Amount:
        return Amount(counts[queue, kind], more_run if kind == RUNNING else more_wait)

    lines = (
        QueueLine(
            state,
            number(state.row.name, RUNNING),
            number(state.row.name, RETRYING),
            number(state.row.name, SCHEDULED),
            known.get(state.row.name),
        )
        for state in states
    )
    return QueueReport(now, tuple(lines), len(states) == MOST_QUEUES)


def detail(alias: str, now: datetime, name: str) -> QueueDetail | None:
    """Return how one queue is at `now`, `None` if there is none of that name; three queries."""
    found = queue_states(alias, now, summary.workers(alias, now), name=name)
    if not found:
        return None
    near = ready_jobs(alias, name).values("pk")[:QUEUE_CAP]
    oldest = Job.objects.using(alias).filter(pk__in=near, state=State.READY)
    rows = oldest.defer("args", "kwargs", "metadata").order_by("run_at", "id")[:OLDEST]
    return QueueDetail(now, found[0], tuple(rows))


def ready_jobs(alias: str, queue: str) -> "Any":
    """Return the jobs that are ready in a queue, in the order in which they are claimed."""
    ready = Job.objects.using(alias).filter(state=State.READY, queue=queue)
    return ready.order_by(F("priority").desc(), "run_at", "id")


def waiting(alias: str, queue: Queue) -> Amount:
    """Return how many jobs are ready in a queue."""
    number = ready_jobs(alias, queue.name).order_by().values("pk")[: QUEUE_CAP + 1].count()
    return Amount(min(number, QUEUE_CAP), number > QUEUE_CAP)


def _counts(alias: str) -> tuple[Mapping[tuple[str, str], int], bool, bool]:
    """Return how many jobs of each queue run, retry and are planned, and what ended at a cap."""
    claims = Claim.objects.using(alias).order_by("id").values_list("job_ids", flat=True)
    held = [job_id for ids in claims[:MOST_CLAIMS] for job_id in ids]
    jobs = Job.objects.using(alias).order_by()
    running = jobs.filter(pk__in=held[:MOST_RUNNING], claim_id__isnull=False)
    # No index has the queues of those that wait: a window over all of them is counted by queue.
    later = jobs.filter(in_due_index()).order_by("run_at")
    kind = Case(
        When(state=State.WAITING, then=Value(WAITING)),
        When(Q(attempt=0, waiting_for=None), then=Value(SCHEDULED)),
        default=Value(RETRYING),
    )
    keys = ("queue", "kind")
    found = jobs.filter(pk=0).aggregate(
        running=groups_beside(running.annotate(kind=Value(RUNNING))[:MOST_RUNNING], keys),
        later=groups_beside(later.annotate(kind=kind)[: summary.CAP + 1], keys),
    )
    running_rows, later_rows = found["running"] or (), found["later"] or ()
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for queue, name, number in (*running_rows, *later_rows):
        counts[queue, name] += number
    waits = sum(number for *_, number in later_rows)
    return counts, len(held) > MOST_RUNNING, waits > summary.CAP
