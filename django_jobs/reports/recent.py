"""How it went in the last four hours, and how fast it goes now, from the newest figures.

Three values of one row, so that whoever looks at everything has them without another query.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Sum

from django_jobs.engines.bounded import as_instant, rows_beside
from django_jobs.models import Release
from django_jobs.reports.history import (
    LATELY,
    RANGES,
    Speed,
    as_time,
    released,
    settled,
    speed,
    whole,
    within,
)
from django_jobs.tallies import RUNS, WAITS, Figures

SPAN = RANGES["4h"]
LATE = WAITS[14:]
"""The buckets of waits of 82 seconds and more: who waits for a minute is late already."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Five minutes: how many jobs ended well, how many failed, how many runs began late."""

    begin: datetime
    end: datetime
    succeeded: int = 0
    failed: int = 0
    late: int = 0

    @property
    def finished(self) -> int:
        """How many jobs ended well or failed for good."""
        return self.succeeded + self.failed


@dataclass(frozen=True, slots=True)
class Recent:
    """The last four hours, the oldest stretch first, and the speed of the newest whole minutes.

    `releases`: the versions that were first seen in these hours, the oldest first.
    """

    stretches: tuple[Stretch, ...]
    speed: Speed
    releases: tuple[Release, ...] = ()


def columns(alias: str, now: datetime) -> dict[str, Any]:
    """Return what an `aggregate()` about other rows has to have for `read`."""
    begin = SPAN.begin(now)
    stretches = (
        whole(within(alias, begin))
        .annotate(at=F("minute") - (F("minute") - begin) % SPAN.step)
        .values("at")
        .annotate(ok=Sum("succeeded"), bad=Sum("failed"), **{f"n{n}": Sum(n) for n in LATE})
    )
    first = settled(now) - LATELY
    newest = whole(within(alias, first)).filter(minute__lt=first + LATELY).values("span")
    sums = {f"{name}_sum": Sum(name) for name in ("succeeded", "failed", *RUNS)}
    return {
        "stretches": rows_beside(stretches, ("at", "ok", "bad", *(f"n{n}" for n in LATE))),
        "newest": rows_beside(newest.annotate(**sums), tuple(sums)),
        "releases": rows_beside(released(alias, as_time(begin)), ("version", "seen_at")),
    }


def read(found: dict[str, Any], now: datetime) -> Recent:
    """Return what the database said to `columns`; where it said nothing, that nothing was."""
    counts = {row[0]: row[1:] for row in found.get("stretches") or ()}
    begin = SPAN.begin(now)
    stretches = tuple(
        Stretch(as_time(at), as_time(at + SPAN.step), *_told(counts.get(at)))
        for at in range(begin, begin + SPAN.length, SPAN.step)
    )
    figures = Figures()
    for succeeded, failed, *runs in found.get("newest") or ():
        figures.succeeded, figures.failed = succeeded, failed
        figures.runs = [number or 0 for number in runs]
    seen = [(as_instant(at), version) for version, at in found.get("releases") or ()]
    releases = tuple(Release(version=version, seen_at=at) for at, version in sorted(seen))
    return Recent(stretches, speed(figures), releases)


def _told(row: list[int | None] | None) -> tuple[int, int, int]:
    succeeded, failed, *late = row or (0, 0)
    return succeeded or 0, failed or 0, sum(number or 0 for number in late)
