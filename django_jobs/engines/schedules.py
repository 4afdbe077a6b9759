"""The part of the Engine seam that is about schedules: its verbs, and what each promises."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from django_jobs.models import Schedule
from django_jobs.timetables.planning import LiveJob, Plan

if TYPE_CHECKING:
    from django_jobs.engines.base import NewJob


@dataclass(frozen=True, slots=True)
class Ticking:
    """What to write for one locked schedule: its plan, and the job of each time that has one."""

    schedule: Schedule
    plan: Plan
    jobs: "Mapping[datetime, NewJob]" = field(default_factory=dict)


class ScheduleVerbs(ABC):
    """The verbs about schedules. Whoever writes ticks of a schedule holds the lock of its row."""

    @abstractmethod
    def next_due(
        self, names: Collection[str], aside: Collection[int] = (), now: datetime | None = None
    ) -> float | None:
        """Return the seconds until a schedule of one of the jobs `names` is due, `None`: never.

        Not more than 0 when one is due; schedules `aside` do not count. Takes no lock.
        """

    @abstractmethod
    def lock_due(
        self,
        names: Collection[str],
        limit: int,
        aside: Collection[int] = (),
        now: datetime | None = None,
    ) -> tuple[datetime, list[Schedule]]:
        """Lock due schedules that nobody has locked, and return the instant by which they are due.

        To be called in the transaction that writes what becomes of them. Never waits.
        """

    @abstractmethod
    def lock_schedule(self, schedule_id: int) -> Schedule | None:
        """Lock a schedule, waiting for whoever deals with it, and return it as it is now."""

    @abstractmethod
    def doubt(
        self,
        schedule_ids: Collection[int],
        reason: str,
        patience: float,
        now: datetime | None = None,
    ) -> set[int]:
        """Note that due schedules cannot be dealt with here; another worker may be able to.

        Disables those of which that is known for longer than `patience` seconds, and returns
        their ids. Never waits.
        """

    @abstractmethod
    def live_jobs(self, schedule_ids: Collection[int]) -> dict[int, list[LiveJob]]:
        """Return the jobs of locked schedules that have not ended; note the ends of the others."""

    @abstractmethod
    def tick(
        self, tickings: Sequence[Ticking], now: datetime | None = None
    ) -> dict[tuple[int, datetime], int]:
        """Write the plans of locked schedules: ticks, their jobs, the next planned time.

        All in one transaction. A planned time that has its tick already gets no second one, and
        no second job. Returns the ids of the new jobs by (schedule id, planned time). A job that
        is to be held is WAITING until `release_held` finds that its turn has come.
        """

    @abstractmethod
    def release_held(self, limit: int, now: datetime | None = None) -> tuple[set[str], bool]:
        """Make held jobs READY whose predecessors have ended.

        Returns their queues, and whether jobs are still held. Never waits.
        """

    @abstractmethod
    def prune_ticks(self, before: datetime, limit: int, after: int = 0) -> tuple[int, int | None]:
        """Delete old ticks among the `limit` next ids `after`, but none whose job may live.

        Returns how many, and the last id looked at (`None`: nothing behind it is old).
        """

    @abstractmethod
    def reopen(self, job_ids: Collection[int]) -> None:
        """Note that jobs of schedules which had ended live again: later ones reckon with them."""
