"""What a user decorates: `@job`, and the definition that it makes of a function.

A definition describes a kind of job; it is called like the function it stands for, and its
`enqueue` writes a job. Everything about it is checked when its module is imported.
"""

import copy
import inspect
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from functools import update_wrapper
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    Unpack,
    overload,
)

from django_jobs import enqueueing, registry
from django_jobs.binding import Parameters
from django_jobs.conf import get_settings
from django_jobs.context import JobContext
from django_jobs.declarations import check_call
from django_jobs.enqueueing import Call, JobHandle
from django_jobs.exceptions import InvalidEvent, InvalidSchedule
from django_jobs.options import Changes, Options, clean
from django_jobs.retries import Backoff, BackoffFunction
from django_jobs.subjects import KeyIn
from django_jobs.subscriptions import Cancellation, Event, Trigger

if TYPE_CHECKING:
    from django_jobs.declarations import ScheduleDeclaration

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")

OPTIONS = frozenset(Options.__annotations__)
CHANGES = frozenset(Changes.__annotations__)
KEPT_AS = {"max_attempts": "_max_attempts", "request": "enqueued_by"}
"""Attributes that are not called like the option."""


class JobDefinition(Generic[P, R_co]):
    """A kind of job: a function and its options. Made by `@job`, changed only by `using()`.

    Attributes: `name` (text, as in the database), `func` (the function itself), `source` (file
    and line), `aliases` (former names), `is_async`, `wants_context`, `queue`, `priority`,
    `max_attempts`, `max_lost` (worker deaths it survives), `backoff` (callable of exception and
    attempt), `timeout` (seconds per attempt or `None`), `retry_on` (classes or `None` for all),
    `never_retry` (classes), `atomic` (one commit with its effects), `sensitive` (parameter names),
    `schedules` (as declared), `on` (triggers), `cancel_on`, `on_failure` (name of a job),
    `wants_event` (its first parameter is an `Event`), `signature` (without the context),
    `parameters` (the same, ready to check calls), `about` (the name of the row that its jobs are
    about, or where its key is), `run_after`, `unique_key` and `enqueued_by` (by `using()`).
    """

    wants_context = False
    run_after: datetime | timedelta | None = None
    unique_key: str | None = None
    enqueued_by: str | None = None

    def __init__(
        self, func: Callable[..., Any], signature: inspect.Signature, **options: Any
    ) -> None:
        update_wrapper(self, func)
        self.func = func
        self.signature = signature
        self.is_async = inspect.iscoroutinefunction(func)
        self.source = _source(func)
        self.name: str = options.get("name", _full_name(func))
        self.parameters = Parameters.of(func.__name__, signature)
        self.queue: str = options.get("queue", "default")
        self.priority: int = options.get("priority", 0)
        self.backoff: BackoffFunction = options.get("backoff", Backoff())
        self.timeout: float | None = options.get("timeout")
        self.retry_on: tuple[type[BaseException], ...] | None = options.get("retry_on")
        self.never_retry: tuple[type[BaseException], ...] = options.get("never_retry", ())
        self.atomic: bool = options.get("atomic", False)
        self.on_crash: str = options.get("on_crash", "retry")
        self.sensitive: tuple[str, ...] = options.get("sensitive", ())
        self.aliases: tuple[str, ...] = options.get("aliases", ())
        self.schedules: tuple[ScheduleDeclaration, ...] = options.get("schedule", ())
        self.on: tuple[Trigger, ...] = options.get("on", ())
        self.cancel_on: tuple[Cancellation, ...] = options.get("cancel_on", ())
        self.on_failure: str | None = options.get("on_failure")
        self.about: KeyIn | str | None = options.get("about")
        self.wants_event = _takes_event(func, self.parameters)
        self._max_attempts: int | None = options.get("max_attempts")

    def __repr__(self) -> str:
        return f"<job {self.name}>"

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function, here and now; no job is made."""
        result: R_co = self.func(*args, **kwargs)
        return result

    @property
    def max_attempts(self) -> int:
        """Attempts a job may use up: its own number, else the setting MAX_ATTEMPTS."""
        return self._max_attempts or get_settings().MAX_ATTEMPTS

    @property
    def max_lost(self) -> int:
        """Worker deaths a job survives: 0 with `on_crash="fail"`, else the setting MAX_LOST."""
        return 0 if self.on_crash == "fail" else get_settings().MAX_LOST

    def using(self, **changes: Unpack[Changes]) -> Self:
        """Return a copy whose jobs are enqueued with `changes`; the original stays as it is.

        Takes `queue`, `priority`, `run_after`, `max_attempts`, `unique_key`, `about` and `request`,
        as `Changes` describes them, and raises as `@job` does for wrong ones.
        """
        changed = copy.copy(self)
        for name, value in clean(self.name, changes, CHANGES).items():
            setattr(changed, KEPT_AS.get(name, name), value)
        return changed

    @overload
    def enqueue(
        self: "JobDefinition[P, Awaitable[T]]", /, *args: P.args, **kwargs: P.kwargs
    ) -> JobHandle[T]: ...
    @overload
    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R_co]: ...
    def enqueue(self, /, *args: Any, **kwargs: Any) -> JobHandle[Any]:
        """Write a job that calls the function with these arguments; see `enqueueing.enqueue`."""
        return enqueueing.enqueue_one(self, args, kwargs)

    @overload
    async def aenqueue(
        self: "JobDefinition[P, Awaitable[T]]", /, *args: P.args, **kwargs: P.kwargs
    ) -> JobHandle[T]: ...
    @overload
    async def aenqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R_co]: ...
    async def aenqueue(self, /, *args: Any, **kwargs: Any) -> JobHandle[Any]:
        """Do what `enqueue` does, from async code."""
        return await enqueueing.aenqueue_one(self, args, kwargs)

    @overload
    def enqueue_many(
        self: "JobDefinition[P, Awaitable[T]]", calls: Iterable[Call], /
    ) -> list[JobHandle[T]]: ...
    @overload
    def enqueue_many(self, calls: Iterable[Call], /) -> list[JobHandle[R_co]]: ...
    def enqueue_many(self, calls: Iterable[Call], /) -> list[JobHandle[Any]]:
        """Write one job per call, all or none; see `enqueueing.enqueue_many`."""
        return enqueueing.enqueue_all(self, calls)

    @overload
    async def aenqueue_many(
        self: "JobDefinition[P, Awaitable[T]]", calls: Iterable[Call], /
    ) -> list[JobHandle[T]]: ...
    @overload
    async def aenqueue_many(self, calls: Iterable[Call], /) -> list[JobHandle[R_co]]: ...
    async def aenqueue_many(self, calls: Iterable[Call], /) -> list[JobHandle[Any]]:
        """Do what `enqueue_many` does, from async code."""
        return await enqueueing.aenqueue_all(self, calls)


class ContextJobDefinition(JobDefinition[P, R_co]):
    """A definition whose function asks for a `JobContext`, which callers need not give."""

    wants_context = True

    @overload
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self, context: JobContext, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> R_co:
        """Call the function; without a context it gets a detached one."""
        by_place = bool(args) and isinstance(args[0], JobContext)
        if not by_place and not any(isinstance(item, JobContext) for item in kwargs.values()):
            args = (JobContext.detached(self.name), *args)
        result: R_co = self.func(*args, **kwargs)
        return result


class Unannotated:
    """Nothing is of this type, so a parameter that takes it was left without a type."""


class JobDecorator(Protocol):
    """What `@job(…)` with options returns."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[Unannotated, ...], R_co], /
    ) -> JobDefinition[..., R_co]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[JobContext, P], R_co], /
    ) -> ContextJobDefinition[P, R_co]: ...
    @overload
    def __call__(self, function: Callable[P, R_co], /) -> JobDefinition[P, R_co]: ...


