"""Schedules whose newest planned time was missed, and that nobody has started by hand since.

One value of a row that is about other things, so that it costs no query. Each schedule costs two
looks into the index of its planned times.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, F, OuterRef, Q, Subquery, When

from django_jobs.engines.bounded import as_instant, rows_beside
from django_jobs.models import Schedule, Tick
from django_jobs.timetables.planning import TickOutcome

MOST_SCHEDULES = 200
"""Those that are due next are looked at."""

LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class MissedTime:
    """The newest planned time of a schedule, which led to no job: nobody was there."""

    schedule_id: int
    name: str
    at: datetime


def column(alias: str, now: datetime) -> Any:
    """Return what an `aggregate()` about other rows has to have for `read`."""
    ticks = Tick.objects.filter(schedule=OuterRef("pk"))
    is_missed = Q(outcome=TickOutcome.MISSED, made_at__gte=now - LATELY)
    # What counts is no condition of the query: it would look for the newest that was missed.
    newest = ticks.filter(planned_at__isnull=False).order_by("-planned_at")
    missed = newest.annotate(missed=Case(When(is_missed, then=F("planned_at")))).values("missed")
    manual = ticks.filter(planned_at__isnull=True, outcome=TickOutcome.MANUAL).order_by("-pk")
    rows = Schedule.objects.using(alias).filter(next_run_at__isnull=False).order_by("next_run_at")
    rows = rows.annotate(
        missed_at=Subquery(missed[:1]), by_hand=Subquery(manual.values("made_at")[:1])
    )
    return rows_beside(rows[:MOST_SCHEDULES], ("id", "name", "missed_at", "by_hand"))


def read(found: Iterable[Any] | None) -> tuple[MissedTime, ...]:
    """Return what the database said to `column`, what was missed last first."""
    known = [
        MissedTime(key, name, as_instant(at))
        for key, name, at, by_hand in found or ()
        if at and not (by_hand and as_instant(by_hand) > as_instant(at))
    ]
    return tuple(sorted(known, key=lambda one: one.at, reverse=True))
