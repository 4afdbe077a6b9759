"""Runs one claimed job and turns whatever happens into an outcome. Exceptions end here.

Knows no SQL and no pool; it is called in the thread, or on the event loop, that runs the job.
"""

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, async_to_sync, sync_to_async
from django.db import connections

from django_jobs import clock, registry
from django_jobs.binding import Parameters
from django_jobs.conf import get_settings
from django_jobs.context import Ask, JobContext
from django_jobs.engines.base import ClaimedJob
from django_jobs.exceptions import (
    Cancel,
    InvalidStep,
    NonRetriable,
    ResultNotStorable,
    ResultTooLarge,
    RetryAfter,
    Snooze,
    StepFailed,
)
from django_jobs.handles import running_job
from django_jobs.masking import secrets_in
from django_jobs.retries import LONGEST_WAIT, Backoff, as_seconds, bounded
from django_jobs.serializers import dump_result, load
from django_jobs.states import (
    ErrorRecord,
    Interrupted,
    Later,
    Outcome,
    Raised,
    Snoozed,
    Stopped,
    Succeeded,
    TimedOut,
)
from django_jobs.steps import Steps, current_step
from django_jobs.subscriptions import Event
from django_jobs.worker.atomicity import run_atomically
from django_jobs.worker.failures import describe

if TYPE_CHECKING:
    from django_jobs.definitions import JobDefinition

    Definition = JobDefinition[Any, Any]

logger = logging.getLogger("django_jobs")

FINAL_ERRORS = (NonRetriable, ResultNotStorable, ResultTooLarge, StepFailed, InvalidStep)
MIN_RETRY_AFTER, MAX_RETRY_AFTER = 1.0, 24 * 3600.0


class ArgumentsDoNotFit(NonRetriable):
    """The job was enqueued with arguments that its function no longer takes."""


class TimeLimitExceeded(Exception):
    """The run took longer than the job's `timeout`."""


def make_context(claimed: ClaimedJob, worker: str = "") -> JobContext:
    """Return the context of a job that `worker` has claimed."""
    context = JobContext(
        claimed.name,
        job_id=claimed.id,
        queue=claimed.queue,
        attempt=claimed.attempt,
        max_attempts=claimed.max_attempts,
        planned_at=claimed.planned_at,
    )
    context.worker = worker
    context.make_steps = partial(_steps, claimed)
    return context


def _steps(
    claimed: ClaimedJob, context: JobContext, *, depth: int = 0, thread: int | None = None
) -> Steps:
    """Return the steps of a claimed job. `depth`, `thread`: as `Places` has them."""
    steps = Steps(
        claimed.name,
        claimed.hold,
        has_steps=claimed.has_steps,
        lost=claimed.lost_count > 0,
        judge=lambda error, attempts: _judge(error, attempts, context),
        should_stop=context.should_stop,
        log=context.log,
    )
    steps.places.depth, steps.places.thread = depth, thread
    return steps


def run_sync(claimed: ClaimedJob, context: JobContext) -> Outcome:
    """Run a job in this thread and return how it ended. Raises nothing.

    An async job is run to its end, with its database work in this thread.
    """
    definition = registry.get(claimed.name)
    depth = len(connections[get_settings().DATABASE].atomic_blocks)
    context.make_steps = partial(_steps, claimed, depth=depth, thread=threading.get_ident())
    with _told_which_job(claimed):
        try:
            call = _call(definition, claimed, context)
            if definition.atomic:
                return run_atomically(
                    claimed, context, lambda: _returned(definition, call.now(), context)
                )
            result = async_to_sync(call.awaited)() if definition.is_async else call.now()
            return _returned(definition, result, context)
        except BaseException as error:  # noqa: BLE001 - whatever a job raises is its outcome
            return _ending(error, definition, context)
        finally:
            context.end_steps()
            context.settle()


