"""The steps that do something: `run`, `atomic`, and their async twins."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from inspect import isawaitable
from typing import Any, ParamSpec, TypeVar, cast, overload

from asgiref.sync import sync_to_async
from django.db import transaction

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.exceptions import Cancel, Snooze
from django_jobs.serializers import load
from django_jobs.steps.places import Place, inside
from django_jobs.steps.recording import Recorder

P = ParamSpec("P")
T = TypeVar("T")


class Running(Recorder):
    """The verbs that call a function."""

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
            with self._engine.kept(), inside(place.key, place.attempts + 1):
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
            with (
                transaction.atomic(using=get_settings().DATABASE),
                inside(place.key, place.attempts + 1),
            ):
                result = function(*args, **kwargs)
                record = self._done(place, result, began)
                self._write(record)
        except (Snooze, Cancel):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(place, error, began)
        self._note(record)
        return cast("T", load(record.result))

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
            with inside(place.key, place.attempts + 1):
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
