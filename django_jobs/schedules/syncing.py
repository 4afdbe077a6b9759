"""Makes the rows of schedules say what the code says, and leaves alone what people changed.

Runs when a worker starts and after `migrate`. Several deployments may share one database: a
row is deleted by nobody, and only the deployment that knows its job may change it.
"""

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from django_jobs import clock, registry
from django_jobs.conf import get_settings
from django_jobs.declarations import ScheduleDeclaration, default_timezone, wrong_with
from django_jobs.engines import get_engine
from django_jobs.engines.base import Engine
from django_jobs.exceptions import InvalidSchedule
from django_jobs.models import Schedule
from django_jobs.models.schedules import CODE

if TYPE_CHECKING:
    from django_jobs.definitions import JobDefinition

    Definition = JobDefinition[Any, Any]

RULE = ("cron", "every", "timezone", "starts_at", "ends_at")
"""What the planned times follow from."""

FIELDS = (*RULE, "jitter", "missed", "missed_within", "overlap", "args", "kwargs")
"""What code declares and people may override."""

UNDECLARED = "The code no longer declares this schedule."
STATUS = {"disabled_at", "disabled_reason", "doubted_at", "next_run_at"}


@dataclass(slots=True)
class Synced:
    """The names of the schedules with which something happened.

    `taken`: declared ones whose name belongs to a schedule that somebody made by hand.
    """

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    enabled: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)


def sync(alias: str | None = None) -> Synced:
    """Bring the rows in the jobs' database (or in `alias`) in line with what is declared."""
    engine = get_engine(alias or get_settings().DATABASE)
    synced = Synced()
    declared = {schedule.name: (job, schedule) for job, schedule in _declared()}
    rows = {row.name: row for row in Schedule.objects.using(engine.connection.alias)}
    _follow_renames(engine, declared, rows)
    for name, (job, schedule) in declared.items():
        if name not in rows:
            _create(engine, job, schedule, synced)
        elif rows[name].source != CODE:
            synced.taken.append(name)
    now = engine.at(clock.now_or_none())
    for name, row in rows.items():
        if _apply(copy(row), declared.get(name), now, Synced()):
            _update(engine, row, declared.get(name), synced)
    return synced


def _follow_renames(
    engine: Engine,
    declared: Mapping[str, tuple[str, ScheduleDeclaration]],
    rows: dict[str, Schedule],
) -> None:
    """Give the rows named after a job its new name: with its pause, changes and history."""
    for name, (job, _) in declared.items():
        if name in rows or not name.startswith(job):
            continue
        former = [alias + name.removeprefix(job) for alias in registry.get(job).aliases]
        old = next((one for one in former if one in rows and one not in declared), None)
        if old is None or rows[old].source != CODE:
            continue
        try:
            with transaction.atomic(using=engine.connection.alias):
                found = Schedule.objects.using(engine.connection.alias).filter(pk=rows[old].pk)
                found.update(name=name)
        except IntegrityError:  # another worker was a little quicker
            continue
        rows[name] = rows.pop(old)
        rows[name].name = name


def values_of(schedule: ScheduleDeclaration) -> dict[str, Any]:
    """Return the fields of the row of a declaration."""
    values = {name: getattr(schedule, name) for name in FIELDS}
    timezone = schedule.timezone or default_timezone()
    plain = {"args": list(schedule.args), "kwargs": dict(schedule.kwargs)}
    return {**values, **plain, "timezone": timezone}


def set_rule(row: Schedule, values: Mapping[str, Any], now: datetime) -> bool:
    """Give `row` the `values`; return whether anything changed. A new rule starts from now on."""
    changed = _set_values(row, values)
    if changed & set(RULE) and row.is_active:
        row.next_run_at = row.timetable.next(now)
    return bool(changed)


def enable(row: Schedule, now: datetime, *, anew: bool = False) -> None:
    """Let a disabled schedule go on from its next planned time.

    Where only nobody was there who knew its job, that is the first one since the last that was
    dealt with: what was missed follows the schedule's policy, as after any gap. Not with `anew`.
    """
    was_gap = row.doubted_at is not None and not anew
    row.disabled_at, row.disabled_reason, row.doubted_at = None, "", None
    since = (row.last_planned_at or row.created_at) if was_gap else now
    row.next_run_at = row.timetable.next(since) if row.is_active else None


def _set_values(row: Schedule, values: Mapping[str, Any]) -> set[str]:
    changed = {name for name, value in values.items() if getattr(row, name) != value}
    for name in changed:
        setattr(row, name, values[name])
    return changed


