"""The part of the Engine seam that is about batches and flows: its verbs, and what each promises.

A batch counts the jobs in it; a flow is a batch whose parent waits for them. Whoever adds to a
batch or counts in it has its row locked until the commit. Adding waits for that lock; counting,
which workers do, never waits: what is locked is left, and counted the next time.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django_jobs.states import IfFailed, State

if TYPE_CHECKING:
    from django_jobs.engines.base import NewJob


class Member(NamedTuple):
    """A job that is added to a batch. `fresh`: it was written just now, and is in no batch yet."""

    job_id: int
    name: str
    policy: IfFailed = IfFailed.FAIL
    fresh: bool = True


class Callback(NamedTuple):
    """A job that is to be written when a batch is finished. `on`: success, failure or finish."""

    on: str
    job: "NewJob"
    id: int = 0


class Trouble(NamedTuple):
    """A child that has failed or was cancelled, which its parent is to hear of."""

    job_id: int
    name: str
    state: State
    policy: IfFailed


class Standing(NamedTuple):
    """The counts of an unfinished batch, whose row is locked, and in a flow the parent's row, too.

    `parent_waits`: that one still waits for its children. `troubles`: of what was counted just now.
    """

    batch_id: int
    total: int
    pending: int
    successful: int
    failed: int
    cancelled: int
    parent_id: int | None = None
    parent_waits: bool = False
    troubles: tuple[Trouble, ...] = ()


class Settled(NamedTuple):
    """What counting led to: where unfinished batches stand, and which jobs are not counted yet."""

    standings: tuple[Standing, ...] = ()
    busy: frozenset[int] = frozenset()


class ChildRow(NamedTuple):
    """What is on record of a child. `result` is decoded; of a deleted job there is only a state."""

    job_id: int
    name: str
    state: State
    result: Any = None
    error_type: str = ""
    error: str = ""


class Below(NamedTuple):
    """What cancelling below parents did. `left`: parents with children that are to be cancelled yet."""

    queues: frozenset[str] = frozenset()
    left: frozenset[int] = frozenset()


class BatchVerbs(ABC):
    """The verbs about batches and flows. All but the first seven are the workers'."""

    @abstractmethod
    def open_batch(
        self, name: str, parent_id: int | None = None, now: datetime | None = None
    ) -> int:
        """Write a batch without jobs on the caller's connection; return its number."""

    @abstractmethod
    def hold_batch(self, batch_id: int) -> int | None:
        """Lock an unfinished batch, waiting where it must; `None` when it is finished or gone.

        Returns the number of its newest member (0: it has none), for `count_members`.
        """

    @abstractmethod
    def add_members(self, batch_id: int, members: Sequence[Member]) -> None:
        """Write members, in order, and let their ends be told; who is one already stays one."""

    @abstractmethod
    def count_members(self, batch_id: int, after: int) -> Standing:
        """Count the members that were added since the one number `after`, and lock the batch."""

    @abstractmethod
    def add_callback(self, batch_id: int, callback: Callback) -> None:
        """Write what is to be enqueued when the batch is finished."""

    @abstractmethod
    def let_wait(self, parent_id: int) -> None:
        """Let a job that the caller has written just now wait for its children."""

    @abstractmethod
    def idle_members(self, batch_id: int, limit: int) -> list[int]:
        """Return jobs of a batch that have not begun."""

    @abstractmethod
    def children_of(self, parent_id: int) -> list[ChildRow]:
        """Return the children of a flow's parent, in the order in which they were added."""

    @abstractmethod
    def settle(self, ends: Mapping[int, State]) -> Settled:
        """Count these ends in the batches of these jobs, each job once; never waits."""

    @abstractmethod
    def finish_batches(self, batch_ids: Collection[int], now: datetime | None = None) -> None:
        """Note that batches are finished; the caller has them locked."""

    @abstractmethod
    def callbacks_of(self, batch_id: int, ons: Collection[str]) -> list[Callback]:
        """Return what is to be enqueued at these ends of a batch, in the order of declaration."""

    @abstractmethod
    def note_called(self, job_ids: Mapping[int, int]) -> None:
        """Note which jobs callbacks have become: {callback: job}."""

    @abstractmethod
    def let_go(self, parent_ids: Collection[int], now: datetime | None = None) -> set[str]:
        """Make waiting parents READY, whose rows the caller has locked; return their queues."""

    @abstractmethod
    def fail_waiting(self, reasons: Mapping[int, str], now: datetime | None = None) -> None:
        """Fail waiting parents, whose rows the caller has locked, each with its reason."""

    @abstractmethod
    def reopen_flows(self, parent_ids: Collection[int], now: datetime | None = None) -> set[int]:
        """Let retried parents wait for those of their children that have not ended; return these."""

    @abstractmethod
    def forgotten_members(self, after: int, limit: int) -> tuple[int, int]:
        """Write the events of ended or deleted members that are told to nobody.

        Looks at the next `limit` uncounted members from number `after` on. Returns how many
        events it wrote, and the last member it saw (0: the end was reached).
        """

    @abstractmethod
    def stalled_batches(self, limit: int) -> list[Standing]:
        """Return unfinished batches without pending jobs, and lock them; never waits."""

    @abstractmethod
    def prune_batches(self, before: datetime, limit: int) -> int:
        """Delete batches finished before, but no flow whose parent is there; return how many."""
