"""The part of the Engine seam that is about operations on very many jobs: verbs and promises.

Whoever works on one has its row locked until the commit, so that what is done to a page of jobs,
and that it was done, is one commit: a death in between has done nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django_jobs.models import BulkOperation


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """What is to be done, to which jobs, and who wants it. The fields are those of the record."""

    key: str
    verb: str
    search: str
    as_of: datetime
    low: int
    high: int
    expected: int
    by: str = ""


@dataclass(frozen=True, slots=True)
class BulkPage:
    """What became of the jobs up to `last_id`. `refused`: {reason: (how many, one of them)}."""

    last_id: int
    done: int = 0
    asked: int = 0
    refused: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    is_last: bool = False


class BulkVerbs(ABC):
    """The verbs about operations on very many jobs."""

    BULK = "!bulk"
    """What `notify` says when there is an operation to be worked off."""

    look_every: float = 2.0
    """Seconds between two looks for an operation; more where workers hear of one."""

    @abstractmethod
    def delete(self, job_ids: Collection[int]) -> set[int]:
        """Delete finished jobs with all their rows; return the ids that were deleted."""

    def is_busy(self, error: Exception) -> bool:
        """Say whether `error` means that others kept a row locked for too long."""
        del error
        return False

    @abstractmethod
    def add_bulk(self, request: BulkRequest, now: datetime | None = None) -> tuple[int, bool]:
        """Write an operation; return its number, and whether it was not there already."""

    @abstractmethod
    def lock_bulk(self, beside: Collection[int] = ()) -> BulkOperation | None:
        """Lock the oldest unfinished operation that nobody has locked, none of `beside`; never waits."""

    @abstractmethod
    def note_bulk(self, row: BulkOperation, page: BulkPage, now: datetime | None = None) -> None:
        """Add what became of a page to the operation, whose row the caller has locked."""

    @abstractmethod
    def stop_bulk(self, bulk_id: int, by: str, now: datetime | None = None) -> bool:
        """End an unfinished operation after the page that is worked on; False: it had ended."""

    @abstractmethod
    def prune_bulk(self, before: datetime, limit: int) -> int:
        """Delete operations that were finished before; return how many."""
