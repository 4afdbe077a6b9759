"""What people may do to schedules.

Each call locks the row: it waits for a worker that deals with it, and after it no worker acts by
the old rule.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from django_jobs import clock, registry
from django_jobs.announcements import announce
from django_jobs.conf import get_settings
from django_jobs.declarations import default_timezone, wrong_with
from django_jobs.display import grouped
from django_jobs.engines import get_engine
from django_jobs.engines.base import Engine, NewJob
from django_jobs.engines.schedules import Ticking
from django_jobs.exceptions import InvalidSchedule, ScheduleNotFound
from django_jobs.models import Schedule, Tick
from django_jobs.models.schedules import ADMIN, CODE
from django_jobs.origins import by_hand
from django_jobs.schedules.syncing import FIELDS, STATUS, UNDECLARED, enable, recalled, set_rule
from django_jobs.schedules.ticking import job_for, signal_new
from django_jobs.states import IDLE, State
from django_jobs.timetables.planning import Line, Overlap, Plan, Planned, TickOutcome
from django_jobs.timetables.timetable import EPOCH

MOMENT = timedelta(microseconds=1)
MOST_AT_ONCE = 1_000
"""Planned times of one backfill."""

PAUSE = ("paused_at", "paused_by", "paused_reason", "next_run_at")


def pause(name: str, *, by: str = "", reason: str = "") -> bool:
    """Pause a schedule until somebody resumes it, deploys included; False: it was paused.

    Jobs that it has made go on. `by` and `reason` (at most 150 and 255 characters) are for
    people to read. Raises ScheduleNotFound.
    """
    with _locked(name) as (engine, row, now):
        if row.paused_at is not None:
            return False
        row.paused_at, row.next_run_at = now, None
        row.paused_by, row.paused_reason = by[:150], reason[:255]
        _save(engine, row, PAUSE)
    return True


def resume(name: str, *, catch_up: bool = False) -> bool:
    """Let a paused schedule go on from its next planned time; False: it was not paused.

    With `catch_up` the newest planned time of the pause gets its job now. Raises
    ScheduleNotFound.
    """
    with _locked(name) as (engine, row, now):
        paused_at = row.paused_at
        if paused_at is None:
            return False
        row.paused_at, row.paused_by, row.paused_reason = None, "", ""
        row.next_run_at = row.timetable.next(now) if row.is_active else None
        _save(engine, row, PAUSE)
        times = row.timetable.latest(paused_at, now, 1) if catch_up else []
        line = Line(Overlap.QUEUE_ALL, engine.live_jobs([row.pk]).get(row.pk, []))
        _tick(engine, row, [line.join(at, TickOutcome.CAUGHT_UP) for at in times], now)
    return True


def run_now(name: str, *, by: str = "") -> int:
    """Enqueue a job of the schedule at once and return its id; the next planned time stays.

    The job keeps `by`, who wants it, for people to read.
    It runs beside a job that has not ended, and while the schedule is paused. Its context has
    no planned time. Raises ScheduleNotFound, and JobNotFound when nobody declares its job.
    """
    with _locked(name) as (engine, row, now):
        planned = Planned(now, TickOutcome.MANUAL, has_job=True)
        return _tick(engine, row, [planned], now, by)[0]


def backfill(
    name: str, start: datetime, end: datetime, *, one_by_one: bool = True, by: str = ""
) -> list[int]:
    """Enqueue the job of each planned time from `start` to `end` that has none; return their ids.

    Doing it twice does nothing twice. The jobs run one after the other (default), or all as soon
    as there are workers. They keep `by`, who wants it, for people to read. Raises ScheduleNotFound,
    and ValueError, with nothing written, for naive datetimes, an end before the start or in the
    future, and more than 1,000 planned times.
    """
    with _locked(name) as (engine, row, now):
        _, missing = _times(row, start, end, now)
        live = engine.live_jobs([row.pk]).get(row.pk, []) if one_by_one else []
        line = Line(Overlap.QUEUE_ALL if one_by_one else Overlap.ALLOW, live)
        wanted = [line.join(at, TickOutcome.BACKFILLED) for at in missing]
        return _tick(engine, row, wanted, now, by)


def named(name: str) -> Schedule:
    """Return the row of a schedule, to look at; raises ScheduleNotFound with the nearest name."""
    alias = get_settings().DATABASE
    row = Schedule.objects.using(alias).filter(name=name).first()
    if row is None:
        raise _not_found(name, alias)
    return row


def lacking(name: str, start: datetime, end: datetime) -> tuple[int, list[datetime]]:
    """Return how many planned times lie between, and those that have no job; writes nothing.

    That is what `backfill` would do now. Raises as it does.
    """
    times, missing = _times(named(name), start, end, clock.now())
    return len(times), missing


def create(name: str, job: str, **fields: Any) -> Schedule:
    """Make a schedule that no code declares; return its row.

    `job` is the name of a declared job; `fields` are those of `Schedule`: `cron` or `every`,
    `timezone`, `args`, `kwargs`, … Raises InvalidSchedule, with the field, and JobNotFound.
    """
    engine = get_engine(get_settings().DATABASE)
    check_free(name)
    now = engine.at(clock.now_or_none())
    row = Schedule(name=name, job_name=job, source=ADMIN, created_at=now)
    row.timezone = default_timezone()
    _set(row, fields, now)
    row.next_run_at = row.timetable.next(now)
    try:
        with transaction.atomic(using=engine.connection.alias):
            row.save(using=engine.connection.alias, force_insert=True)
    except IntegrityError:  # somebody else was a little quicker
        check_free(name)
        raise
    return row


def check_free(name: str) -> None:
    """Raise InvalidSchedule when there is a schedule of that name."""
    if Schedule.objects.using(get_settings().DATABASE).filter(name=name).exists():
        raise InvalidSchedule(
            gettext('There is a schedule "%(name)s" already.') % {"name": name}, "name"
        )


def change(name: str, **fields: Any) -> Schedule:
    """Change fields of a schedule, from its next planned time on; return its row.

    What is changed of a schedule that code declares stays so, whatever is deployed, until
    `reset`. Raises as `create` does, and ScheduleNotFound.
    """
    with _locked(name) as (engine, row, now):
        changed = {field for field, value in fields.items() if getattr(row, field) != value}
        _set(row, fields, now)
        if row.source == CODE:
            rule = {"cron", "every"}
            changed |= rule if changed & rule else set()
            row.overrides = sorted({*row.overrides, *changed})
        _revive(row, now)
        _save(engine, row, (*FIELDS, *STATUS, "job_name", "overrides"))
    return row


def reset(name: str) -> Schedule:
    """Undo all changes to a schedule that code declares; return its row."""
    with _locked(name) as (engine, row, now):
        row.overrides = []
        set_rule(row, recalled(row.declared), now)
        _revive(row, now)
        _save(engine, row, (*FIELDS, *STATUS, "overrides"))
    return row


def delete(name: str) -> None:
    """Delete a schedule with its history; its jobs stay, but for those that wait for others.

    Raises ScheduleNotFound, and InvalidSchedule for one that code declares: the next deploy
    would bring it back. Pause it, or remove it from the code.
    """
    with _locked(name) as (engine, row, _):
        if row.source == CODE and row.disabled_at is None:
            raise InvalidSchedule(
                gettext(
                    '"%(name)s" is declared in the code of %(job)s, which would bring it back. '
                    "Pause it here, or remove it there."
                )
                % {"name": name, "job": row.job_name},
                "name",
            )
        row.delete(using=engine.connection.alias)


def cancel_held(instance: Schedule, using: str, **_: Any) -> None:
    """Cancel what waits in the line of a schedule that is being deleted, whoever deletes it."""
    held = Tick.objects.using(using).filter(schedule=instance, held=True, job_id__isnull=False)
    ids: Any = list(held.values_list("job_id", flat=True))
    get_engine(using).move(ids, State.CANCELLED, IDLE, clock.now_or_none())


def _set(row: Schedule, fields: Mapping[str, Any], now: datetime) -> None:
    unknown = fields.keys() - {*FIELDS, "job_name"}
    if unknown:
        raise TypeError(f"A schedule has no field {', '.join(sorted(unknown))} to change.")
    set_rule(row, fields, now)
    check(row)


def _revive(row: Schedule, now: datetime) -> None:
    """Let a disabled schedule go on once nothing is wrong with it any more."""
    undeclared = row.source == CODE and row.disabled_reason == UNDECLARED
    if row.disabled_at is not None and not undeclared and not any(wrong_with(row)):
        enable(row, now, anew=True)


def check(row: Schedule) -> None:
    """Raise InvalidSchedule, with the field named, unless `row` can be kept as it is.

    Raises JobNotFound when nobody declares its job.
    """
    for problem in wrong_with(row):
        raise problem


@contextmanager
def _locked(name: str) -> Iterator[tuple[Engine, Schedule, datetime]]:
    """Lock the schedule for the block."""
    engine = get_engine(get_settings().DATABASE)
    found = Schedule.objects.using(engine.connection.alias).filter(name=name)
    pk = found.values_list("pk", flat=True).first()
    with engine.undoable():
        row = engine.lock_schedule(pk) if pk is not None else None
        if row is None:
            raise _not_found(name, engine.connection.alias)
        yield engine, row, engine.at(clock.now_or_none())


def _not_found(name: str, alias: str) -> ScheduleNotFound:
    names = list(Schedule.objects.using(alias).values_list("name", flat=True))
    match = registry.nearest(name, names)
    text = gettext('There is no schedule "%(name)s".') % {"name": name}
    if match:
        text += " " + gettext('Did you mean "%(match)s"?') % {"match": match}
    return ScheduleNotFound(text)


def _save(engine: Engine, row: Schedule, fields: Iterable[str]) -> None:
    row.save(using=engine.connection.alias, update_fields=list(fields))


def _tick(
    engine: Engine, row: Schedule, times: list[Planned], now: datetime, by: str = ""
) -> list[int]:
    """Write these planned times beside the schedule's own; return the ids of their jobs."""
    plan = Plan(tuple(times), row.next_run_at)
    jobs = {planned.at: _job(row, planned, by) for planned in times if planned.has_job}
    ticking = Ticking(row, plan, jobs)
    ids = engine.tick([ticking], now)
    signal_new(ticking, ids)
    if ids:
        announce(engine.connection, sorted({job.queue for job in jobs.values()}))
    return [ids[moment] for moment in sorted(ids)]


