"""Durable steps: what a job has done once it never does again, whatever happens to its worker.

A step's name is its memory. The job's function runs from its top again after each interruption;
finished steps then return what they returned, and the first unfinished one goes on.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from inspect import isawaitable
from typing import Any, NoReturn, ParamSpec, TypeVar, cast, overload

from asgiref.sync import sync_to_async
from django.db import connections

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.base import Engine, Hold
from django_jobs.engines.steps import Memo, StepRecord
from django_jobs.exceptions import Cancel, InvalidStep, Snooze, StepFailed
from django_jobs.retries import as_seconds
from django_jobs.serializers import dump_result
from django_jobs.states import (
    ErrorRecord,
    Interrupted,
    Later,
    Outcome,
    Raised,
    StepState,
    Suspended,
)

MOST_STEPS = 1000
LONGEST_NAME = 200

P = ParamSpec("P")
T = TypeVar("T")

Judge = Callable[[BaseException, int], tuple[ErrorRecord, Later | None]]
"""(exception, how often the step was called) → its record, and when to try again, if at all."""

current_step: ContextVar[str] = ContextVar("django_jobs_current_step", default="")
"""The key of the step whose function runs in this thread or task."""


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


class Steps:
    """The steps of one job: `context.step`. Without a job (`hold`) they simply run.

    `depth` is the number of transactions around the job's function. For the worker:
    `interruption`, once a step has interrupted the job.
    """

    def __init__(
        self,
        job: str,
        hold: Hold | None = None,
        *,
        has_steps: bool = False,
        judge: Judge | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.depth = 0
        self.interruption: Interruption | None = None
        self._job = job
        self._hold = hold
        self._has_steps = has_steps
        self._judge = judge
        self._should_stop = should_stop
        self._log = log
        self._names: Counter[str] = Counter()
        self._count = 0
        self._known: dict[str, Memo] | None = None if has_steps else {}
        self._told_of_order = False

    def run(self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `function(*args, **kwargs)`, called at least once and, when finished, never again.

        `name` (1 … 200 characters) is the step's memory; the second step of a name is `name#2`.
        What is returned must survive JSON unchanged and take at most MAX_RESULT bytes. An
        exception is retried as the job's options say, with attempts of the step's own; then
        StepFailed is raised here, and at every later run. Raises InvalidStep inside
        `transaction.atomic()`, for a wrong name and after 1,000 steps.
        """
        if self._hold is None:
            return function(*args, **kwargs)
        place = self._enter(name)
        if place.is_done:
            return cast("T", place.result)
        began = clock.monotonic()
        try:
            with _inside(place.key):
                result = function(*args, **kwargs)
        except (Snooze, Cancel):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the step's
            self._fail(place, error, began)
        self._finish(place, result, began)
        return result

    def atomic(
        self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do what `run` does, in one transaction with the record that it is done.

        What the function writes to the jobs' database happens exactly once. It holds its locks,
        on SQLite the only one there is, as long as it runs: keep it short, and do nothing outside.
        """
        if self._hold is None:
            with get_engine(get_settings().DATABASE).undoable():
                return function(*args, **kwargs)
        place = self._enter(name)
        if place.is_done:
            return cast("T", place.result)
        began = clock.monotonic()
        try:
            with self._engine.undoable(), _inside(place.key):
                result = function(*args, **kwargs)
                self._finish(place, result, began)
        except (Snooze, Cancel):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(place, error, began)
        return result

    def sleep(self, name: str, span: float | timedelta) -> None:
        """Go on after `span` (seconds or a timedelta); meanwhile the job holds no slot.

        It survives restarts and deploys. Outside a worker it returns at once.
        """
        self._sleep(name, Later(seconds=max(as_seconds(span), 0.0)))

    def sleep_until(self, name: str, instant: datetime) -> None:
        """Go on at `instant`, an aware datetime; raises InvalidStep for a naive one."""
        if instant.utcoffset() is None:
            raise InvalidStep(
                f'{self._job}: step "{name}" sleeps until {instant!r}, which is naive (no time '
                "zone). Use timezone.now() + timedelta(…)."
            )
        self._sleep(name, Later(instant=instant))

    @overload
    async def arun(
        self, name: str, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    async def arun(
        self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    async def arun(
        self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Do what `run` does in an async job; awaits what the function returns, if it can."""
        if self._hold is None:
            return await _awaited(function(*args, **kwargs))
        place = await sync_to_async(self._enter)(name)
        if place.is_done:
            return place.result
        began = clock.monotonic()
        try:
            with _inside(place.key):
                result = await _awaited(function(*args, **kwargs))
        except (Snooze, Cancel):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the step's
            await sync_to_async(self._fail)(place, error, began)
        await sync_to_async(self._finish)(place, result, began)
        return result

    async def aatomic(
        self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do what `atomic` does in an async job; the function is a sync one."""
        return await sync_to_async(self.atomic)(name, function, *args, **kwargs)

    async def asleep(self, name: str, span: float | timedelta) -> None:
        """Do what `sleep` does in an async job."""
        await sync_to_async(self.sleep)(name, span)

    async def asleep_until(self, name: str, instant: datetime) -> None:
        """Do what `sleep_until` does in an async job."""
        await sync_to_async(self.sleep_until)(name, instant)

    @property
    def _engine(self) -> Engine:
        return get_engine(get_settings().DATABASE)

    def _enter(self, name: str) -> Place:
        """Return the step that the function has come to, or leave the function here."""
        assert self._hold is not None
        if self.interruption is not None:  # somebody caught it, and went on
            raise self.interruption
        self._check(name)
        if self._should_stop():
            self._interrupt(None)
        self._count += 1
        self._names[name] += 1
        key = name if self._names[name] == 1 else f"{name}#{self._names[name]}"
        if self._known is None:
            self._known = self._engine.load_steps(self._hold.job_id, clock.now_or_none())
        memo = self._known.get(key)
        if memo is not None and memo.position != self._count:
            self._tell_of_order(key, memo.position)
        if memo is not None and memo.state is StepState.FAILED:
            raise StepFailed(key, memo.error_type, memo.error)
        return Place(key, self._count, memo)

    def _check(self, name: str) -> None:
        problem = ""
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or "\x00" in name:
            problem = f"its name must be a text of 1 to {LONGEST_NAME} characters"
        elif self._count >= MOST_STEPS:
            problem = f"a job has at most {MOST_STEPS:,} steps; let it enqueue others"
        elif len(connections[get_settings().DATABASE].atomic_blocks) > self.depth:
            problem = (
                "it stands inside transaction.atomic(), which could undo what is on record of it. "
                "Use step.atomic(), or end the transaction before"
            )
        if problem:
            raise InvalidStep(f"{self._job}: step {name!r}: {problem}.")

    def _finish(self, place: Place, result: Any, began: float) -> None:
        limit = get_settings().MAX_RESULT
        text = dump_result(f'Step "{place.key}" of {self._job}', result, limit)
        record = StepRecord(
            place.key,
            place.position,
            StepState.DONE,
            result=text,
            attempts=place.attempts + 1,
            began_ago=clock.monotonic() - began,
        )
        self._save(record)

    def _fail(self, place: Place, error: Exception, began: float) -> NoReturn:
        assert self._judge is not None
        attempts = place.attempts + 1
        described, again = self._judge(error, attempts)
        record = StepRecord(
            place.key,
            place.position,
            StepState.FAILED if again is None else StepState.RETRYING,
            attempts=attempts,
            error_type=described.type,
            error=described.message,
            began_ago=clock.monotonic() - began,
        )
        self._save(record)
        if again is None:
            raise StepFailed(place.key, described.type, described.message) from error
        self._interrupt(Raised(described, again, charged=False), error)

    def _sleep(self, name: str, wake: Later) -> None:
        if self._hold is None:
            return
        place = self._enter(name)
        memo = place.memo
        if memo is not None and (memo.due or place.is_done):
            return
        until = memo.wake_at if memo else None
        if until is None:
            record = StepRecord(place.key, place.position, StepState.SLEEPING, wake=wake)
            until = self._save(record)
        self._interrupt(Suspended(Later(instant=until), f'step "{place.key}"'))

    def _save(self, record: StepRecord) -> datetime:
        """Write what became of a step; leave the function when the job is not ours any more."""
        assert self._hold is not None
        first = not self._has_steps
        now = clock.now_or_none()
        saved = self._engine.save_step(self._hold, record, first=first, now=now)
        if saved is None:
            self._interrupt(Interrupted())
        self._has_steps = True
        return saved

    def _interrupt(self, outcome: Outcome | None, cause: BaseException | None = None) -> NoReturn:
        self.interruption = Interruption(outcome)
        raise self.interruption from cause

    def _tell_of_order(self, key: str, before: int) -> None:
        if not self._told_of_order:
            self._told_of_order = True
            self._log(
                f'Step "{key}" was number {before} and is number {self._count} now: the code has '
                "changed since. Steps are found by their names, and finished ones stay finished."
            )


async def _awaited(result: Any) -> Any:
    return await result if isawaitable(result) else result


@contextmanager
def _inside(key: str) -> Iterator[None]:
    token = current_step.set(key)
    try:
        yield
    finally:
        current_step.reset(token)
