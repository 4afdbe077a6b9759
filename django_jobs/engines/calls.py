"""The part of the Engine seam that is about the calls of jobs: changing one, repeating one."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django_jobs.states import State


class NewCall(NamedTuple):
    """Other arguments, as JSON texts, and the name of the row that the job is about with them."""

    args: str = "[]"
    kwargs: str = "{}"
    about: str | None = None


class HeldCall(NamedTuple):
    """What a job was enqueued with, read under the lock of its row.

    `copied_as`: the newest job that repeats it.
    """

    name: str
    queue: str
    priority: int
    args: Any
    kwargs: Any
    max_attempts: int
    unique_key: str | None
    about: str | None
    copied_as: int | None


class CallVerbs(ABC):
    """The verbs about the calls of jobs."""

    @abstractmethod
    def change_call(
        self, job_id: int, call: NewCall, as_of: datetime, allowed_from: Iterable[State]
    ) -> State | None:
        """Give a job that does not run other arguments; return its state, `None` if it stays.

        Nothing is written unless the job is in an allowed state and was not touched since it ended
        `as_of`, or, not ended, is still due `as_of`; a microsecond later it is then, so that the
        next one who saw it as it was is refused. What it was enqueued with is kept from the first
        change on.
        """

    @abstractmethod
    def hold_call(self, job_id: int) -> HeldCall | None:
        """Return the call of a job and lock its row; `None` when there is none."""

    @abstractmethod
    def note_copy(self, job_id: int, copy_id: int) -> None:
        """Record that one job repeats the call of another, on both."""