async def run_async(claimed: ClaimedJob, context: JobContext) -> Outcome:
    """Run an async job on this event loop and return how it ended. Raises nothing.

    A time limit, a cancellation or the end of the worker's grace reaches the job as a
    `CancelledError` at its next `await`.
    """
    definition = registry.get(claimed.name)
    _cancel_when_told(context)
    call_off = _limit_time(definition, context)
    async with ThreadSensitiveContext() as place:
        try:
            with _told_which_job(claimed):
                call = _call(definition, claimed, context)
                outcome = _returned(definition, await call.awaited(), context)
        except BaseException as error:  # noqa: BLE001 - whatever a job raises is its outcome
            outcome = _ending(error, definition, context)
        context.settle()
        call_off()
        if place in SyncToAsync.context_to_thread_executor:
            await _close_connections()
    return outcome


async def _close_connections() -> None:
    """Close the connections of the job's own thread, whoever cancels the task meanwhile.

    The job has ended. A cancellation that it left behind, by a timer of its own for instance,
    must not take its outcome away: the job would stay RUNNING, and its place taken, for ever.
    """
    closing = asyncio.ensure_future(sync_to_async(connections.close_all)())
    while not closing.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(closing)
    closing.result()


class _Call:
    """A function with its arguments, decoded and checked."""

    def __init__(
        self,
        definition: "Definition",
        context: JobContext,
        args: list[Any],
        kwargs: dict[str, Any],
    ) -> None:
        self._function = definition.func
        self._context = context
        self._args = [context, *args] if definition.wants_context else args
        self._kwargs = kwargs

    def now(self) -> Any:
        return self._function(*self._args, **self._kwargs)

    async def awaited(self) -> Any:
        try:
            return await self.now()
        finally:
            if (steps := self._context.end_steps()) is not None:
                told = self._context.ask not in (None, Ask.SHUTDOWN)
                await steps.settle(cancel=told)


def _call(definition: "Definition", claimed: ClaimedJob, context: JobContext) -> _Call:
    args, kwargs = load(claimed.args), load(claimed.kwargs)
    parameters = definition.parameters
    if not parameters.fit(args, kwargs):
        raise ArgumentsDoNotFit(
            f"{parameters.describe()} no longer takes the arguments that this job was enqueued "
            "with. Give the new parameter a default, or enqueue the job anew."
        )
    context.find_secrets = lambda: secrets_in(
        parameters.by_name(args, kwargs), definition.sensitive
    )
    given = _with_event(parameters, args, kwargs) if definition.wants_event else (args, kwargs)
    return _Call(definition, context, *given)


