"""Writes jobs: checks the call, inserts on the caller's connection, announces after commit.

A job enqueued inside `atomic()` exists when that transaction commits, and never if it does
not. When the jobs live in another database than "default" and a transaction is open on
"default", the insert waits for that commit; until then the handle has no id.
"""

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from django_jobs import clock, registry
from django_jobs.announcements import announce
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.base import Engine, NewJob
from django_jobs.engines.events import WaitFor
from django_jobs.exceptions import InvalidEvent, JobError, NotAJob
from django_jobs.handles import JobHandle, running_job
from django_jobs.options import check_queue
from django_jobs.serializers import dump_arguments
from django_jobs.signals import job_enqueued
from django_jobs.states import Later, State
from django_jobs.subjects import KeyIn
from django_jobs.subscriptions import Event, Match, look_up, pairs

if TYPE_CHECKING:
    from django_jobs.definitions import JobDefinition

    Definition = JobDefinition[Any, Any]

__all__ = [
    "Call",
    "JobHandle",
    "aenqueue",
    "aenqueue_many",
    "enqueue",
    "enqueue_many",
    "running_job",
]

Call = tuple[Any, ...] | Mapping[str, Any]
"""Arguments of one call: a tuple by place, a dict by name, or both as `((…), {…})`."""

NOWHERE = ("__main__", "None", None, "django.core.management.commands.shell")
"""What Python calls the module of a function that was typed into a script or a shell."""

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@overload
def enqueue(
    definition: "JobDefinition[P, Awaitable[T]]", /, *args: P.args, **kwargs: P.kwargs
) -> JobHandle[T]: ...
@overload
def enqueue(
    definition: "JobDefinition[P, R]", /, *args: P.args, **kwargs: P.kwargs
) -> JobHandle[R]: ...
@overload
def enqueue(definition: str, /, *args: Any, **kwargs: Any) -> JobHandle[Any]: ...
def enqueue(definition: Any, /, *args: Any, **kwargs: Any) -> JobHandle[Any]:
    """Write a job of `definition` (or of the job of that name) with these arguments.

    Joins the caller's transaction. Raises, and writes nothing: TypeError for arguments that the
    function does not take or JSON cannot hold, ArgumentsTooLarge, InvalidQueue, JobNotFound for
    an unknown name, NotAJob for a plain function. A taken unique key raises nothing: the handle
    is the existing job's, with `created=False`.
    """
    return enqueue_one(resolve(definition), args, kwargs)


@overload
async def aenqueue(
    definition: "JobDefinition[P, Awaitable[T]]", /, *args: P.args, **kwargs: P.kwargs
) -> JobHandle[T]: ...
@overload
async def aenqueue(
    definition: "JobDefinition[P, R]", /, *args: P.args, **kwargs: P.kwargs
) -> JobHandle[R]: ...
@overload
async def aenqueue(definition: str, /, *args: Any, **kwargs: Any) -> JobHandle[Any]: ...
async def aenqueue(definition: Any, /, *args: Any, **kwargs: Any) -> JobHandle[Any]:
    """Do what `enqueue` does, from async code."""
    return await aenqueue_one(resolve(definition), args, kwargs)


@overload
def enqueue_many(
    definition: "JobDefinition[..., Awaitable[T]]", calls: Iterable[Call], /
) -> list[JobHandle[T]]: ...
@overload
def enqueue_many(
    definition: "JobDefinition[..., R]", calls: Iterable[Call], /
) -> list[JobHandle[R]]: ...
@overload
def enqueue_many(definition: str, calls: Iterable[Call], /) -> list[JobHandle[Any]]: ...
def enqueue_many(definition: Any, calls: Iterable[Call], /) -> list[JobHandle[Any]]:
    """Write one job per call, all or none, and return their handles in the same order.

    A call is a tuple of arguments by place, a dict of arguments by name, or a pair of both.
    Raises as `enqueue` does, with the number of the call (from 0).
    """
    return enqueue_all(resolve(definition), calls)


@overload
async def aenqueue_many(
    definition: "JobDefinition[..., Awaitable[T]]", calls: Iterable[Call], /
) -> list[JobHandle[T]]: ...
@overload
async def aenqueue_many(
    definition: "JobDefinition[..., R]", calls: Iterable[Call], /
) -> list[JobHandle[R]]: ...
@overload
async def aenqueue_many(definition: str, calls: Iterable[Call], /) -> list[JobHandle[Any]]: ...
async def aenqueue_many(definition: Any, calls: Iterable[Call], /) -> list[JobHandle[Any]]:
    """Do what `enqueue_many` does, from async code."""
    return await aenqueue_all(resolve(definition), calls)


