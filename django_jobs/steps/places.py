"""Which step a job's function has come to: its key, its number, and whether it may be there."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import connections

from django_jobs.conf import get_settings
from django_jobs.engines.steps import Memo
from django_jobs.exceptions import InvalidStep
from django_jobs.serializers import clean_text
from django_jobs.states import Outcome, StepState

MOST_STEPS = 1000
LONGEST_NAME = 200

current_step: ContextVar[str] = ContextVar("django_jobs_current_step", default="")
"""The key of the step whose function runs in this thread or task."""


current_attempt: ContextVar[int] = ContextVar("django_jobs_current_attempt", default=0)
"""How often that function was called, this call included."""


class Interruption(BaseException):
    """Leaves the job's function in the middle; a later run goes on from there.

    `outcome` is how this run ends; `None`: as somebody asked it to. Not an `Exception`, so that
    a job that catches those does not catch this.
    """

    def __init__(self, outcome: Outcome | None) -> None:
        self.outcome = outcome
        super().__init__("The job is interrupted at a step; it goes on later.")


@dataclass(frozen=True, slots=True)
class Place:
    """A step that the function has come to: its key, its number, what is on record of it."""

    key: str
    position: int
    memo: Memo | None

    @property
    def is_done(self) -> bool:
        """Whether it never has to run again."""
        return self.memo is not None and self.memo.state is StepState.DONE

    @property
    def result(self) -> Any:
        """What its function returned, when it is done."""
        return self.memo.result if self.memo else None

    @property
    def attempts(self) -> int:
        """How often its function was called before."""
        return self.memo.attempts if self.memo else 0


class Places:
    """Gives each step of one run its key and its number; refuses those that cannot be there.

    `depth` is the number of transactions around the job's function; `thread` the thread that
    it runs in, `None` for one on an event loop.
    """

    def __init__(self, job: str) -> None:
        self.depth = 0
        self.thread: int | None = None
        self.count = 0
        self._job = job
        self._names: Counter[str] = Counter()
        self._keys: set[str] = set()

    def next(self, name: str) -> str:
        """Return the key of the next step, which no other step of this run has."""
        self.count += 1
        self._names[name] += 1
        key = name if self._names[name] == 1 else f"{name}#{self._names[name]}"
        while key in self._keys:  # somebody has called a step "page#2" himself
            self._names[name] += 1
            key = f"{name}#{self._names[name]}"
        self._keys.add(key)
        return key

    def check(self, name: str) -> None:
        """Raise InvalidStep where no step can be, before anything is called."""
        if problem := self._misnamed(name) or self._misplaced():
            raise InvalidStep(f"{self._job}: step {name!r}: {problem}.")

    def _misnamed(self, name: str) -> str:
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
            return f"its name must be a text of 1 to {LONGEST_NAME} characters"
        if clean_text(name) != name:
            return "its name has a NUL character or a lone surrogate, which no database stores"
        return ""

    def _misplaced(self) -> str:
        if self.count >= MOST_STEPS:
            return f"a job has at most {MOST_STEPS:,} steps; let it enqueue others"
        if outer := current_step.get():
            return (
                f'it stands inside the step "{outer}", which is done once and then never entered '
                "again, so that this one would be missing. Call it as a plain function there, or "
                "put one step after the other"
            )
        if _is_on_a_loop():
            return "it stands in async code. Await step.arun(), aatomic(), asleep() there"
        if self.thread not in (None, threading.get_ident()):
            return (
                "it stands in a thread that the job has started, whose steps come in no certain "
                "order. Let the threads return to the job, which has the steps"
            )
        if len(connections[get_settings().DATABASE].atomic_blocks) > self.depth:
            return (
                "it stands inside transaction.atomic(), which could undo what is on record of it. "
                "Use step.atomic(), or end the transaction before; an atomic job has no steps"
            )
        return ""


@contextmanager
def inside(key: str, attempt: int = 1) -> Iterator[None]:
    """Let the block be the function of step `key`, called for the `attempt`th time."""
    tokens = current_step.set(key), current_attempt.set(attempt)
    try:
        yield
    finally:
        current_step.reset(tokens[0])
        current_attempt.reset(tokens[1])


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
