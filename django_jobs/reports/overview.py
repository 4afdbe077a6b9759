"""Everything that tells how the jobs are, read at one go: seven queries, none without a bound.

Says what is there; what of it is wrong says `verdict`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Case, Count, DateTimeField, F, Min, OuterRef, Q, QuerySet, When

from django_jobs import registry
from django_jobs.conf import get_settings
from django_jobs.display import grouped
from django_jobs.engines.bounded import BoundedCount, BoundedMin, beside, estimate_beside
from django_jobs.models import Claim, Event, Job, Queue, Schedule
from django_jobs.models.conditions import in_due_index
from django_jobs.operations import is_paused
from django_jobs.reports import missed, recent, summary
from django_jobs.reports.error_groups import (
    ErrorGroup,
    Failure,
    Failures,
    biggest,
    failure_of,
    groups_of,
    newest_failures,
    with_muting,
)
from django_jobs.reports.missed import MissedTime
from django_jobs.reports.reading import Reading
from django_jobs.reports.recent import Recent
from django_jobs.reports.summary import MOST_QUEUES, QUEUE_CAP, WorkerSummary, with_error
from django_jobs.states import State

PATIENCE = timedelta(seconds=60)
"""A ready job should not wait longer in a queue that is served and has no limit of its own."""

MOST_EVENTS = 1_000
"""Among so many newest events those are counted that could not be handed out."""

MOST_OLDEST = 1_000
"""Among so many of the oldest jobs those are counted that should have been deleted."""

MOST_PAUSED = 1_000
MOST_CLAIMS = 1_000
MOST_GROUPS = 10
MOST_HELD = 1_000
MOST_OVERDUE = 20
NEWEST = 6
NEXT = 10
LONGEST_RETENTION = 100 * 365
LATELY = timedelta(hours=24)
CLEANED = timedelta(days=2)
"""Of the successful jobs, ten million are gone through by one worker in a day and a half."""

OBEYING = timedelta(seconds=60)
"""A run may go on so long after its time limit, of which its worker tells it."""

WORKERS, RUNNING, ERRORS = "workers", "running", "errors"
QUEUES, SCHEDULES, NUMBERS = "queues", "schedules", "numbers"
"""The parts of an overview that are read one by one."""


class Amount(NamedTuple):
    """A number that was counted up to a cap; in words `12` or `10,000+`."""

    number: int
    capped: bool = False

    def __str__(self) -> str:
        return grouped(self.number) + ("+" if self.capped else "")


@dataclass(frozen=True, slots=True)
class Overdue:
    """A run that goes on after its time limit. `asked`: since when it has been asked to stop."""

    job_id: int
    name: str
    since: datetime
    limit: float
    asked: datetime | None


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue: what waits in it since when, its row, and how many living workers serve it."""

    row: Queue
    waiting: Amount
    oldest: datetime | None
    paused: bool
    workers: int

    @property
    def limit(self) -> timedelta:
        """How long a ready job may wait in it."""
        seconds = self.row.latency_limit
        return PATIENCE if seconds is None else timedelta(seconds=seconds)

    def is_late(self, now: datetime) -> bool:
        """Say whether its oldest ready job waits for longer than that."""
        return self.oldest is not None and now - self.oldest > self.limit


@dataclass(frozen=True, slots=True)
class SilentWorker:
    """A worker whose lease has run out while it held jobs."""

    name: str
    since: datetime
    job_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """How the jobs of one database were at `now`.

    `held`: how many jobs run, by the name of their worker. `due_since`: since when the oldest job
    that is due has not been made ready. `kept`: failed jobs that should have been deleted a day
    ago; `stale`: those of the 1,000 oldest jobs that are successful and should have been two days
    ago. `rows`: about how many jobs are on record, where the database knows. `given_up`: how many of the newest events could not
    be handed out, within a day. `schedules`: the next ones, late ones first. `missed`: what
    of schedules was missed last. `overdue`: runs that
    go on after their time limit, a minute of grace included. `slow`: the parts that took too long
    to read, and are empty here whatever there is.
    """

    now: datetime
    ready: Amount
    held: Mapping[str, int]
    retrying: Amount
    scheduled: Amount
    waiting: Amount
    failed: Amount
    kept: Amount
    stale: Amount
    rows: int | None
    given_up: int
    due_since: datetime | None
    groups: tuple[ErrorGroup, ...]
    newest: tuple[Failure, ...]
    queues: tuple[QueueState, ...]
    workers: tuple[WorkerSummary, ...]
    silent: tuple[SilentWorker, ...]
    schedules: tuple[Schedule, ...]
    paused_schedules: Amount
    missed: tuple[MissedTime, ...]
    overdue: tuple[Overdue, ...]
    recent: Recent
    slow: frozenset[str] = frozenset()

    @property
    def running(self) -> int:
        """How many jobs run, or wait in a worker's hands."""
        return sum(self.held.values())

    @property
    def alive(self) -> tuple[WorkerSummary, ...]:
        """The workers that gave a sign of life within one lease."""
        return tuple(worker for worker in self.workers if worker.is_alive)

    @property
    def is_new(self) -> bool:
        """Whether nothing has ever happened here, as far as one can see."""
        numbers = (self.ready, self.scheduled, self.waiting, self.failed)
        seen = self.slow or self.queues or self.held
        return not (seen or any(amount.number for amount in numbers))


