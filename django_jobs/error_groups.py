"""Failed jobs by error: how many of each kind, since when, how fast they come, who has muted it.

Only the newest failures are considered, and none of them is read whole but the newest of a kind.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Right

from django_jobs import summary
from django_jobs.history import LATELY as MEASURED
from django_jobs.history import as_time, settled
from django_jobs.models import Job, JobRun, MutedError
from django_jobs.muting import is_quiet
from django_jobs.states import State
from django_jobs.summary import with_error

RECENT = timedelta(minutes=15)
TREND = 8
"""So many spans of 15 minutes make the trend of an error."""


TRACE_END = 4_000
"""So many characters at the end of a traceback are searched for a line of the project's."""

_FRAME = re.compile(
    r'^  File "(?P<path>[^"\n]+)", line (?P<line>\d+), in (?P<name>.+)$', re.MULTILINE
)
_LIBRARY = re.compile(r"[/\\](site|dist)-packages[/\\]|[/\\]python\d\.\d+[/\\]|^<")


class Row(NamedTuple):
    """What is read of each failure that is considered."""

    job_id: int
    fingerprint: str
    finished_at: datetime
    queue: str
    name: str


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


def newest_failures(alias: str) -> list[Row]:
    """Return the newest failures, the newest first; one more than the cap at most."""
    failed = Job.objects.using(alias).filter(state=State.FAILED).order_by("-finished_at")
    rows: Any = failed.values_list("id", "fingerprint", "finished_at", "queue", "name")[
        : summary.CAP + 1
    ]
    return [Row._make(row) for row in rows]


def kinds_of(failures: Iterable[Row], now: datetime) -> list[Kind]:
    """Return the kinds of `failures`, which come newest first; so do the kinds."""
    members: dict[str, list[Row]] = defaultdict(list)
    for failure in failures:
        members[failure.fingerprint].append(failure)
    end = as_time(settled(now))
    begin = end - timedelta(minutes=MEASURED)
    return [
        Kind(
            fingerprint=fingerprint,
            job=found[0].name,
            count=len(found),
            trend=_trend([failure.finished_at for failure in found], now),
            measured=sum(begin <= failure.finished_at < end for failure in found),
            first=found[-1].finished_at,
            last=found[0].finished_at,
            newest_id=found[0].job_id,
            queues=frozenset(failure.queue for failure in found),
        )
        for fingerprint, found in members.items()
    ]


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


def _trend(times: Iterable[datetime], now: datetime) -> tuple[int, ...]:
    counts = [0] * TREND
    for at in times:
        place = max(0, (now - at) // RECENT)
        if place < TREND:
            counts[TREND - 1 - place] += 1
    return tuple(counts)


def _error(row: Any) -> str:
    """Return the error in one line, the exception's class without its module."""
    kind = row.error_type.rpartition(".")[2] if row.error_type else ""
    return f"{kind}: {row.error_line}" if kind else ""