def _with_event(
    parameters: Parameters, args: list[Any], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    if args:
        return [Event.from_json(args[0]), *args[1:]], kwargs
    name = parameters.positional[0]
    return args, {**kwargs, name: Event.from_json(kwargs[name])} if name in kwargs else kwargs


def _limit_time(definition: "Definition", context: JobContext) -> Callable[[], None]:
    """Tell the job when its time is over; return how to call that off.

    The loop's own timer is exact to the millisecond; the housekeeper's look is not.
    """
    if definition.timeout is None:
        return lambda: None
    loop = asyncio.get_running_loop()
    return loop.call_later(definition.timeout, context.tell, Ask.TIMEOUT).cancel


def _cancel_when_told(context: JobContext) -> None:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    assert task is not None

    def cancel() -> None:
        if not context.settled:
            task.cancel()

    def told(ask: Ask) -> None:
        if ask is not Ask.SHUTDOWN:
            loop.call_soon_threadsafe(cancel)

    context.on_tell(told)


@contextmanager
def _told_which_job(claimed: ClaimedJob) -> Iterator[None]:
    token, outer = running_job.set(claimed.id), current_step.set("")
    try:
        yield
    finally:
        current_step.reset(outer)
        running_job.reset(token)


def _judge(
    error: BaseException, attempts: int, context: JobContext
) -> tuple[ErrorRecord, Later | None]:
    """Return what to record of a step that failed, and when it is tried again."""
    definition = registry.get(context.name)
    record = describe(error, definition.name, context.secrets)
    return record, _again(error, definition, context, attempts)


def _interrupted(context: JobContext, definition: "Definition") -> Outcome | None:
    """Return how a run ends that a step interrupted, whatever the function did about that."""
    interruption = context.interruption
    if interruption is None:
        return None
    if interruption.outcome is not None:
        return interruption.outcome
    assert context.obeyed is not None
    return _stopped(context.obeyed, definition, context)


def _returned(definition: "Definition", result: Any, context: JobContext) -> Outcome:
    if (outcome := _interrupted(context, definition)) is not None:
        return outcome
    if context.obeyed is not None:
        return _stopped(context.obeyed, definition, context)
    return Succeeded(dump_result(definition.name, result, get_settings().MAX_RESULT))


def _ending(error: BaseException, definition: "Definition", context: JobContext) -> Outcome:
    try:
        return _raised(error, definition, context)
    except BaseException as second:  # noqa: BLE001 - a user's exception class may hold any surprise
        context.error = second
        return Raised(describe(second, definition.name, context.secrets))


def _raised(error: BaseException, definition: "Definition", context: JobContext) -> Outcome:
    if (outcome := _interrupted(context, definition)) is not None:
        if isinstance(outcome, Raised):
            context.error = error.__cause__
        traceback.clear_frames(error.__traceback__)
        return outcome
    if isinstance(error, Snooze):
        return Snoozed(_later(error.when))
    if isinstance(error, Cancel):
        return Stopped(str(error))
    told = context.ask if isinstance(error, asyncio.CancelledError) else context.obeyed
    if told is not None:
        return _stopped(told, definition, context)
    context.error = error
    record = describe(error, definition.name, context.secrets)
    again = _again(error, definition, context, context.attempt)
    # The traceback's frames hold the job's locals, and with them files and connections.
    traceback.clear_frames(error.__traceback__)
    return Raised(record, again)


def _stopped(ask: Ask, definition: "Definition", context: JobContext) -> Outcome:
    if ask is Ask.CANCEL:
        return Stopped("Stopped as it was asked to")
    if ask is not Ask.TIMEOUT:
        return Interrupted()
    error = TimeLimitExceeded(
        f"Stopped after {definition.timeout:g} s (timeout). "
        "Raise timeout=, or split the work into several jobs."
    )
    again = _again(error, definition, context, context.attempt)
    return TimedOut(describe(error, definition.name), again)


def _again(
    error: BaseException, definition: "Definition", context: JobContext, attempt: int
) -> Later | None:
    if attempt >= context.max_attempts:
        return None
    if isinstance(error, (*FINAL_ERRORS, *definition.never_retry)):
        return None
    if isinstance(error, RetryAfter):
        return _held_between(_later(error.when))
    if definition.retry_on is not None and not isinstance(
        error, (*definition.retry_on, TimeLimitExceeded)
    ):
        return None
    return Later(_wait(error, definition, context, attempt))


def _wait(
    error: BaseException, definition: "Definition", context: JobContext, attempt: int
) -> float:
    try:
        return bounded(as_seconds(definition.backoff(error, attempt)))
    except BaseException as second:  # noqa: BLE001 - a user's function may raise anything
        # Not logger.exception(): the traceback shows the job's own exception, secrets included.
        record = describe(second, definition.name, context.secrets)
        text = "The backoff of %s raised; the default is used instead.\n%s"
        logger.error(text, definition.name, record.traceback)  # noqa: TRY400
        return Backoff()(error, attempt)


def _later(when: float | timedelta | datetime) -> Later:
    if isinstance(when, datetime):
        return Later(instant=min(when, clock.now() + timedelta(seconds=LONGEST_WAIT)))
    return Later(seconds=bounded(as_seconds(when)))


def _held_between(later: Later) -> Later:
    if later.instant is None:
        return Later(seconds=min(max(later.seconds, MIN_RETRY_AFTER), MAX_RETRY_AFTER))
    now = clock.now()
    earliest, latest = (
        now + timedelta(seconds=MIN_RETRY_AFTER),
        now + timedelta(seconds=MAX_RETRY_AFTER),
    )
    return Later(instant=min(max(later.instant, earliest), latest))