class _Described(NamedTuple):
    groups: tuple[ErrorGroup, ...] = ()
    newest: tuple[Failure, ...] = ()
    overdue: tuple[Overdue, ...] = ()


def look(alias: str, now: datetime) -> Overview:
    """Return how the jobs of the database `alias` are at `now`."""
    with Reading(alias) as reading:
        part = reading.part
        workers = part(WORKERS, lambda: summary.workers(alias, now)) or ()
        claims = part(RUNNING, lambda: _claims(alias)) or []
        failures = part(ERRORS, lambda: newest_failures(alias, now, NEWEST)) or Failures()
        known = part(ERRORS, lambda: _described(alias, failures, claims, now)) or _Described()
        queues = part(QUEUES, lambda: queue_states(alias, now, workers)) or ()
        schedules = part(SCHEDULES, lambda: _schedules(alias)) or ()
        counts = part(NUMBERS, lambda: _counts(alias, now)) or _no_counts(now)
    return Overview(
        now=now,
        held=_held(claims),
        failed=amount(failures.number, summary.CAP),
        groups=known.groups,
        newest=known.newest,
        overdue=known.overdue,
        queues=queues,
        workers=workers,
        silent=_silent(claims, now),
        schedules=schedules,
        slow=frozenset(reading.slow),
        **counts,
    )


def _counts(alias: str, now: datetime) -> dict[str, Any]:
    """Return what is ready, scheduled, waiting, kept too long, and given up, in one query."""
    jobs, most = Job.objects.using(alias).order_by(), summary.CAP + 1
    later = jobs.filter(in_due_index()).order_by("run_at")[:most]
    limit = now - timedelta(days=min(get_settings().RETENTION_FAILED, LONGEST_RETENTION) + 1)
    old = jobs.filter(state=State.FAILED, finished_at__lt=limit)
    stale = beside(_stale(alias, now), "stale")
    scheduled = Q(state=State.SCHEDULED)
    found = later.aggregate(
        seen=Count("state"),
        waiting=Count("state", filter=Q(state=State.WAITING)),
        scheduled=Count("state", filter=scheduled & Q(attempt=0, waiting_for=None)),
        next=Min("run_at"),
        ready=beside(jobs.filter(state=State.READY).values("queue")[:most]),
        kept=beside(old.values("finished_at")[:most]),
        stale=stale,
        rows=estimate_beside(Job),
        missed=missed.column(alias, now),
        paused_schedules=beside(_paused(alias).values("id")[: MOST_PAUSED + 1]),
        given_up=beside(_given_up(alias, now), "given_up"),
        **recent.columns(alias, now),
    )
    more = found["seen"] > summary.CAP
    retrying = found["seen"] - found["waiting"] - found["scheduled"]
    due = found["next"] if found["next"] is not None and found["next"] <= now else None
    return {
        "ready": amount(found["ready"], summary.CAP),
        "scheduled": Amount(found["scheduled"], more),
        "retrying": Amount(retrying, more),
        "waiting": Amount(found["waiting"], more),
        "kept": amount(found["kept"], summary.CAP),
        "stale": Amount(found["stale"], found["stale"] == MOST_OLDEST),
        "rows": found["rows"],
        "missed": missed.read(found["missed"]),
        "paused_schedules": amount(found["paused_schedules"], MOST_PAUSED),
        "given_up": found["given_up"],
        "due_since": due,
        "recent": recent.read(found, now),
    }


def _no_counts(now: datetime) -> dict[str, Any]:
    names = ("ready", "scheduled", "retrying", "waiting", "kept", "stale", "paused_schedules")
    nothing = {
        "rows": None,
        "missed": (),
        "given_up": 0,
        "due_since": None,
        "recent": recent.read({}, now),
    }
    return dict.fromkeys(names, Amount(0)) | nothing


def _given_up(alias: str, now: datetime) -> "QuerySet[Any, Any]":
    """Return the newest events; `given_up` is set where one could not be handed out lately."""
    # What counts is no condition of the query: without an index it would look at all events.
    lately = When(~Q(problem=""), handed_out_at__gte=now - LATELY, then=F("id"))
    newest = Event.objects.using(alias).order_by("-id").annotate(given_up=Case(lately))
    return newest.values("given_up")[:MOST_EVENTS]


def _stale(alias: str, now: datetime) -> "QuerySet[Any, Any]":
    """Return the oldest jobs; `stale` is set where one is successful and kept for too long."""
    days = min(get_settings().RETENTION_SUCCESSFUL, LONGEST_RETENTION)
    # What counts is no condition of the query: without an index it would look at all jobs.
    limit = now - timedelta(days=days) - CLEANED
    late = When(state=State.SUCCESSFUL, finished_at__lt=limit, then=F("id"))
    oldest = Job.objects.using(alias).order_by("id").annotate(stale=Case(late))
    return oldest.values("stale")[:MOST_OLDEST]


