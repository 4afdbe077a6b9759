"""The options of `@job` and `using()`: their names, types, ranges, and what is said when they are wrong.

Each option has one function that returns the value as it is kept, or raises with the job and
the value named.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict, TypeVar

from django.conf import settings as django_settings
from django.db.models import Model
from django.http import HttpRequest

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.declarations import ScheduleDeclaration
from django_jobs.exceptions import InvalidEvent, InvalidQueue, InvalidSchedule
from django_jobs.origins import of_request
from django_jobs.registry import nearest
from django_jobs.retries import BackoffFunction, as_seconds
from django_jobs.serializers import clean_text
from django_jobs.subjects import KeyIn, name_of
from django_jobs.subscriptions import (
    MOST_TRIGGERS,
    Cancellation,
    Trigger,
    cancellations,
    triggers,
)

MAX_PRIORITY = 100
MAX_ATTEMPTS = 100
MAX_QUEUE = 64
MAX_KEY = 255
FARTHEST = timedelta(days=36525)
"""The distance of `run_after`: beyond the year 9999 a row could be written, but not read."""

T = TypeVar("T")

Errors = type[BaseException] | tuple[type[BaseException], ...]


class Changes(TypedDict, total=False):
    """What `using()` can change for the jobs that are enqueued through the copy.

    `queue`: a queue name. `priority`: −100 … 100, bigger sooner. `run_after`: an aware datetime,
    or a timedelta from now; `None`: at once. `max_attempts`: 1 … 100. `unique_key`: text of at
    most 255 characters; while a live job carries it, enqueueing gives that job back. `about`: the
    saved row of the project that the job is about; one, no list. `None`: none, whatever is declared.
    `request`: the request that a view answers; the job keeps its user's name, its view and its id, not
    the request. `None`: there is none.
    """

    queue: str
    priority: int
    run_after: datetime | timedelta | None
    max_attempts: int
    unique_key: str | None
    about: Model | None
    request: HttpRequest | None


class Options(TypedDict, total=False):
    """What `@job(…)` takes.

    `name`: the name in the database (default: module and function). `queue` (default
    "default"), `priority` (default 0, −100 … 100, bigger sooner), `max_attempts` (default: the
    setting MAX_ATTEMPTS, 1 … 100). `backoff`: a `Backoff`, or a callable of (exception, attempt)
    that returns seconds or a timedelta. `timeout`: seconds or a timedelta per attempt (default:
    none). `retry_on`: only these exceptions are retried (default: all). `never_retry`: these are
    not. `on_crash`: "retry" (default) or "fail" when the worker dies under the job. `atomic`: True for
    one commit of what the job writes to the jobs' database, what it enqueues and its end, or
    nothing of it (default False; sync jobs only). `sensitive`:
    names of parameters whose values are never shown. `aliases`: former names of the job.
    `schedule`: `cron(…)` or `every(…)`, or a list of them. `on`: an event's name, a pattern such
    as "order/*" or `when(…)`, or a list of at most 10 of them; each such event starts a job, whose
    first parameter, annotated `Event`, gets it. `cancel_on`: what cancels jobs that have not
    ended: an event's name, or a dict of names with the fields of the event's data that must equal
    the job's arguments: `{"order/cancelled": "order_id"}`, or `{"order/cancelled": {"id":
    "order_id"}}` where they are called otherwise. A job that takes an event is compared by that
    one's data. `on_failure`: a job, or the name of one, that is started with the event
    "django_jobs/job.failed" when a job fails for good. `about`: the argument (or the field of the
    event's data) that is the key of the row which a job is about: `{"shop.Order": "order_id"}`.
    """

    name: str
    queue: str
    priority: int
    max_attempts: int
    backoff: BackoffFunction
    timeout: float | timedelta | None
    retry_on: Errors | None
    never_retry: Errors
    on_crash: Literal["retry", "fail"]
    atomic: bool
    sensitive: tuple[str, ...] | list[str] | str
    aliases: tuple[str, ...] | list[str] | str
    schedule: ScheduleDeclaration | tuple[ScheduleDeclaration, ...] | list[ScheduleDeclaration]
    on: str | Trigger | list[str | Trigger] | tuple[str | Trigger, ...]
    cancel_on: str | Mapping[str, str | list[str] | Mapping[str, str]]
    on_failure: Any
    about: Mapping[str, str]


def clean(job: str, given: Mapping[str, Any], allowed: frozenset[str]) -> dict[str, Any]:
    """Return the options `given` for `job` as they are kept.

    Raises TypeError for an option that is not among `allowed` or of the wrong type, ValueError
    for a value out of range, InvalidQueue for a queue that is not in `QUEUES`.
    """
    cleaned = {}
    for option, value in given.items():
        if option not in allowed:
            match = nearest(option, sorted(allowed))
            hint = f'Did you mean "{match}"?' if match else f"Known: {', '.join(sorted(allowed))}."
            raise TypeError(f'{job}: unknown option "{option}". {hint}')
        cleaned[option] = CLEANERS[option](job, value)
    return cleaned


def check_queue(queue: str, job: str = "") -> None:
    """Raise InvalidQueue when the project lists its `QUEUES` and `queue` is not among them."""
    queues = get_settings().QUEUES
    if queues and queue not in queues:
        match = nearest(queue, list(queues))
        hint = f' Did you mean "{match}"?' if match else ""
        who = f"{job}: " if job else ""
        raise InvalidQueue(f'{who}"{queue}" is not in QUEUES ({", ".join(queues)}).{hint}')


def _name(job: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_KEY:
        raise ValueError(f"{job}: name must be a text of 1 to {MAX_KEY} characters, got {value!r}.")
    return _storable(job, "name", value)


def _queue(job: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{job}: queue must be a text, got {value!r}.")
    if not value.strip() or len(value) > MAX_QUEUE:
        raise ValueError(f"{job}: queue must have 1 to {MAX_QUEUE} characters, got {value!r}.")
    if django_settings.configured:
        check_queue(value, job)
    return _storable(job, "queue", value)


def _priority(job: str, value: Any) -> int:
    return _whole(job, "priority", value, -MAX_PRIORITY, MAX_PRIORITY)


def _max_attempts(job: str, value: Any) -> int:
    return _whole(job, "max_attempts", value, 1, MAX_ATTEMPTS)


def _whole(job: str, option: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{job}: {option} must be a whole number, got {value!r}.")
    if not low <= value <= high:
        raise ValueError(f"{job}: {option} must be between {low} and {high}, got {value}.")
    return value


def _run_after(job: str, value: Any) -> datetime | timedelta | None:
    if value is None:
        return value
    if isinstance(value, timedelta):
        return _near(job, value, value)
    if not isinstance(value, datetime):
        raise TypeError(
            f"{job}: run_after takes an aware datetime or a timedelta, got {value!r}. "
            "For seconds: timedelta(seconds=…)."
        )
    if value.utcoffset() is None:
        raise ValueError(
            f"{job}: run_after is naive (no time zone). Use timezone.now() + timedelta(…). "
            "Nothing was enqueued."
        )
    return _near(job, value, value - clock.now())


def _near(job: str, value: T, distance: timedelta) -> T:
    """Return `value`, an instant at `distance`, if every database can store and give it back."""
    if not -FARTHEST <= distance <= FARTHEST:
        raise ValueError(f"{job}: run_after must be within 100 years from now, got {value!r}.")
    return value


def _storable(job: str, option: str, text: str) -> str:
    """Return `text` if every database can store it."""
    if clean_text(text) != text:
        raise ValueError(f"{job}: {option} has a NUL character or a lone surrogate: {text!r}.")
    return text


def _unique_key(job: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{job}: unique_key must be a text, got {value!r}.")
    if not value or len(value) > MAX_KEY:
        raise ValueError(f"{job}: unique_key must have 1 to {MAX_KEY} characters, got {value!r}.")
    return _storable(job, "unique_key", value)


def _backoff(job: str, value: Any) -> BackoffFunction:
    if not callable(value):
        raise TypeError(
            f"{job}: backoff must be callable with (exception, attempt), got {value!r}. "
            "For a first wait of 30 s: Backoff(first=30)."
        )
    function: BackoffFunction = value
    return function


def _timeout(job: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        raise TypeError(f"{job}: timeout takes seconds or a timedelta, got {value!r}.")
    seconds = as_seconds(value)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{job}: timeout must be more than 0, got {value!r}. None means no limit.")
    return seconds


def _retry_on(job: str, value: Any) -> tuple[type[BaseException], ...] | None:
    return None if value is None else _errors(job, "retry_on", value)


def _never_retry(job: str, value: Any) -> tuple[type[BaseException], ...]:
    return _errors(job, "never_retry", value)


def _errors(job: str, option: str, value: Any) -> tuple[type[BaseException], ...]:
    classes = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for item in classes:
        if not (isinstance(item, type) and issubclass(item, BaseException)):
            raise TypeError(f"{job}: {option} takes exception classes, got {item!r}.")
    return classes


def _on_crash(job: str, value: Any) -> str:
    if value not in ("retry", "fail"):
        raise ValueError(f'{job}: on_crash must be "retry" or "fail", got {value!r}.')
    return str(value)


def _atomic(job: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{job}: atomic must be True or False, got {value!r}.")
    return value


def _sensitive(job: str, value: Any) -> tuple[str, ...]:
    return _texts(job, "sensitive", value)


def _aliases(job: str, value: Any) -> tuple[str, ...]:
    return _texts(job, "aliases", value)


def _texts(job: str, option: str, value: Any) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else tuple(value)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise TypeError(f"{job}: {option} takes texts, got {text!r}.")
    return texts


def _schedule(job: str, value: Any) -> tuple[ScheduleDeclaration, ...]:
    declarations = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    named = []
    for number, item in enumerate(declarations, start=1):
        if not isinstance(item, ScheduleDeclaration):
            raise TypeError(f'{job}: schedule takes cron("…") or every(…), got {item!r}.')
        try:
            named.append(item.named(job if number == 1 else f"{job}#{number}"))
        except InvalidSchedule as error:
            raise InvalidSchedule(f"{job}: {error}", error.field) from None
    return tuple(named)


def _on(job: str, value: Any) -> tuple[Trigger, ...]:
    try:
        found = tuple(triggers(value))
    except InvalidEvent as error:
        raise InvalidEvent(f"{job}: {error}") from None
    if len(found) > MOST_TRIGGERS:
        raise InvalidEvent(f"{job}: on takes at most {MOST_TRIGGERS} events, got {len(found)}.")
    twice = {trigger.pattern for trigger in found if found.count(trigger) > 1}
    if twice:
        raise InvalidEvent(f'{job}: on names "{min(twice)}" twice; it would start two jobs.')
    return found


def _cancel_on(job: str, value: Any) -> tuple[Cancellation, ...]:
    try:
        return tuple(cancellations(value))
    except InvalidEvent as error:
        raise InvalidEvent(f"{job}: {error}") from None


def _on_failure(job: str, value: Any) -> str:
    name = value if isinstance(value, str) else getattr(value, "name", None)
    if not isinstance(name, str) or not name:
        raise TypeError(f"{job}: on_failure takes a job or the name of one, got {value!r}.")
    return name


def _about(job: str, value: Any) -> KeyIn | str | None:
    try:
        if isinstance(value, Mapping):
            return KeyIn.of(value)
        return None if value is None else name_of(value)
    except (TypeError, ValueError) as problem:
        raise type(problem)(f"{job}: {problem}") from None


def _request(job: str, value: Any) -> str | None:
    try:
        return of_request(value)
    except TypeError as problem:
        raise TypeError(f"{job}: {problem}") from None


CLEANERS: dict[str, Callable[[str, Any], Any]] = {
    "name": _name,
    "queue": _queue,
    "priority": _priority,
    "max_attempts": _max_attempts,
    "run_after": _run_after,
    "unique_key": _unique_key,
    "backoff": _backoff,
    "timeout": _timeout,
    "retry_on": _retry_on,
    "never_retry": _never_retry,
    "on_crash": _on_crash,
    "atomic": _atomic,
    "sensitive": _sensitive,
    "aliases": _aliases,
    "schedule": _schedule,
    "on": _on,
    "cancel_on": _cancel_on,
    "on_failure": _on_failure,
    "about": _about,
    "request": _request,
}