def _job(row: Schedule, planned: Planned, by: str) -> NewJob:
    at = None if planned.outcome is TickOutcome.MANUAL else planned.at
    return job_for(row, at)._replace(enqueued_by=by_hand(by))


def _check_span(start: datetime, end: datetime, now: datetime) -> None:
    for instant in (start, end):
        if instant.utcoffset() is None:
            raise ValueError(f"{instant!r} is naive (no time zone). Nothing was enqueued.")
    if start.year < EPOCH.year:
        text = gettext("A backfill starts in %(year)s or later. Nothing was enqueued.")
        raise ValueError(text % {"year": EPOCH.year})
    if start > end or end > now:
        raise ValueError(
            gettext(
                "A backfill goes from a start to a later end, and not into the future. "
                "Nothing was enqueued."
            )
        )


def _times(
    row: Schedule, start: datetime, end: datetime, now: datetime
) -> tuple[list[datetime], list[datetime]]:
    """Return the planned times between, and those of them that have no job."""
    _check_span(start, end, now)
    times = row.timetable.latest(start - MOMENT, end, MOST_AT_ONCE + 1)
    if len(times) > MOST_AT_ONCE:
        text = gettext(
            "There are more than %(most)s planned times in between. Nothing was enqueued; take a "
            "shorter span."
        )
        raise ValueError(text % {"most": grouped(MOST_AT_ONCE)})
    made = Tick.objects.using(row._state.db).filter(schedule=row, job_id__isnull=False)  # noqa: SLF001 - Django's documented place of the alias
    done = set(made.filter(planned_at__in=times).values_list("planned_at", flat=True))
    return times, [at for at in times if at not in done]
