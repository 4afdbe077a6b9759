"""Failed jobs by error: how many of each kind, since when, how fast they come, who has muted it.

Only the newest failures are considered, and none of them is read whole but the newest of a kind.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Case, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Right

from django_jobs.engines.bounded import as_instant, beside, groups_beside, rows_beside
from django_jobs.models import Job, JobRun, MutedError
from django_jobs.muting import is_quiet
from django_jobs.reports import summary
from django_jobs.reports.history import LATELY as MEASURED
from django_jobs.reports.history import as_time, settled
from django_jobs.reports.summary import with_error
from django_jobs.states import State

RECENT = timedelta(minutes=15)
TREND = 8
"""So many spans of 15 minutes make the trend of an error."""


TRACE_END = 4_000
"""So many characters at the end of a traceback are searched for a line of the project's."""

_FRAME = re.compile(
    r'^  File "(?P<path>[^"\n]+)", line (?P<line>\d+), in (?P<name>.+)$', re.MULTILINE
)
_LIBRARY = re.compile(r"[/\\](site|dist)-packages[/\\]|[/\\]python\d\.\d+[/\\]|^<")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed job and the first line of its error.

    `muting`: what somebody said of this kind; `place`: where in the project's code it was raised,
    where that was asked for and is known.
    """

    job_id: int
    name: str
    queue: str
    finished_at: datetime
    error: str
    muting: MutedError | None = None
    place: str = ""

    @property
    def title(self) -> str:
        """The function's name and the job's number."""
        return f"{self.name.rpartition('.')[2]} #{self.job_id}"


@dataclass(frozen=True, slots=True)
class Kind:
    """Failures of one kind among those considered, by number only."""

    fingerprint: str
    job: str
    count: int
    trend: tuple[int, ...]
    measured: int
    first: datetime
    last: datetime
    newest_id: int
    queues: frozenset[str]


@dataclass(frozen=True, slots=True)
class Failures:
    """The newest failures: how many, one more than the cap at most, their kinds, and the newest.

    The kinds are those of as many as the cap allows, the one that struck last first.
    """

    number: int = 0
    kinds: tuple[Kind, ...] = ()
    newest: tuple[int, ...] = ()


class _Part(NamedTuple):
    """Failures that are equal in `KEYS`, as the database counts them."""

    fingerprint: str
    name: str
    queue: str
    place: int
    measured: int
    number: int
    first: datetime
    last: datetime
    newest_id: int


KEYS = ("fingerprint", "name", "queue", "place", "measured")
"""`place`: so many quarters of an hour ago. `measured`: in the minutes a speed is told of."""


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failures of one kind among the newest: how many, since when, and the newest.

    `trend`: how many in each quarter of an hour of the last two hours, the last one being now.
    `measured`: how many in the minutes that the speed in `Recent` is about.
    `muted`: who keeps it out of the verdict, and until when, while that holds.
    """

    fingerprint: str
    count: int
    trend: tuple[int, ...]
    measured: int
    first: datetime
    newest: Failure
    muted: MutedError | None = None

    @property
    def recent(self) -> int:
        """How many within the last 15 minutes."""
        return self.trend[-1]


def newest_failures(alias: str, now: datetime, newest: int = 0) -> Failures:
    """Return the newest failures by kind, and the numbers of the `newest` ones; one query.

    They are told apart by the database: ten thousand rows would take longer to be read.
    """
    jobs = Job.objects.using(alias).order_by()
    failed = jobs.filter(state=State.FAILED).order_by("-finished_at")
    end = as_time(settled(now))
    is_measured = When(
        finished_at__gte=end - timedelta(minutes=MEASURED), finished_at__lt=end, then=Value(1)
    )
    spans = (
        When(finished_at__gt=now - RECENT * (place + 1), then=Value(place))
        for place in range(TREND)
    )
    considered = failed.annotate(
        place=Case(*spans, default=Value(TREND)), measured=Case(is_measured, default=Value(0))
    )
    found = jobs.filter(pk=0).aggregate(
        number=beside(failed.values("finished_at")[: summary.CAP + 1]),
        groups=groups_beside(considered[: summary.CAP], KEYS, "finished_at"),
        newest=rows_beside(failed[:newest], ("id", "finished_at")),
    )
    ids = tuple(job_id for job_id, _ in found["newest"] or ())
    groups: Any = found["groups"] or ()
    parts = [
        _Part._make((*keys, number, as_instant(first), as_instant(last), newest_id))
        for *keys, number, first, last, newest_id in groups
    ]
    return Failures(found["number"], tuple(_kinds_of(parts)), ids)


