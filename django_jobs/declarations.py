"""What `@job(schedule=…)` takes: `cron(…)` and `every(…)`. Pure; everything is checked at once.

The row of a schedule has the same fields, and `wrong_with` says of it what the code is told.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, Self, TypedDict, Unpack

from django.conf import settings as django_settings

from django_jobs import registry
from django_jobs.exceptions import InvalidSchedule, JobNotFound
from django_jobs.retries import as_seconds
from django_jobs.serializers import dump_arguments
from django_jobs.timetables.planning import Missed, Overlap
from django_jobs.timetables.timetable import Timetable

if TYPE_CHECKING:
    from django_jobs.definitions import JobDefinition

ANY_SIZE = 2**31
"""The limit of arguments where the settings may not be read yet."""

LONGEST_WINDOW = timedelta(days=366)
UNNAMED = "a schedule"


class ScheduleOptions(TypedDict, total=False):
    """What `cron` and `every` take beside the rule itself.

    `name`: the schedule's name in the database (default: the job's name, then `#2`, `#3`).
    `args`, `kwargs`: arguments of each job (default: none). `missed`: after a gap without
    workers `"one"` (default) enqueues a job for the newest missed planned time, `"all"` for each
    of the newest 100, `"skip"` for none. `missed_within`: what was missed longer ago stays
    missed (timedelta or seconds, default 1 day). `overlap`: while the job before it has not
    ended, `"skip"` (default), `"queue_one"`, `"queue_all"`, `"cancel_old"` or `"allow"`.
    `jitter`: jobs start up to so much later, always the same for a planned time (timedelta or
    seconds, default 0). `starts_at`, `ends_at`: aware datetimes between which it is in force.
    """

    name: str
    args: tuple[Any, ...] | list[Any]
    kwargs: Mapping[str, Any]
    missed: str
    missed_within: float | timedelta
    overlap: str
    jitter: float | timedelta
    starts_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDeclaration:
    """A schedule as code declares it. Made by `cron()` and `every()`."""

    cron: str = ""
    every: timedelta | None = None
    timezone: str = ""
    name: str = ""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    missed: Missed = Missed.ONE
    missed_within: timedelta = timedelta(days=1)
    overlap: Overlap = Overlap.SKIP
    jitter: timedelta = timedelta()
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def named(self, name: str) -> Self:
        """Return the declaration with `name`, unless it has one; raises InvalidSchedule."""
        found = replace(self, name=self.name or name)
        found.timetable  # noqa: B018 - the fields marked H depend on the name
        return found

    @property
    def timetable(self) -> Timetable:
        """Its planned times."""
        return Timetable(
            name=self.name or UNNAMED,
            cron=self.cron or None,
            every=self.every,
            timezone=self.timezone or default_timezone(),
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            jitter=self.jitter,
        )


class Kept(Protocol):
    """A schedule on record: what there is to check of its row."""

    job_name: str
    args: Any
    kwargs: Any
    missed_within: timedelta

    @property
    def timetable(self) -> Timetable:
        """Its planned times; raises InvalidSchedule."""


def cron(
    expression: str, *, timezone: str = "", **options: Unpack[ScheduleOptions]
) -> ScheduleDeclaration:
    """Declare a schedule by five cron fields or a name such as `@daily`: `@job(schedule=cron(…))`.

    `timezone` is an IANA name (default: the project's TIME_ZONE). Fixed times run once per local
    time, also when the clocks change. See `ScheduleOptions`. Raises InvalidSchedule.
    """
    return _declare(cron=expression, timezone=timezone, **options)


def every(interval: float | timedelta, **options: Unpack[ScheduleOptions]) -> ScheduleDeclaration:
    """Declare a schedule by a fixed span of time: `@job(schedule=every(timedelta(hours=1)))`.

    `interval` is a timedelta or seconds, 1 second … 10 years. The times are counted from
    `starts_at`, else from midnight UTC of 1 January 1970, so that every machine knows the same
    ones. See `ScheduleOptions`. Raises InvalidSchedule.
    """
    return _declare(every=_span("every", interval), **options)


def default_timezone() -> str:
    """Return the project's time zone, UTC where there is no project."""
    return str(django_settings.TIME_ZONE) if django_settings.configured else "UTC"


def _declare(**given: Any) -> ScheduleDeclaration:
    unknown = given.keys() - ScheduleDeclaration.__dataclass_fields__.keys()
    if unknown:
        known = sorted(
            {*ScheduleOptions.__annotations__, *(["timezone"] if "cron" in given else [])}
        )
        raise TypeError(
            f"A schedule has no option {', '.join(sorted(unknown))}. Known: {', '.join(known)}."
        )
    for option in ("missed_within", "jitter"):
        if option in given:
            given[option] = _span(option, given[option])
    for option, kind in (("missed", Missed), ("overlap", Overlap)):
        if option in given:
            given[option] = _choice(option, given[option], kind)
    if given.get("every") is not None and given.get("timezone"):
        raise InvalidSchedule("every counts elapsed time: it takes no timezone.", "timezone")
    args, kwargs = given.get("args", ()), given.get("kwargs", {})
    check_kinds(args, kwargs)
    declaration = ScheduleDeclaration(**{**given, "args": tuple(args), "kwargs": kwargs})
    check_window(declaration.missed_within)
    declaration.timetable  # noqa: B018 - raises where something is wrong
    return declaration


def check_kinds(args: Any, kwargs: Any) -> None:
    """Raise InvalidSchedule unless these are a list of values and a mapping from names."""
    if not isinstance(args, (list, tuple)):
        raise InvalidSchedule(f"args must be a list, got {args!r}.", "args")
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise InvalidSchedule(f"kwargs must be an object with names, got {kwargs!r}.", "kwargs")


def check_window(missed_within: timedelta) -> None:
    """Raise InvalidSchedule for a `missed_within` that makes no sense."""
    fits = isinstance(missed_within, timedelta) and timedelta() <= missed_within <= LONGEST_WINDOW
    if not fits:
        raise InvalidSchedule(
            f"missed_within must be between 0 and {LONGEST_WINDOW.days} days.", "missed_within"
        )


def check_call(
    definition: "JobDefinition[Any, Any]", args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Raise TypeError for arguments that the function does not take or JSON cannot hold."""
    parameters = definition.parameters
    parameters.check(args, kwargs)
    dump_arguments(parameters.job, args, kwargs, parameters.positional, ANY_SIZE)


def wrong_with(row: Kept) -> Iterator[InvalidSchedule | JobNotFound]:
    """Yield why `row` cannot be kept as it is, each reason as the error that code would get."""
    try:
        row.timetable  # noqa: B018 - raises where something is wrong
    except InvalidSchedule as problem:
        yield problem
    try:
        check_window(row.missed_within)
    except InvalidSchedule as problem:
        yield problem
    try:
        definition = registry.get(str(row.job_name))
    except JobNotFound as problem:
        yield problem
    else:
        yield from _wrong_arguments(definition, row)


def _wrong_arguments(definition: "JobDefinition[Any, Any]", row: Kept) -> Iterator[InvalidSchedule]:
    try:
        check_kinds(row.args, row.kwargs)
        check_call(definition, tuple(row.args), row.kwargs)
    except InvalidSchedule as problem:
        yield problem
    except (TypeError, ValueError) as problem:
        yield InvalidSchedule(str(problem), "args")


def _span(option: str, value: Any) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        raise InvalidSchedule(f"{option} takes a timedelta or seconds, got {value!r}.", option)
    try:
        return timedelta(seconds=as_seconds(value))
    except (OverflowError, ValueError) as error:
        raise InvalidSchedule(f"{option} is out of range: {value!r}.", option) from error


def _choice(option: str, value: Any, kind: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(f'"{member}"' for member in kind)
        raise InvalidSchedule(f"{option} is one of {allowed}, got {value!r}.", option) from None