def _declared() -> Iterator[tuple[str, ScheduleDeclaration]]:
    for definition in registry.definitions():
        for schedule in definition.schedules:
            yield definition.name, schedule


def _create(engine: Engine, job: str, schedule: ScheduleDeclaration, synced: Synced) -> None:
    now = engine.at(clock.now_or_none())
    values = values_of(schedule)
    row = Schedule(name=schedule.name, job_name=job, source=CODE, created_at=now, **values)
    row.declared, row.next_run_at = remembered(values), row.timetable.next(now)
    # Another worker may start at the same moment and be a little quicker.
    rows = Schedule.objects.using(engine.connection.alias)
    rows.bulk_create([row], ignore_conflicts=True)
    synced.created.append(schedule.name)


def remembered(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a declaration as JSON can hold them, to show and to go back to."""
    plain: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, datetime):
            plain[name] = value.isoformat()
        elif isinstance(value, timedelta):
            plain[name] = value.total_seconds()
        else:
            plain[name] = value
    return plain


def recalled(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that `remembered` wrote down."""
    values = {name: value for name, value in declared.items() if name in FIELDS}
    for name in ("starts_at", "ends_at"):
        if isinstance(values.get(name), str):
            values[name] = datetime.fromisoformat(values[name])
    for name in ("every", "jitter", "missed_within"):
        if isinstance(values.get(name), (int, float)):
            values[name] = timedelta(seconds=values[name])
    return values


def _update(
    engine: Engine,
    row: Schedule,
    declared: tuple[str, ScheduleDeclaration] | None,
    synced: Synced,
) -> None:
    """Bring one row in line, as it is under its lock: somebody else may have done so."""
    with engine.transaction():
        locked = engine.lock_schedule(row.pk)
        if locked is None:
            return
        fields = _apply(locked, declared, engine.at(clock.now_or_none()), synced)
        if fields:
            locked.save(using=engine.connection.alias, update_fields=fields)


def _apply(
    row: Schedule,
    declared: tuple[str, ScheduleDeclaration] | None,
    now: datetime,
    synced: Synced,
) -> set[str]:
    """Change `row` as the code wants it; return the names of the fields to save.

    Raises nothing: a row that makes no sense must keep no worker from starting.
    """
    if registry.find(row.job_name) is None and declared is None:
        return set()
    if row.source != CODE:
        return _settle(row, now, synced, set())
    if declared is None:
        gone = row.disabled_at is not None
        return set() if gone else _disable(row, now, UNDECLARED, synced)
    job, schedule = declared
    values = values_of(schedule)
    fields: set[str] = set()
    if row.declared != remembered(values) or row.job_name != job:
        row.declared, row.job_name = remembered(values), job
        fields |= {"declared", "job_name"}
        synced.changed.append(row.name)
    kept = {name: value for name, value in values.items() if name not in row.overrides}
    return fields | _settle(row, now, synced, _set_values(row, kept))


def _settle(row: Schedule, now: datetime, synced: Synced, changed: set[str]) -> set[str]:
    """Let a schedule go on, or disable it, by what it says now; return the fields to save."""
    problem = next(wrong_with(row), None)
    if problem is not None and (row.disabled_at is not None or _is_nonsense(row)):
        return changed | _disable(row, now, _reason(row, problem), synced)
    if row.disabled_at is not None:
        enable(row, now, anew=bool(changed & set(RULE)))
        synced.enabled.append(row.name)
        return changed | STATUS
    if changed & set(RULE) and row.is_active:
        row.next_run_at = row.timetable.next(now)
    return changed | ({"next_run_at"} if changed else set())


def _is_nonsense(row: Schedule) -> bool:
    """Whether no code could make sense of it. Arguments may fit those who run newer code."""
    try:
        row.timetable  # noqa: B018 - raises where something is wrong
    except InvalidSchedule:
        return True
    return False


def _reason(row: Schedule, problem: Exception) -> str:
    here = ", ".join(row.overrides)
    return f"{problem} Changed here, and not by the code: {here}." if here else str(problem)


def _disable(row: Schedule, now: datetime, reason: str, synced: Synced) -> set[str]:
    if row.disabled_at is not None and row.disabled_reason == reason:
        return set()
    row.disabled_at, row.disabled_reason, row.next_run_at = row.disabled_at or now, reason, None
    synced.disabled.append(row.name)
    return set(STATUS)
