"""All workers, what each runs now, and what silent ones still hold: three bounded queries."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F

from django_jobs.conf import get_settings
from django_jobs.models import Claim, Job, Worker

MOST_WORKERS = 200
MOST_GONE = 20
MOST_CLAIMS = 1_000
SHOWN_JOBS = 5
"""So many jobs of one worker are named."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A job in a worker's hands, and since when; it may not have begun."""

    job_id: int
    name: str
    since: datetime | None

    @property
    def title(self) -> str:
        """The function's name and the job's number."""
        return f"{self.name.rpartition('.')[2]} #{self.job_id}"


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker: its row, if there is one, and what it holds.

    `left`: since when it has gone, in good order or found dead by the process that started it.
    `expired`: how many jobs it holds past its lease; living workers take them back by themselves.
    """

    name: str
    row: Worker | None
    alive: bool
    left: datetime | None
    held: int
    expired: int
    jobs: tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """The workers of one database at `now`, those that live first, those that have gone last.

    `more`: some are left out; of those that have gone, the last 20 are told of.
    """

    now: datetime
    workers: tuple[WorkerState, ...]
    more: bool

    @property
    def alive(self) -> tuple[WorkerState, ...]:
        """The workers that gave a sign of life within one lease."""
        return tuple(worker for worker in self.workers if worker.alive)

    @property
    def gone(self) -> tuple[WorkerState, ...]:
        """The workers that have gone within a day."""
        return tuple(worker for worker in self.workers if worker.left)

    @property
    def versions(self) -> Mapping[str, int]:
        """How many living workers run each version."""
        return Counter(worker.row.version for worker in self.alive if worker.row)


def report(alias: str, now: datetime) -> WorkerReport:
    """Return how the workers of the database `alias` are at `now`."""
    rows, more = _rows(alias)
    claims: dict[str, list[Claim]] = defaultdict(list)
    for claim in Claim.objects.using(alias).order_by("expires_at")[:MOST_CLAIMS]:
        if claim.job_ids:
            claims[claim.worker].append(claim)
    known = {row.name: row for row in rows}
    names = sorted({*known, *claims})
    taken = _taken(alias, [_first(claims[name]) for name in names])
    states = [_state(name, known.get(name), claims[name], taken, now) for name in names]
    states.sort(key=lambda state: (not state.alive, state.left is not None, state.name))
    return WorkerReport(now, tuple(states[: MOST_WORKERS + MOST_GONE]), more)


def _rows(alias: str) -> tuple[list[Worker], bool]:
    """Return who was heard of last, then who has gone last; and whether there are others."""
    ordered = Worker.everyone.using(alias).order_by(F("left_at").desc(nulls_first=True), "-beat_at")
    found = list(ordered[: MOST_WORKERS + MOST_GONE + 1])
    present = [row for row in found if row.left_at is None]
    gone = [row for row in found if row.left_at is not None]
    return [*present[:MOST_WORKERS], *gone[:MOST_GONE]], len(present) > MOST_WORKERS


def _state(
    name: str,
    row: Worker | None,
    claims: list[Claim],
    taken: Mapping[int, Taken],
    now: datetime,
) -> WorkerState:
    silent_before = now - timedelta(seconds=get_settings().LEASE)
    return WorkerState(
        name=name,
        row=row,
        alive=row is not None and row.left_at is None and row.beat_at >= silent_before,
        left=row.left_at if row else None,
        held=sum(len(claim.job_ids) for claim in claims),
        expired=sum(len(claim.job_ids) for claim in claims if claim.expires_at < now),
        jobs=tuple(taken[job_id] for job_id in _first(claims) if job_id in taken),
    )


def _first(claims: list[Claim]) -> list[int]:
    return [job_id for claim in claims for job_id in claim.job_ids][:SHOWN_JOBS]


def _taken(alias: str, ids: Iterable[list[int]]) -> dict[int, Taken]:
    wanted = [job_id for some in ids for job_id in some]
    jobs = Job.objects.using(alias).filter(pk__in=wanted, claim_id__isnull=False)
    rows = jobs.order_by().values_list("pk", "name", "started_at")
    return {job_id: Taken(job_id, name, since) for job_id, name, since in rows}
