"""The part of the Engine seam that is about steps: its verbs, and what each promises."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

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

    @abstractmethod
    def load_steps(self, job_id: int, now: datetime | None = None) -> dict[str, Memo]:
        """Return what is on record of all steps of a job, by key, in one query."""

    @abstractmethod
    def save_step(
        self, hold: "Hold", step: StepRecord, *, first: bool, now: datetime | None = None
    ) -> datetime | None:
        """Write a step in one statement, but only while the job runs under the claim.

        Joins an open transaction; the job's row is locked from here to its end. `first` marks
        the job as one that has steps. Returns the instant at which a sleep is over (of any other
        step: the present), `None` when the claim is lost: then nothing was written.
        """

    @abstractmethod
    def forget_steps(self, job_ids: Collection[int], *, finished: bool) -> None:
        """Delete the steps of jobs that do not run: those that failed, or all with `finished`."""
