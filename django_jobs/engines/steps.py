"""The part of the Engine seam that is about steps: its verbs, and what each promises."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from django_jobs.states import Later, StepState

if TYPE_CHECKING:
    from django_jobs.engines.base import Hold


class Memo(NamedTuple):
    """What is on record of a step. `due`: it slept, and that is over by the database's clock."""

    state: StepState
    position: int
    result: Any = None
    attempts: int = 0
    error_type: str = ""
    error: str = ""
    wake_at: datetime | None = None
    due: bool = False


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What to write of a step; `result` is JSON text, `wake` when a sleep is over.

    `began_ago`: seconds since its function was called, by the worker's monotonic clock.
    """

    key: str
    position: int
    state: StepState
    result: str | None = None
    attempts: int = 0
    error_type: str = ""
    error: str = ""
    wake: Later | None = None
    began_ago: float = 0.0


class StepVerbs(ABC):
    """The verbs about steps. They work on the connection of the thread that runs the job."""

    connection: BaseDatabaseWrapper

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Undo the block where a database error in it has broken the caller's transaction.

        For the tests of a project. A worker has no transaction around a job or a step, so that
        only the failed statement is undone; nothing happens then.
        """
        connection = self.connection
        savepoint = connection.savepoint() if connection.in_atomic_block else None
        try:
            yield
        finally:
            if savepoint is not None:
                self._keep_or_undo(savepoint)

    def _keep_or_undo(self, savepoint: str) -> None:
        try:
            self.connection.savepoint_commit(savepoint)
        except DatabaseError:
            self.connection.set_rollback(rollback=False)
            self.connection.savepoint_rollback(savepoint)

    @abstractmethod
    def load_steps(self, job_id: int, now: datetime | None = None) -> dict[str, Memo]:
        """Return what is on record of all steps of a job, by key, in one query."""

    @abstractmethod
    def save_step(
        self, hold: "Hold", step: StepRecord, *, first: bool, now: datetime | None = None
    ) -> datetime | None:
        """Write a step in one statement, but only while the job runs under the claim.

        Joins an open transaction; the job's row is locked from here to its end. `first` marks
        the job as one that has steps, and when this one is done, forgets the job's losses.
        Returns the instant at which a sleep is over (of any other step: the present); `None`
        when the claim is lost, or the step done already: then no step was written.
        """

    @abstractmethod
    def forget_steps(self, job_ids: Collection[int], *, finished: bool) -> None:
        """Delete the steps of jobs that do not run: those that failed, or all with `finished`."""