def _kinds_of(parts: Iterable[_Part]) -> list[Kind]:
    """Return the kinds, the one that struck last first."""
    members: dict[str, list[_Part]] = defaultdict(list)
    for part in parts:
        members[part.fingerprint].append(part)
    kinds = []
    for fingerprint, found in members.items():
        trend = [0] * (TREND + 1)
        for part in found:
            trend[TREND - 1 - part.place] += part.number  # those of longer ago go to the end
        newest = max(found, key=lambda part: (part.last, part.newest_id))
        kinds.append(
            Kind(
                fingerprint=fingerprint,
                job=newest.name,
                count=sum(part.number for part in found),
                trend=tuple(trend[:TREND]),
                measured=sum(part.number for part in found if part.measured),
                first=min(part.first for part in found),
                last=newest.last,
                newest_id=newest.newest_id,
                queues=frozenset(part.queue for part in found),
            )
        )
    return sorted(kinds, key=lambda kind: (kind.last, kind.newest_id), reverse=True)


def biggest(kinds: Iterable[Kind]) -> list[Kind]:
    """Return `kinds`, those that grow just now first, then by size."""
    return sorted(kinds, key=lambda kind: (kind.trend[-1], kind.count), reverse=True)


def groups_of(
    kinds: Sequence[Kind], known: Mapping[int, Failure], now: datetime
) -> tuple[ErrorGroup, ...]:
    """Return the groups of `kinds` whose newest failure is known: one may have been retried."""
    return tuple(
        ErrorGroup(
            fingerprint=kind.fingerprint,
            count=kind.count,
            trend=kind.trend,
            measured=kind.measured,
            first=kind.first,
            newest=newest,
            muted=newest.muting
            if newest.muting is not None and is_quiet(newest.muting, kind.count, now)
            else None,
        )
        for kind in kinds
        if (newest := known.get(kind.newest_id)) is not None
    )


def described(alias: str, job_ids: Iterable[int], *, places: bool = False) -> dict[int, Failure]:
    """Return the failed ones of some jobs; one may have been retried since it was counted.

    With `places`, each says where it was raised.
    """
    jobs = Job.objects.using(alias).filter(pk__in=job_ids, state=State.FAILED)
    rows: Any = with_muting(with_error(jobs.only("name", "queue", "finished_at", "fingerprint")))
    if places:
        newest = JobRun.objects.filter(job=OuterRef("pk")).order_by("-id")
        rows = rows.annotate(trace=Subquery(newest.values(end=Right("traceback", TRACE_END))[:1]))
    return {row.pk: failure_of(row) for row in rows}


def with_muting(jobs: "QuerySet[Job]") -> "QuerySet[Job]":
    """Return `jobs` with what makes up the `MutedError` of each, in the same query."""
    rows = MutedError.objects.filter(fingerprint=OuterRef("fingerprint"))
    fields = ("muted_at", "muted_by", "muted_until", "count")
    return jobs.annotate(**{f"its_{name}": Subquery(rows.values(name)[:1]) for name in fields})


def failure_of(row: Any) -> Failure:
    """Return a job that was read with its error and its muting."""
    muting = None
    if row.its_muted_at is not None:
        muting = MutedError(
            fingerprint=row.fingerprint,
            muted_at=row.its_muted_at,
            muted_by=row.its_muted_by,
            muted_until=row.its_muted_until,
            count=row.its_count,
        )
    place = app_place(getattr(row, "trace", None) or "")
    return Failure(row.pk, row.name, row.queue, row.finished_at, _error(row), muting, place)


def app_place(traceback: str) -> str:
    """Return the last line of the project's own code in a traceback: `clients.py:88 in post`."""
    own = [found for found in _FRAME.finditer(traceback) if not _LIBRARY.search(found["path"])]
    if not own:
        return ""
    path = re.split(r"[/\\]", own[-1]["path"])
    return f"{'/'.join(path[-2:])}:{own[-1]['line']} in {own[-1]['name']}"


def _error(row: Any) -> str:
    """Return the error in one line, the exception's class without its module."""
    kind = row.error_type.rpartition(".")[2] if row.error_type else ""
    return f"{kind}: {row.error_line}" if kind else ""
