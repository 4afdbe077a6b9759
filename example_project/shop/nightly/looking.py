"""What the page shows of a schedule: its rule in words, what comes next, what became of the last.

Reads the tables of django_jobs, which are there to be read; changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django_jobs.models import JobRun, Schedule, Tick
from django_jobs.timetables.timetable import Mark, PlannedTime
from django_jobs.timetables.wording import in_words
from example_project.shop.watching import Watched

COMING = 5
PAST = 10
PATIENCE = timedelta(seconds=15)
"""So late somebody deals with a planned time in any case, when a worker is running."""

MARKS = {
    Mark.MOVED: "moved: the clocks skip its time, it comes right after",
    Mark.REPEATED: "the clocks show this time twice, it comes once",
}
FATES = {
    "on_time": "on time",
    "caught_up": "caught up",
    "skipped": "skipped, the job before it had not ended",
    "missed": "missed, no worker was there",
    "backfilled": "backfilled",
    "manual": "started by hand",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One look at a schedule; `row` is `None` until `migrate` or a worker has written it."""

    row: Schedule | None
    now: datetime

    @property
    def word(self) -> str:
        """Whether its planned times lead to jobs."""
        if self.row is None:
            return "not there yet"
        if self.row.disabled_at:
            return "off"
        return "paused" if self.row.paused_at else "on"

    @property
    def tone(self) -> str:
        """The style of that."""
        return {"on": "good", "off": "bad"}.get(self.word, "warm")

    @property
    def words(self) -> str:
        """When it happens, in English."""
        return in_words(self.row.timetable) if self.row else ""

    @property
    def coming(self) -> list[tuple[PlannedTime, str]]:
        """Its next planned times, and what is special about them on the clocks of its zone."""
        planned = self.row.timetable.preview(self.now, COMING) if self.row else []
        return [(time, MARKS.get(time.mark, "")) for time in planned]

    @property
    def seconds_left(self) -> int | None:
        """Seconds until the next planned time; `None` when none leads to a job."""
        if self.row is None or self.row.next_run_at is None:
            return None
        return max(0, round((self.row.next_run_at - self.now).total_seconds()))

    @property
    def is_late(self) -> bool:
        """Whether a planned time has passed and nobody dealt with it."""
        due = self.row.next_run_at if self.row else None
        return due is not None and self.now - due > PATIENCE


@dataclass(frozen=True, slots=True)
class Past:
    """A planned time, or a start by hand, and what became of it."""

    tick: Tick
    job: Watched
    result: Any = None

    @property
    def at(self) -> datetime:
        """When it was planned or, by hand, when it was started."""
        return self.tick.planned_at or self.tick.made_at

    @property
    def fate(self) -> str:
        """What became of it, in words."""
        return FATES.get(self.tick.outcome, self.tick.outcome)

    @property
    def word(self) -> str:
        """The state of its job, the one it ended in when the job was pruned; "" without a job."""
        if self.tick.job_id is None:
            return ""
        return self.job.word if self.job.state else self.tick.job_state.lower() or self.job.word

    @property
    def line(self) -> str:
        """What its job returned or, until it is successful, what went wrong."""
        return str(self.result or "") if self.job.successful else self.job.error


def standings(names: Iterable[str], now: datetime) -> list[Standing]:
    """Return a look at each schedule, in order."""
    rows = {row.name: row for row in Schedule.objects.filter(name__in=list(names))}
    return [Standing(rows.get(name), now) for name in names]


def latest_ticks(standing: Standing) -> list[Tick]:
    """Return the newest ticks of a schedule."""
    return list(standing.row.ticks.all()[:PAST]) if standing.row else []


def results(job_ids: Iterable[int | None]) -> dict[int, Any]:
    """Return what successful jobs returned."""
    runs = JobRun.objects.filter(job_id__in=list(job_ids), result__isnull=False)
    return dict(runs.order_by("pk").values_list("job_id", "result"))
