"""Turns planned times that are due into jobs, each once, whichever worker comes first."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django_jobs import clock, registry
from django_jobs.announcements import hurry
from django_jobs.conf import get_settings
from django_jobs.engines.base import Engine, NewJob
from django_jobs.engines.schedules import Ticking
from django_jobs.enqueueing import first_state, new_job, signal_enqueued
from django_jobs.handles import JobHandle
from django_jobs.models import Schedule
from django_jobs.states import IDLE, Later, State
from django_jobs.timetables.planning import LiveJob, Plan, plan

logger = logging.getLogger("django_jobs.schedule")

PAGE = 100
Moment = tuple[int, datetime]
"""A schedule's id and a planned time."""

PAGE_TIME = 0.5
"""Seconds after which a page ends early: its locks are held until it is written."""

TURN_TIME = 3.0
"""Seconds after which `Ticker.run` begins no further page: its thread extends leases, too."""

ASIDE = 60.0
"""Seconds for which a schedule is left to others after it could not be dealt with here."""


@dataclass(frozen=True, slots=True)
class Dealt:
    """What was written for one schedule: its plan, the ids of its new jobs, their queues."""

    schedule: Schedule
    plan: Plan
    jobs: Mapping[datetime, int]
    queues: frozenset[str]


class Ticker:
    """Deals with due schedules; remembers which of them it cannot deal with."""

    def __init__(self) -> None:
        self._aside: dict[int, float] = {}

    def wait(self, engine: Engine) -> float | None:
        """Return the seconds until a schedule is due that this process can deal with."""
        return engine.next_due(registry.known_names(), self._left_aside(), clock.now_or_none())

    def run(self, engine: Engine) -> list[Dealt]:
        """Deal with what is due, page by page, each page in its own transaction.

        After `TURN_TIME` something may be left that is still due.
        """
        done: list[Dealt] = []
        enough = clock.monotonic() + TURN_TIME
        while True:
            with engine.transaction():
                now, due = self._lock(engine)
                tickings, complete = self._decide(engine, due, now)
                done += _write(engine, tickings, now)
            if (complete and len(due) < PAGE) or clock.monotonic() >= enough:
                return done

    def give_up(self, engine: Engine) -> list[tuple[str, str]]:
        """Look for due schedules whose job nobody here knows; another worker may know it.

        Disables those that waited too long for one, and returns their names and the reasons.
        """
        patience, now = get_settings().UNKNOWN_JOB_PATIENCE, clock.now_or_none()
        late = Schedule.objects.using(engine.connection.alias).filter(
            next_run_at__lt=engine.at(now)
        )
        disabled = []
        for row in late.exclude(job_name__in=registry.known_names())[:PAGE]:
            reason = f"No worker knows the job {row.job_name}."
            if engine.doubt([row.pk], reason, patience, now):
                disabled.append((row.name, reason))
        return disabled

    def _lock(self, engine: Engine) -> tuple[datetime, list[Schedule]]:
        names, now = registry.known_names(), clock.now_or_none()
        return engine.lock_due(names, PAGE, self._left_aside(), now)

    def _decide(
        self, engine: Engine, due: list[Schedule], now: datetime
    ) -> tuple[list[Ticking], bool]:
        """Return what is to be written, and whether for all: a long gap takes its time."""
        live = engine.live_jobs([schedule.pk for schedule in due])
        tickings: list[Ticking] = []
        enough = clock.monotonic() + PAGE_TIME
        for number, schedule in enumerate(due):
            if number and clock.monotonic() >= enough:
                return tickings, False
            try:
                ticking = decide(schedule, now, live.get(schedule.pk, []))
            except Exception as problem:  # noqa: BLE001 - one schedule must not stop the others
                self._set_aside(engine, schedule, problem)
                continue
            if _cancel(engine, ticking.plan, now):
                ticking = replace(ticking, plan=ticking.plan.held())
            tickings.append(ticking)
        return tickings, True

    def _set_aside(self, engine: Engine, schedule: Schedule, problem: Exception) -> None:
        """Leave a schedule to workers that may have newer code; say it at most once a minute."""
        self._aside[schedule.pk] = clock.monotonic() + ASIDE
        reason = f"{type(problem).__name__}: {problem}"
        patience = get_settings().UNKNOWN_JOB_PATIENCE
        gone = engine.doubt([schedule.pk], reason, patience, clock.now_or_none())
        fate = "it is disabled" if gone else "it is left to other workers"
        logger.error(
            "Schedule %s is due and cannot be dealt with here; %s. %s",
            schedule.name,
            fate,
            reason,
            extra={"event": "schedule_failed", "schedule": schedule.name},
        )

    def _left_aside(self) -> list[int]:
        now = clock.monotonic()
        self._aside = {pk: until for pk, until in self._aside.items() if until > now}
        return sorted(self._aside)


def _write(engine: Engine, tickings: list[Ticking], now: datetime) -> list[Dealt]:
    jobs = engine.tick(tickings, now)
    for ticking in tickings:
        signal_new(ticking, jobs)
    return [_dealt(ticking, jobs) for ticking in tickings]


def signal_new(ticking: Ticking, ids: Mapping[Moment, int]) -> None:
    """Send `job_enqueued` for the jobs that were written."""
    for planned in ticking.plan.times:
        if (job_id := ids.get((ticking.schedule.pk, planned.at))) is not None:
            job = ticking.jobs[planned.at]
            state = State.WAITING if planned.hold else first_state(job.later)
            handle: JobHandle[Any] = JobHandle(job.name, state)
            handle.fill(job_id, created=True)
            signal_enqueued([handle])


def _dealt(ticking: Ticking, jobs: Mapping[Moment, int]) -> Dealt:
    pk = ticking.schedule.pk
    ids = {at: jobs[pk, at] for at in ticking.jobs if (pk, at) in jobs}
    queues = frozenset(ticking.jobs[at].queue for at in ids)
    return Dealt(ticking.schedule, ticking.plan, ids, queues)


def decide(schedule: Schedule, now: datetime, live: list[LiveJob]) -> Ticking:
    """Return what is to be written for a due schedule."""
    assert schedule.next_run_at is not None
    made = plan(schedule.timetable, schedule.policy, schedule.next_run_at, now, live)
    times = [planned.at for planned in made.times if planned.has_job]
    return Ticking(schedule, made, {at: job_for(schedule, at) for at in times})


def job_for(schedule: Schedule, planned_at: datetime | None) -> NewJob:
    """Return the job of a planned time, shifted by the schedule's jitter; `None`: one for now."""
    definition = registry.get(schedule.job_name)
    job = new_job(definition, tuple(schedule.args), schedule.kwargs)
    if planned_at is None or not schedule.jitter:
        return job
    return job._replace(later=Later(instant=planned_at + schedule.timetable.jitter_for(planned_at)))


def _cancel(engine: Engine, made: Plan, now: datetime) -> bool:
    """Cancel the jobs that the plan replaces; return whether one of them still runs."""
    if not made.cancel:
        return False
    idle = engine.move(made.cancel, State.CANCELLED, IDLE, now)
    running = engine.ask_to_stop(made.cancel - idle, now)
    if running:
        hurry(engine.connection)
    return bool(running)