def enqueue_one(
    definition: "Definition", args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> JobHandle[Any]:
    """Write one job of `definition`."""
    return _write([checked_job(definition, args, kwargs)])[0]


aenqueue_one = sync_to_async(enqueue_one)
"""Do what `enqueue_one` does, from async code."""


def enqueue_all(definition: "Definition", calls: Iterable[Call]) -> list[JobHandle[Any]]:
    """Write a job of `definition` per call, all or none."""
    jobs = checked_jobs(definition, calls)
    return _write(jobs) if jobs else []


aenqueue_all = sync_to_async(enqueue_all)
"""Do what `enqueue_all` does, from async code."""


def resolve(definition: Any) -> "Definition":
    """Return the definition that is meant by itself or by its name; raises as `enqueue` does."""
    if isinstance(definition, str):
        return registry.get(definition)
    if hasattr(definition, "parameters"):
        found: Definition = definition
        return found
    if callable(definition) and hasattr(definition, "__qualname__"):
        raise NotAJob(
            f"{definition.__module__}.{definition.__qualname__} is a plain function. "
            "Put @job above it, or call it directly."
        )
    raise NotAJob(f"enqueue() takes a job or the name of one, not {definition!r}.")


def checked_job(
    definition: "Definition", args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> NewJob:
    """Return the job of a call that somebody enqueues; raises as `enqueue` does."""
    _check_place(definition)
    return new_job(definition, args, kwargs)


def checked_jobs(definition: "Definition", calls: Iterable[Call]) -> list[NewJob]:
    """Return the job of each call that somebody enqueues; raises as `enqueue_many` does."""
    _check_place(definition)
    jobs = []
    for number, call in enumerate(calls):
        try:
            jobs.append(new_job(definition, *_split(call)))
        except (TypeError, ValueError) as problem:
            raise type(problem)(f"Call {number}: {problem}") from None
    return jobs


def _check_place(definition: "Definition") -> None:
    if get_settings().QUEUES:
        check_queue(definition.queue, definition.name)
    if definition.__module__ in NOWHERE:
        place = "a shell" if definition.__module__ != "__main__" else "__main__"
        raise JobError(
            f"{definition.func.__qualname__} is declared in {place}, where no worker can find it. Move "
            "it to the jobs.py of an installed app. Nothing was enqueued."
        )


def _split(call: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    if isinstance(call, Mapping):
        return (), call
    if not isinstance(call, tuple):
        raise TypeError(
            f"a call is a tuple or a dict of arguments, got {call!r}. For one argument: "
            f"({call!r},). Nothing was enqueued."
        )
    match call:  # a tuple cannot be an argument, so that a pair of tuple and dict is no riddle
        case (tuple() as args, dict() as kwargs):
            return args, kwargs
        case _:
            return call, {}


def new_job(definition: "Definition", args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> NewJob:
    """Return the job of a call, checked, as it is to be written; raises as `enqueue` does."""
    if definition.wants_event:
        args, kwargs = _plain_event(definition, args, kwargs)
    texts = _texts(definition, args, kwargs, get_settings().MAX_ARGUMENTS)
    what_cancels = tuple(cancels(definition, args, kwargs)) if definition.cancel_on else ()
    return NewJob(
        name=definition.name,
        queue=definition.queue,
        args=texts[0],
        kwargs=texts[1],
        priority=definition.priority,
        later=_later(definition),
        max_attempts=definition.max_attempts,
        max_lost=definition.max_lost,
        unique_key=definition.unique_key,
        watched=bool(what_cancels),
        cancels=what_cancels,
        about=subject(definition, args, kwargs),
        enqueued_by=definition.enqueued_by,
    )


def _plain_event(
    definition: "Definition", args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Return the arguments with the event as JSON holds it."""
    if args and isinstance(args[0], Event):
        return (args[0].as_json(), *args[1:]), kwargs
    name = definition.parameters.positional[0]
    if isinstance(kwargs.get(name), Event):
        return args, {**kwargs, name: kwargs[name].as_json()}
    raise TypeError(
        f'{definition.name}() takes an Event as "{name}": Event("order/paid", {{…}}), or use '
        "send_event(). Nothing was enqueued."
    )


def cancels(
    definition: "Definition", args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[WaitFor]:
    """Yield what cancels the job of this call; raises InvalidEvent where it cannot be compared."""
    given = _given(definition, args, kwargs)
    for cancellation in definition.cancel_on:
        wanted = {}
        for field, path in cancellation.fields:
            value, there = look_up(given, path)
            if not there:
                raise InvalidEvent(
                    f'{definition.name}: cancel_on compares "{path}", which this job does not have. '
                    "Nothing was enqueued."
                )
            wanted[field] = value
        yield WaitFor(cancellation.event, Match.of(pairs(wanted)))


def subject(
    definition: "Definition", args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str | None:
    """Return the name of the row that the job of this call is about; raises ValueError."""
    about = definition.about
    if not isinstance(about, KeyIn):
        return about
    try:
        return about.name_in(_given(definition, args, kwargs))
    except (LookupError, ValueError) as problem:
        raise ValueError(f"{definition.name}: about: {problem} Nothing was enqueued.") from None


def _given(
    definition: "Definition", args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return what a job was given, by name: its arguments, or the data of its event."""
    given = definition.parameters.values(args, kwargs)
    if not definition.wants_event:
        return given
    data: Mapping[str, Any] = given[definition.parameters.positional[0]]["data"]
    return data


def _texts(
    definition: "Definition", args: tuple[Any, ...], kwargs: Mapping[str, Any], limit: int
) -> tuple[str, str]:
    parameters = definition.parameters
    parameters.check(args, kwargs)
    return dump_arguments(parameters.job, args, kwargs, parameters.positional, limit)


def _later(definition: "Definition") -> Later | None:
    run_after = definition.run_after
    if run_after is None:
        return None
    if isinstance(run_after, timedelta):
        seconds = run_after.total_seconds()
        return Later(seconds=seconds) if seconds > 0 else None
    return Later(instant=run_after)


def first_state(later: Later | None) -> State | None:
    """Return the state of a new job, `None` where only the database's clock can tell."""
    if later is None:
        return State.READY
    in_future = later.instant is None or later.instant > clock.now()
    return State.SCHEDULED if in_future else None


def _write(jobs: Sequence[NewJob]) -> list[JobHandle[Any]]:
    alias = get_settings().DATABASE
    handles: list[JobHandle[Any]] = [JobHandle(job.name, first_state(job.later)) for job in jobs]
    if is_elsewhere(alias):
        transaction.on_commit(partial(_insert, alias, jobs, handles))
    else:
        _insert(alias, jobs, handles)
    return handles


def is_elsewhere(alias: str) -> bool:
    """Say whether the caller has a transaction open that jobs in `alias` cannot join."""
    return alias != DEFAULT_DB_ALIAS and connections[DEFAULT_DB_ALIAS].in_atomic_block


def _insert(alias: str, jobs: Sequence[NewJob], handles: Sequence[JobHandle[Any]]) -> None:
    insert_for(get_engine(alias), jobs, handles)


def insert(engine: Engine, jobs: Sequence[NewJob]) -> list[JobHandle[Any]]:
    """Write jobs with what cancels them, on the caller's connection; announce and signal them."""
    handles: list[JobHandle[Any]] = [JobHandle(job.name, first_state(job.later)) for job in jobs]
    if jobs:
        insert_for(engine, jobs, handles)
    return handles


def insert_for(engine: Engine, jobs: Sequence[NewJob], handles: Sequence[JobHandle[Any]]) -> None:
    """Do what `insert` does, for handles that are there already."""
    now = clock.now_or_none()
    around = engine.undoable() if any(job.cancels for job in jobs) else nullcontext()
    with around:
        written = engine.insert(jobs, now)
        for job, inserted in zip(jobs, written, strict=True):
            if job.cancels and inserted.created:
                engine.let_cancel(inserted.job_id, job.cancels, now)
    for handle, inserted in zip(handles, written, strict=True):
        handle.fill(inserted.job_id, created=inserted.created)
    fresh = [number for number, inserted in enumerate(written) if inserted.created]
    if fresh:
        queues = tuple(sorted({jobs[number].queue for number in fresh}))
        announce(engine.connection, queues, handles[fresh[0]].id)
        signal_enqueued([handles[number] for number in fresh])


def signal_enqueued(handles: Sequence[JobHandle[Any]]) -> None:
    """Send the signal `job_enqueued` for new jobs."""
    if not job_enqueued.receivers:
        return
    for handle in handles:
        job_enqueued.send_robust(sender=handle.name, handle=handle)