@overload
def job(function: Callable[Concatenate[Unannotated, ...], R_co], /) -> JobDefinition[..., R_co]: ...
@overload
def job(
    function: Callable[Concatenate[JobContext, P], R_co], /
) -> ContextJobDefinition[P, R_co]: ...
@overload
def job(function: Callable[P, R_co], /) -> JobDefinition[P, R_co]: ...
@overload
def job(**options: Unpack[Options]) -> JobDecorator: ...
def job(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a job of the function below: `@job`, or `@job(queue="mail", …)` (see `Options`).

    The function stays callable as itself. A first parameter annotated `JobContext` receives
    the running job's context and is not among the arguments of `enqueue`. Raises TypeError or
    ValueError, naming job and value, for options or functions that cannot work.
    """
    if function is None:
        return lambda below: _define(below, options)
    return _define(function, options)


def _define(function: Any, options: dict[str, Any]) -> JobDefinition[Any, Any]:
    if not inspect.isfunction(function):
        raise TypeError(f"@job goes above a function, not above {function!r}.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{_full_name(function)}: a job returns, it cannot yield.")
    name = str(options.get("name", _full_name(function)))
    cleaned = clean(name, {"name": name, **options}, OPTIONS)
    signature, wants_context = _split_context(name, inspect.signature(function))
    kind = ContextJobDefinition if wants_context else JobDefinition
    definition: JobDefinition[Any, Any] = kind(function, signature, **cleaned)
    for parameter in definition.sensitive:
        if not definition.parameters.accepts(parameter):
            raise ValueError(
                f'{name}: sensitive names "{parameter}", but there is no such parameter: '
                f"{definition.parameters.describe()}."
            )
    if definition.atomic and definition.is_async:
        raise TypeError(
            f"{name}: an async job cannot be atomic, for Django's transactions are not. Use "
            "context.step.aatomic() for the parts that must be."
        )
    _check_schedules(definition)
    _check_events(definition)
    _check_about(definition)
    registry.register(definition)
    return definition


def _check_schedules(definition: JobDefinition[Any, Any]) -> None:
    for schedule in definition.schedules:
        try:
            check_call(definition, schedule.args, schedule.kwargs)
        except (TypeError, ValueError) as problem:
            text = f'{definition.name}: schedule "{schedule.name}": {problem}'
            raise InvalidSchedule(text, "args") from None


def _check_events(definition: JobDefinition[Any, Any]) -> None:
    if definition.on and not (definition.wants_event and definition.parameters.required <= 1):
        raise TypeError(
            f"{definition.name}: a job with on= is called with the event and nothing else, and "
            f"finds it by its annotation: def {definition.func.__name__}(event: Event), or "
            f"def {definition.func.__name__}(context: JobContext, event: Event)."
        )
    if definition.wants_event:
        return
    for cancellation in definition.cancel_on:
        for _, path in cancellation.fields:
            if not definition.parameters.accepts(path.partition(".")[0]):
                raise InvalidEvent(
                    f'{definition.name}: cancel_on compares "{path}", but there is no such '
                    f"parameter: {definition.parameters.describe()}."
                )


def _check_about(definition: JobDefinition[Any, Any]) -> None:
    about, parameters = definition.about, definition.parameters
    if not isinstance(about, KeyIn) or definition.wants_event:
        return
    if not parameters.accepts(about.path.partition(".")[0]):
        raise ValueError(
            f'{definition.name}: about names "{about.path}", but there is no such parameter: '
            f"{parameters.describe()}."
        )


def _takes_event(function: Any, parameters: Parameters) -> bool:
    if not parameters.positional:
        return False
    annotation = parameters.signature.parameters[parameters.positional[0]].annotation
    if isinstance(annotation, str) and function.__globals__.get(Event.__name__, Event) is not Event:
        return False  # a class of the project's own that is called Event
    return _is_called(annotation, Event)


def _split_context(name: str, signature: inspect.Signature) -> tuple[inspect.Signature, bool]:
    parameters = list(signature.parameters.values())
    asking = [item for item in parameters if _is_context(item.annotation)]
    if not asking:
        return signature, False
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if asking != parameters[:1] or asking[0].kind not in by_place:
        raise TypeError(f'{name}: "{asking[-1].name}: JobContext" must be the first parameter.')
    return signature.replace(parameters=parameters[1:]), True


def _is_context(annotation: Any) -> bool:
    return _is_called(annotation, JobContext)


def _is_called(annotation: Any, kind: type) -> bool:
    if isinstance(annotation, str):  # postponed: the name may exist for type checkers only
        return annotation.strip("'\" ").rpartition(".")[2] == kind.__name__
    return annotation is kind


def _full_name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _source(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"
