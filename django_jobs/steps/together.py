"""Several branches of steps side by side, and what becomes of those that were only gathered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django_jobs.exceptions import Cancel, Snooze
from django_jobs.states import Raised, Suspended
from django_jobs.steps.places import Interruption
from django_jobs.steps.recording import Recorder

T = TypeVar("T")


class Together(Recorder):
    """The verbs that let several branches of steps go on side by side."""

    def parallel(self, *branches: Callable[[], T]) -> list[T]:
        """Call each of `branches`, functions with steps of their own; return what they return.

        One that waits holds up no other: all come to where they wait, and the job goes on when
        the first of them may. One that fails lets the others end before its error is raised here.
        They are called in their order, one after the other, in this thread; steps of different
        branches need different names.
        """
        results: list[T] = []
        with self._side_by_side() as failures:
            for branch in branches:
                with self._branch(failures):
                    results.append(branch())
        return results

    async def aparallel(self, *branches: Awaitable[T]) -> list[T]:
        """Do what `parallel` does in an async job, with awaitables that run at the same time."""
        with self._side_by_side() as failures:
            outcomes = await asyncio.gather(*branches, return_exceptions=True)
            for error in outcomes:
                with self._branch(failures):
                    _raise(error)
        return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]

    @contextmanager
    def _side_by_side(self) -> Iterator[list[Exception]]:
        failures: list[Exception] = []
        self._together += 1
        try:
            yield failures
        finally:
            self._together -= 1
        if self.interruption is not None:
            raise self.interruption
        if failures:
            raise failures[0]

    @contextmanager
    def _branch(self, failures: list[Exception]) -> Iterator[None]:
        try:
            yield
        except Interruption as interruption:
            if not isinstance(interruption.outcome, (Suspended, Raised)):
                raise  # the job is to end here, or is not ours any more
        except (Snooze, Cancel):
            raise
        except Exception as error:  # noqa: BLE001 - raised when all branches are through
            failures.append(error)

    async def settle(self, *, cancel: bool) -> None:
        """Let the steps end that still run in tasks of their own; `cancel` them, or wait.

        No other one can begin any more. One of several that were gathered has interrupted the
        job: what the others do meanwhile must be on record before the job goes elsewhere.
        """
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


def _raise(outcome: object) -> None:
    if isinstance(outcome, BaseException):
        raise outcome
