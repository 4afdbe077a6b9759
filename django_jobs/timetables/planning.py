"""Decides what becomes of planned times that are due: run, caught up, skipped, held, missed.

Pure: what a schedule says, which times are due and which of its jobs live go in, a `Plan`
comes out. An engine writes it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django_jobs.timetables.timetable import Timetable

MOMENT = timedelta(microseconds=1)
PUNCTUAL = timedelta(minutes=1)
"""A planned time that is dealt with sooner than this after it is not missed."""

MOST_CAUGHT_UP = 100
"""Planned times that `missed="all"` catches up after one gap."""

MOST_LISTED = 100
"""Missed planned times of one gap that get a row each; the older ones share one."""

COUNT_CAP = 5_000
"""Missed planned times of one gap are not counted further."""


class Missed(StrEnum):
    """What becomes of planned times at which no worker was there."""

    SKIP = "skip"
    """Nothing: they are missed."""
    ONE = "one"
    """One job for all of them, for the newest."""
    ALL = "all"
    """One job for each of the newest 100, one after the other."""


class Overlap(StrEnum):
    """What becomes of a planned time while a job of the same schedule has not ended."""

    SKIP = "skip"
    QUEUE_ONE = "queue_one"
    """It waits; when one waits already, it is skipped."""
    QUEUE_ALL = "queue_all"
    """It waits, and so does every further one, in order."""
    CANCEL_OLD = "cancel_old"
    """The old jobs are cancelled; while one of them runs, the new one waits for its end."""
    ALLOW = "allow"


class TickOutcome(StrEnum):
    """What became of a planned time, as its `Tick` records it."""

    ON_TIME = "on_time"
    CAUGHT_UP = "caught_up"
    SKIPPED = "skipped"
    MISSED = "missed"
    BACKFILLED = "backfilled"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a schedule says beside its timetable."""

    missed: Missed = Missed.ONE
    missed_within: timedelta = timedelta(days=1)
    overlap: Overlap = Overlap.SKIP


@dataclass(frozen=True, slots=True)
class LiveJob:
    """A job of a schedule that has not ended; `held`: it waits for the one before it.

    `planned_at`: the planned time it stands for, `None` when it was started by hand.
    """

    job_id: int
    held: bool = False
    planned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned time and what becomes of it; with `until` it stands for `count` missed ones."""

    at: datetime
    outcome: TickOutcome
    has_job: bool = False
    hold: bool = False
    count: int = 1
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written for one schedule; the jobs in `cancel` are to be cancelled."""

    times: tuple[Planned, ...] = ()
    next_at: datetime | None = None
    cancel: frozenset[int] = frozenset()

    def held(self) -> "Plan":
        """Return the plan with all its jobs waiting for those before them."""
        times = tuple(replace(time, hold=time.has_job) for time in self.times)
        return replace(self, times=times)


def plan(
    timetable: Timetable,
    policy: Policy,
    first: datetime,
    now: datetime,
    live: Collection[LiveJob] = (),
) -> Plan:
    """Return what becomes of the planned times from `first` (a planned time) to `now`.

    `live` are the jobs of the schedule that have not ended.
    """
    since = first - MOMENT
    taken = _taken(timetable, policy, since, now)
    gap_end = taken[0] if taken else now + MOMENT
    times = _missed(timetable, since, gap_end)
    line = Line(policy.overlap, live)
    # A backfill may have been a little quicker: such a time has its job, and must not end it.
    served = {job.planned_at for job in live}
    taken = [at for at in taken if at not in served]
    catching_up = policy.missed is Missed.ALL and any(_is_late(at, now) for at in taken)
    for at in taken:
        outcome = TickOutcome.CAUGHT_UP if _is_late(at, now) else TickOutcome.ON_TIME
        times.append(line.join(at, outcome, patient=catching_up))
    return Plan(tuple(times), timetable.next(now), frozenset(line.cancelled))


class Line:
    """The jobs of one schedule, one behind the other; a new one joins or is turned away."""

    def __init__(self, overlap: Overlap, live: Collection[LiveJob]) -> None:
        self._overlap = overlap
        self._busy = bool(live)
        self._waiting = any(job.held for job in live)
        self._old = {job.job_id for job in live}
        self.cancelled: set[int] = set()

    def join(self, at: datetime, outcome: TickOutcome, *, patient: bool = False) -> Planned:
        """Return what becomes of the planned time `at`; `patient`: it may wait in any case."""
        overlap = self._overlap
        if patient and overlap is not Overlap.ALLOW:
            overlap = Overlap.QUEUE_ALL
        if not self._busy or overlap is Overlap.ALLOW:
            self._busy = True
            return Planned(at, outcome, has_job=True)
        if overlap is Overlap.CANCEL_OLD:
            return self._replace(at, outcome)
        if overlap is Overlap.QUEUE_ALL or (overlap is Overlap.QUEUE_ONE and not self._waiting):
            self._waiting = True
            return Planned(at, outcome, has_job=True, hold=True)
        return Planned(at, TickOutcome.SKIPPED)

    def _replace(self, at: datetime, outcome: TickOutcome) -> Planned:
        if not self._old:  # another new one, of the same moment: it is as new as this
            return Planned(at, TickOutcome.SKIPPED)
        self.cancelled, self._old = self._old, set()
        return Planned(at, outcome, has_job=True)


def _is_late(at: datetime, now: datetime) -> bool:
    return now - at >= PUNCTUAL


def _taken(
    timetable: Timetable, policy: Policy, since: datetime, now: datetime
) -> Sequence[datetime]:
    """Return the due planned times that are not missed, in order."""
    punctual = timetable.latest(max(since, now - PUNCTUAL), now, MOST_CAUGHT_UP)
    if policy.missed is Missed.SKIP or (policy.missed is Missed.ONE and punctual):
        return punctual
    # Nothing that is punctual is missed, however short the window.
    oldest = max(since, now - max(policy.missed_within, PUNCTUAL - MOMENT) - MOMENT)
    most = 1 if policy.missed is Missed.ONE else MOST_CAUGHT_UP
    return timetable.latest(oldest, now, max(most, len(punctual)))


def _missed(timetable: Timetable, since: datetime, before: datetime) -> list[Planned]:
    """Return the missed planned times after `since` and before `before`: one row each, or less."""
    upto = before - MOMENT
    listed = timetable.latest(since, upto, MOST_LISTED)
    rows = [Planned(at, TickOutcome.MISSED) for at in listed]
    if len(listed) < MOST_LISTED:
        return rows
    last = timetable.latest(since, listed[0] - MOMENT, 1)
    first = timetable.next(since)
    if not last or first is None:
        return rows
    count = timetable.count(since, last[0], COUNT_CAP)
    return [Planned(first, TickOutcome.MISSED, count=count, until=last[0]), *rows]