def _claims(alias: str) -> list[Claim]:
    return list(Claim.objects.using(alias).order_by("expires_at")[:MOST_CLAIMS])


def _held(claims: Iterable[Claim]) -> dict[str, int]:
    """Return how many jobs each worker holds."""
    held: dict[str, int] = defaultdict(int)
    for claim in claims:
        held[claim.worker] += len(claim.job_ids)
    return dict(held)


def _silent(claims: Iterable[Claim], now: datetime) -> tuple[SilentWorker, ...]:
    """Return who holds jobs past the lease."""
    silent: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        if claim.expires_at < now and claim.job_ids:
            silent[claim.worker].append(claim)
    return tuple(
        SilentWorker(
            worker, late[0].expires_at, tuple(job_id for claim in late for job_id in claim.job_ids)
        )
        for worker, late in silent.items()
    )


def _described(
    alias: str, failures: Failures, claims: Iterable[Claim], now: datetime
) -> _Described:
    """Return the biggest groups of failures, those that grow first, and the jobs of note."""
    kinds, ids = biggest(failures.kinds)[:MOST_GROUPS], failures.newest
    failed = Q(pk__in={*(kind.newest_id for kind in kinds), *ids}, state=State.FAILED)
    jobs = _of_note(alias, failed | _overdue(claims, now))
    known = {job.pk: failure_of(job) for job in jobs if job.state == State.FAILED}
    newest = tuple(known[job_id] for job_id in ids if job_id in known)
    overdue = tuple(_as_overdue(job) for job in jobs if job.state == State.RUNNING)
    return _Described(groups_of(kinds, known, now), newest, overdue)


def _overdue(claims: Iterable[Claim], now: datetime) -> Q:
    """Return the condition of runs, under leases that hold, which their limit has not ended."""
    names: dict[float, list[str]] = defaultdict(list)
    for definition in registry.definitions():
        if definition.timeout:
            names[definition.timeout].append(definition.name)
    living = sorted((claim.pk, claim.job_ids) for claim in claims if claim.expires_at >= now)
    # The oldest claims are where runs have lasted long.
    ids = [job_id for _, job_ids in living for job_id in job_ids][:MOST_HELD]
    late = Q(pk__in=[])
    for limit, known in names.items():
        late |= Q(name__in=known, started_at__lt=now - timedelta(seconds=limit) - OBEYING)
    return Q(pk__in=ids, state=State.RUNNING) & late


def _of_note(alias: str, wanted: Q) -> list[Any]:
    """Return some jobs; one that was failed may have been retried since it was counted."""
    columns = ("name", "queue", "state", "started_at", "finished_at", "cancel_requested_at")
    jobs = Job.objects.using(alias).filter(wanted).order_by("state", "id")
    known = with_muting(with_error(jobs.only("fingerprint", *columns)))
    return list(known[: MOST_GROUPS + NEWEST + MOST_OVERDUE])


def _as_overdue(job: Any) -> Overdue:
    limit = registry.get(job.name).timeout or 0.0
    return Overdue(job.pk, job.name, job.started_at, limit, job.cancel_requested_at)


def queue_states(
    alias: str, now: datetime, workers: Iterable[WorkerSummary], *, name: str | None = None
) -> tuple[QueueState, ...]:
    """Return how the queues are, or the one called `name`; one query."""
    ready = Job.objects.using(alias).filter(state=State.READY, queue=OuterRef("name"))
    first = ready.order_by(F("priority").desc(), "run_at", "id")
    queues = Queue.objects.using(alias)
    rows: Any = (queues if name is None else queues.filter(name=name)).annotate(
        number=BoundedCount(first.values("run_at")[: QUEUE_CAP + 1]),
        oldest=BoundedMin(first[:QUEUE_CAP], "run_at", DateTimeField()),
    )
    return tuple(
        QueueState(
            row=row,
            waiting=amount(row.number, QUEUE_CAP),
            oldest=row.oldest,
            paused=is_paused(row, now),
            workers=sum(worker.serves(row.name) for worker in workers),
        )
        for row in rows[:MOST_QUEUES]
    )


def _schedules(alias: str) -> tuple[Schedule, ...]:
    due = Schedule.objects.using(alias).filter(next_run_at__isnull=False)
    return tuple(due.order_by("next_run_at")[:NEXT])


def _paused(alias: str) -> "QuerySet[Schedule]":
    """Return the schedules that somebody has paused."""
    rows = Schedule.objects.using(alias).order_by()
    return rows.filter(paused_at__isnull=False, disabled_at__isnull=True)


def amount(number: int, cap: int) -> Amount:
    """Return a number that was counted one further than `cap`."""
    return Amount(min(number, cap), number > cap)
