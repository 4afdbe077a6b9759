"""What is in one queue, by job, and how its last 24 hours were: three bounded queries.

What is ready is read from the jobs, everything about the past from the figures.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django_jobs import registry
from django_jobs.engines.bounded import as_instant, groups_beside, rows_beside
from django_jobs.models import Job, Release
from django_jobs.reports.history import (
    Point,
    Range,
    as_time,
    parts,
    points,
    released,
)
from django_jobs.reports.overview import Amount
from django_jobs.reports.queues import ready_jobs
from django_jobs.reports.summary import QUEUE_CAP
from django_jobs.tallies import HOUR, Figures

DAY = Range("24h", 24 * HOUR, 30)
"""Few enough points for a keyboard to walk along."""

MOST_NAMES = 50


@dataclass(frozen=True, slots=True)
class NamedJobs:
    """The jobs of one name in a queue: how many are ready, and what ended in whole hours."""

    name: str
    ready: Amount
    figures: Figures


@dataclass(frozen=True, slots=True)
class QueueContents:
    """What is in a queue: by name, those of which most is ready first, then those that ran longest.

    `more`: so many names are left out. `capped`: more is ready than was looked at, of which name
    nobody knows. `points`: the last 24 hours; `releases`: the versions first seen in them.
    """

    names: tuple[NamedJobs, ...]
    more: int
    capped: bool
    points: tuple[Point, ...]
    releases: tuple[Release, ...]


def contents(alias: str, now: datetime, queue: str) -> QueueContents:
    """Return what is in the queue called `queue`, what is declared for it included."""
    ready, releases = _now(alias, now, queue)
    past = {part.name: part.figures for part in parts(alias, DAY, now, queue)}
    counted = sum(ready.values())
    names = sorted({*ready, *past, *_declared(queue)})
    known = [
        NamedJobs(
            name,
            Amount(ready.get(name, 0), counted == QUEUE_CAP and name in ready),
            past.get(name) or Figures(),
        )
        for name in names
    ]
    known.sort(key=lambda one: (-one.ready.number, -one.figures.run_sum))
    return QueueContents(
        names=tuple(known[:MOST_NAMES]),
        more=max(len(known) - MOST_NAMES, 0),
        capped=counted == QUEUE_CAP,
        points=points(alias, DAY, now, queue),
        releases=releases,
    )


def _now(alias: str, now: datetime, queue: str) -> tuple[dict[str, int], tuple[Release, ...]]:
    """Return how much of each name is ready among the next 1,000, and the versions of a day."""
    since = as_time(DAY.begin(now))
    found = (
        Job.objects.using(alias)
        .order_by()
        .filter(pk=0)
        .aggregate(
            ready=groups_beside(ready_jobs(alias, queue)[:QUEUE_CAP], ("name",)),
            releases=rows_beside(released(alias, since), ("version", "seen_at")),
        )
    )
    seen = sorted((as_instant(at), version) for version, at in found["releases"] or ())
    return dict(found["ready"] or ()), tuple(
        Release(version=version, seen_at=at) for at, version in seen
    )


def _declared(queue: str) -> Iterable[str]:
    return (each.name for each in registry.declared() if each.queue == queue)
