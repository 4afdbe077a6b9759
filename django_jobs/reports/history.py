"""What was, read from the figures of minutes and hours: how much, how well, how fast. Only reads.

Never looks at jobs or runs. What has just ended is written a minute later, so whoever wants whole
minutes leaves out the last two.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, QuerySet, Sum

from django_jobs.models import Release, Tally
from django_jobs.tallies import COLUMNS, HOUR, Figures, quantile, total

MOST_PARTS = 1_000
"""So many pairs of job and queue are told apart."""

A_FEW = 4
"""Hours in which jobs are told apart by the minute."""

MOST_RELEASES = 20
UNSETTLED = 2
"""So many of the newest minutes may still be incomplete: workers write a minute when it is over."""

LATELY = 15
"""Minutes that make up "now" where a speed is told."""


@dataclass(frozen=True, slots=True)
class Range:
    """A span of time that is looked at, and how it is cut into points. All in minutes.

    `grain`: what the figures are taken from, those of minutes (1) or of hours (60).
    """

    name: str
    length: int
    step: int
    grain: int = 1

    def begin(self, now: datetime) -> int:
        """Return where the oldest point begins, so that the newest one holds `now`."""
        return last_point(now, self.step) + self.step - self.length

    @property
    def parts_grain(self) -> int:
        """Return what jobs are told apart by: there are many, so by hours as soon as that will do."""
        return HOUR if self.length > A_FEW * HOUR else 1


RANGES = {
    found.name: found
    for found in (
        Range("1h", HOUR, 1),
        Range("4h", 4 * HOUR, 5),
        Range("24h", 24 * HOUR, 15),
        Range("7d", 7 * 24 * HOUR, 2 * HOUR, HOUR),
        Range("30d", 30 * 24 * HOUR, 6 * HOUR, HOUR),
    )
}


@dataclass(frozen=True, slots=True)
class Point:
    """The figures from `begin` to before `end`, both aware."""

    begin: datetime
    end: datetime
    figures: Figures


@dataclass(frozen=True, slots=True)
class Part:
    """The figures of one job in one queue."""

    queue: str
    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Speed:
    """How a queue has done of late: jobs that finished per minute, p95 of runs and waits.

    The latter are seconds, `None` when nothing ran. `finished`: in all of that time.
    """

    finished: int = 0
    per_minute: float = 0.0
    p95_run: float | None = None
    p95_wait: float | None = None


def points(
    alias: str, span: Range, now: datetime, queue: str = "", name: str = ""
) -> tuple[Point, ...]:
    """Return the figures of `span` until `now`, point by point, the empty ones included."""
    begin = span.begin(now)
    rows = within(alias, begin, span.grain)
    rows = each_job(rows) if queue or name else whole(rows)
    rows = rows.filter(queue=queue) if queue else rows
    rows = rows.filter(name=name) if name else rows
    rows = rows.annotate(at=F("minute") - (F("minute") - begin) % span.step)
    found = {row[0]: Figures.from_row(row[1:]) for row in _summed(rows, "at")}
    return tuple(
        Point(as_time(at), as_time(at + span.step), found.get(at) or Figures())
        for at in range(begin, begin + span.length, span.step)
    )


def parts(alias: str, span: Range, now: datetime, queue: str = "") -> tuple[Part, ...]:
    """Return the figures of each job in each queue, or in one, those that ran longest first.

    From four hours on it is whole hours that count.
    """
    grain = span.parts_grain
    begin = -(-span.begin(now) // grain) * grain
    rows = each_job(within(alias, begin, grain))
    sums = _summed(rows.filter(queue=queue) if queue else rows, "queue", "name")
    ordered = sums.order_by("-run_sum_sum", "queue", "name")[:MOST_PARTS]
    return tuple(Part(row[0], row[1], Figures.from_row(row[2:])) for row in ordered)


def speeds(alias: str, now: datetime) -> dict[str, Speed]:
    """Return how each queue has done in the newest 15 whole minutes, in one query.

    A queue in which nothing ended is absent.
    """
    begin = settled(now) - LATELY
    rows = each_job(within(alias, begin)).filter(minute__lt=begin + LATELY)
    return {row[0]: speed(Figures.from_row(row[1:])) for row in _summed(rows, "queue")}


def speed(figures: Figures, minutes: float = LATELY) -> Speed:
    """Return the speed behind the figures of so many minutes."""
    return Speed(
        figures.finished,
        figures.finished / minutes,
        quantile(figures.runs, 0.95),
        quantile(figures.waits, 0.95),
    )


def releases(alias: str, since: datetime) -> tuple[Release, ...]:
    """Return the newest versions that were first seen since then, the oldest of them first."""
    return tuple(reversed(released(alias, since)))


def released(alias: str, since: datetime) -> "QuerySet[Release]":
    """Return the rows of those versions, the newest first."""
    rows: QuerySet[Release] = QuerySet(Release, using=alias).filter(seen_at__gte=since)
    return rows.order_by("-seen_at")[:MOST_RELEASES]


def by_name(found: tuple[Part, ...]) -> Mapping[str, Figures]:
    """Return the figures of each job in all of its queues, in the order of the parts."""
    names: dict[str, list[Figures]] = defaultdict(list)
    for part in found:
        names[part.name].append(part.figures)
    return {name: total(figures) for name, figures in names.items()}


def within(alias: str, begin: int, grain: int = 1) -> "QuerySet[Tally]":
    """Return the rows of that grain from the minute `begin` on, by an index."""
    return QuerySet(Tally, using=alias).filter(span=grain, minute__gte=begin).order_by()


def whole(rows: "QuerySet[Tally]") -> "QuerySet[Tally]":
    """Return those rows that are about all jobs together: one for each minute or hour."""
    return rows.filter(queue="", name="")


def each_job(rows: "QuerySet[Tally]") -> "QuerySet[Tally]":
    """Return the others."""
    return rows.exclude(name="")


def as_minute(instant: datetime) -> int:
    """Return the minute of `instant`, counted from 1970."""
    return int(instant.timestamp()) // 60


def as_time(minute: int) -> datetime:
    """Return when a minute begins."""
    return datetime.fromtimestamp(minute * 60, UTC)


def settled(now: datetime) -> int:
    """Return the first minute whose figures may still grow."""
    return as_minute(now) - UNSETTLED + 1


def last_point(now: datetime, step: int) -> int:
    """Return where the point that holds `now` begins."""
    minute = as_minute(now)
    return minute - minute % step


def _summed(rows: "QuerySet[Tally]", *by: str) -> "QuerySet[Any, Any]":
    sums = {f"{name}_sum": Sum(name) for name in COLUMNS}
    grouped: QuerySet[Any, Any] = rows.values(*by).annotate(**sums)
    return grouped.values_list(*by, *sums)
