"""The verbs of `context.step`: look what is on record of a step, call it, write what became of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from inspect import isawaitable
from typing import Any, NoReturn, ParamSpec, TypeVar, cast, overload

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, transaction

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.base import Engine, Hold
from django_jobs.engines.steps import Memo, StepRecord
from django_jobs.exceptions import Cancel, InvalidStep, Snooze, StepFailed
from django_jobs.retries import LONGEST_WAIT, as_seconds, bounded
from django_jobs.serializers import dump_result, load
from django_jobs.states import (
    ErrorRecord,
    Interrupted,
    Later,
    Outcome,
    Raised,
    StepState,
    Suspended,
)
from django_jobs.steps.places import Interruption, Place, Places, inside

PAUSE = 0.2
LONGEST = timedelta(seconds=LONGEST_WAIT)

P = ParamSpec("P")
T = TypeVar("T")

Judge = Callable[[BaseException, int], tuple[ErrorRecord, Later | None]]
"""(exception, how often the step was called) → its record, and when to try again, if at all."""


class Steps:
    """The steps of one job: `context.step`. Without a job (`hold`) they simply run.

    For the worker: `places`, and `interruption`, once a step has interrupted the job. `lost`: a
    worker has died under the job; the first step that is done makes up for that.
    """

    def __init__(  # noqa: PLR0913 - all but two by name only
        self,
        job: str,
        hold: Hold | None = None,
        *,
        has_steps: bool = False,
        lost: bool = False,
        judge: Judge | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.places = Places(job)
        self.interruption: Interruption | None = None
        self._job = job
        self._hold = hold
        self._has_steps = has_steps
        self._lost = lost
        self._judge = judge
        self._should_stop = should_stop
        self._log = log
        self._known: dict[str, Memo] | None = None if has_steps else {}
        self._told_of_order = False
        self._over = False
        self._under_way: set[asyncio.Task[Any]] = set()

    def run(self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `function(*args, **kwargs)`, called at least once and, when finished, never again.

        `name` (1 … 200 characters) is the step's memory; the second step of a name is `name#2`.
        What is returned must survive JSON unchanged and take at most MAX_RESULT bytes. An
        exception is retried as the job's options say, with attempts of the step's own; then
        StepFailed is raised here, and at every later run. Raises InvalidStep inside
        `transaction.atomic()`, for a wrong name and after 1,000 steps.
        """
        if self._hold is None:
            with inside(self.places.next(name)):
                return function(*args, **kwargs)
        place = self._enter(name)
        if place.is_done:
            return cast("T", place.result)
        began = clock.monotonic()
        try:
            with self._engine.kept(), inside(place.key):
                result = function(*args, **kwargs)
            record = self._done(place, result, began)
        except (Snooze, Cancel):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the step's
            self._fail(place, error, began)
        self._save(record)
        return cast("T", load(record.result))

    def atomic(
        self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do what `run` does, in one transaction with the record that it is done.

        What the function writes to the jobs' database happens exactly once. It holds its locks,
        on SQLite the only one there is, as long as it runs: keep it short, and do nothing outside.
        """
        if self._hold is None:
            key, alias = self.places.next(name), get_settings().DATABASE
            with transaction.atomic(using=alias), inside(key):
                return function(*args, **kwargs)
        place = self._enter(name)
        if place.is_done:
            return cast("T", place.result)
        began = clock.monotonic()
        try:
            # Not the engine's transaction(): its session settings are not for the project's queries.
            with transaction.atomic(using=get_settings().DATABASE), inside(place.key):
                result = function(*args, **kwargs)
                record = self._done(place, result, began)
                self._write(record)
        except (Snooze, Cancel):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(place, error, began)
        self._note(record)
        return cast("T", load(record.result))

    def sleep(self, name: str, span: float | timedelta) -> None:
        """Go on after `span` (seconds or a timedelta); meanwhile the job holds no slot.

        It survives restarts and deploys. Outside a worker it returns at once.
        """
        self._sleep(name, Later(seconds=bounded(as_seconds(span))))

    def sleep_until(self, name: str, instant: datetime) -> None:
        """Go on at `instant`, an aware datetime; raises InvalidStep for a naive one."""
        if instant.utcoffset() is None:
            raise InvalidStep(
                f'{self._job}: step "{name}" sleeps until {instant!r}, which is naive (no time '
                "zone). Use timezone.now() + timedelta(…)."
            )
        self._sleep(name, Later(instant=min(instant, clock.now() + LONGEST)))

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
            with inside(self.places.next(name)):
                return await _awaited(function(*args, **kwargs))
        with self._under_way_here():
            place = await sync_to_async(self._enter)(name)
            if place.is_done:
                return place.result
            began = clock.monotonic()
            try:
                async with self._kept_inside(place):
                    result = await _awaited(function(*args, **kwargs))
                record = self._done(place, result, began)
            except (Snooze, Cancel):
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the step's
                await _to_the_end(self._fail, place, error, began)
            await _to_the_end(self._save, record)
            return load(record.result)

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

    def end(self) -> None:
        """Refuse every further step: the run is over, and with it our right to the job."""
        self._over = True

    async def settle(self, *, cancel: bool) -> None:
        """Let the steps end that still run in tasks of their own; `cancel` them, or wait.

        One of several that were gathered has interrupted the job: what the others do meanwhile
        must be on record before the job goes elsewhere.
        """
        self.end()
        tasks = {task for task in self._under_way if task is not asyncio.current_task()}
        try:
            if tasks and not cancel:
                await asyncio.wait(tasks)
        finally:
            for task in tasks:
                if not task.done():
                    task.cancel()
                elif not task.cancelled():
                    task.exception()  # else asyncio complains that nobody has asked for it

    @property
    def _engine(self) -> Engine:
        return get_engine(get_settings().DATABASE)

    @contextmanager
    def _under_way_here(self) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            yield
        finally:
            self._under_way.discard(task)

    @asynccontextmanager
    async def _kept_inside(self, place: Place) -> AsyncIterator[None]:
        async with self._kept():
            with inside(place.key):
                yield

    @asynccontextmanager
    async def _kept(self) -> AsyncIterator[None]:
        # Only in the tests of a project; savepoints of steps side by side would end each other.
        if not self.places.depth or len(self._under_way) > 1:
            yield
            return
        stack = ExitStack()
        await sync_to_async(lambda: stack.enter_context(self._engine.kept()))()
        try:
            yield
        finally:
            await sync_to_async(stack.close)()

    def _enter(self, name: str) -> Place:
        """Return the step that the function has come to, or leave the function here."""
        assert self._hold is not None
        if self.interruption is not None:  # somebody caught it, and went on
            raise self.interruption
        if self._over:
            raise Interruption(Interrupted())
        self.places.check(name)
        if self._should_stop():
            self._interrupt(None)
        if self._known is None:
            self._known = self._patiently(self._load)
        key = self.places.next(name)
        memo = self._known.get(key)
        if memo is not None and memo.position != self.places.count:
            self._tell_of_order(key, memo.position)
        if memo is not None and memo.state is StepState.FAILED:
            raise StepFailed(key, memo.error_type, memo.error)
        return Place(key, self.places.count, memo)

    def _done(self, place: Place, result: Any, began: float) -> StepRecord:
        limit = get_settings().MAX_RESULT
        text = dump_result(f'Step "{place.key}" of {self._job}', result, limit)
        return StepRecord(
            place.key,
            place.position,
            StepState.DONE,
            result=text,
            attempts=place.attempts + 1,
            began_ago=clock.monotonic() - began,
        )

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
        try:
            self._save(record)
        except Interruption:
            problem = f"{described.type}: {described.message}".rstrip(": ")
            self._log(f'Step "{place.key}" raised {problem}, after it was done or the job lost.')
            raise
        if again is None:
            raise StepFailed(place.key, described.type, described.message) from error
        step = f'step "{place.key}", attempt {attempts}'
        self._interrupt(Raised(described, again, charged=False, step=step), error)

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

    def _load(self) -> dict[str, Memo]:
        assert self._hold is not None
        return self._engine.load_steps(self._hold.job_id, clock.now_or_none())

    def _save(self, record: StepRecord) -> datetime:
        """Write what became of a step.

        What it did outside is done, and would be done again. Repeating the write does no harm.
        """
        saved = self._patiently(lambda: self._write(record))
        self._note(record)
        return saved

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Return `ask()`, however long its database is away, up to a lease."""
        until = clock.monotonic() + get_settings().LEASE
        while True:
            try:
                return ask()
            except (OperationalError, InterfaceError):
                connection = self._engine.connection
                if connection.in_atomic_block or clock.monotonic() > until:
                    raise
                with suppress(Exception):
                    connection.close()
                clock.sleep(PAUSE)

    def _write(self, record: StepRecord) -> datetime:
        """Write what became of a step; leave the function when the job is not ours any more."""
        assert self._hold is not None
        first = not self._has_steps or (self._lost and record.state is StepState.DONE)
        now = clock.now_or_none()
        saved = self._engine.save_step(self._hold, record, first=first, now=now)
        if saved is None:
            self._interrupt(Interrupted())
        return saved

    def _note(self, record: StepRecord) -> None:
        """Note that a step is on record; not before that can no longer be undone."""
        self._has_steps = True
        self._lost = self._lost and record.state is not StepState.DONE

    def _interrupt(self, outcome: Outcome | None, cause: BaseException | None = None) -> NoReturn:
        interruption = Interruption(outcome)
        if self.interruption is None or _wait(outcome) < _wait(self.interruption.outcome):
            self.interruption = interruption  # of several side by side the soonest
        raise interruption from cause

    def _tell_of_order(self, key: str, before: int) -> None:
        if not self._told_of_order:
            self._told_of_order = True
            self._log(
                f'Step "{key}" was number {before} and is number {self.places.count} now: the code '
                "has changed since. Steps are found by their names, and finished ones stay finished."
            )


def _wait(outcome: Outcome | None) -> float:
    """Return in how many seconds a job goes on that is interrupted so."""
    later: Later | None = getattr(outcome, "again", None) or getattr(outcome, "until", None)
    if later is None:
        return 0.0
    return (later.instant - clock.now()).total_seconds() if later.instant else later.seconds


async def _to_the_end(function: Callable[..., Any], *args: Any) -> None:
    """Call `function` in the job's thread, to its end even if this task is cancelled meanwhile.

    The step is done; a task group that ends its tasks must not take the record of it away.
    """
    writing = asyncio.ensure_future(sync_to_async(function)(*args))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        if not writing.cancelled():
            writing.exception()  # else asyncio complains that nobody has asked for it
        raise


async def _awaited(result: Any) -> Any:
    return await result if isawaitable(result) else result
