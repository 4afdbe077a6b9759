"""Starts the jobs that listen to the ends of jobs, as the code that ended these has said.

A listener that the code here does not know is left to a worker that knows it, and given up when
none has come in time.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django_jobs import registry
from django_jobs.conf import get_settings
from django_jobs.display import masked_arguments
from django_jobs.engines.base import Engine, NewJob
from django_jobs.engines.events import End, Pending
from django_jobs.enqueueing import insert
from django_jobs.events.sending import ids_of, jobs_for
from django_jobs.exceptions import ArgumentsTooLarge
from django_jobs.subscriptions import JOB, Event, Trigger

logger = logging.getLogger("django_jobs")


@dataclass(slots=True)
class Started:
    """Queues that have work now, and the events whose listeners are not known here."""

    queues: set[str] = field(default_factory=set)
    left: set[int] = field(default_factory=set)


class Starter:
    """Remembers which unknown listeners it has told of: their events come by again and again."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def start(
        self, engine: Engine, events: Iterable[Pending], ends: Mapping[int, End], now: datetime
    ) -> Started:
        """Start what listens to the ends of jobs; what listens to others' events runs already."""
        started = Started()
        for event in events:
            if event.is_heard or not event.listeners:
                continue
            end = ends.get(event.job_id or 0)
            if end is None:
                _mourn(engine, event, now)
                continue
            unknown = [name for name, _ in event.listeners if not _takes_events(name)]
            if unknown and self._is_left(event, unknown, now):
                started.left.add(event.id)
                continue
            jobs, problems = _jobs_after(event, end)
            if jobs:
                engine.note_started(event.id, ids_of(insert(engine, jobs)))
                started.queues |= {job.queue for job in jobs}
            problems += [_unknown(event, unknown)] if unknown else []
            if problems:
                engine.give_up(event.id, "; ".join(problems), now)
        return started

    def _is_left(self, event: Pending, unknown: list[str], now: datetime) -> bool:
        """Say whether a worker that knows these may come yet; tell of each of them once."""
        patience = get_settings().UNKNOWN_JOB_PATIENCE
        if now - event.sent_at > timedelta(seconds=patience):
            return False
        for name in unknown:
            if name not in self._said:
                self._said.add(name)
                logger.warning(
                    "The end of job #%d starts %s, which this worker does not know. It is left to "
                    "a worker that does, and given up after %g s. Is this one running old code?",
                    event.job_id,
                    name,
                    patience,
                )
        return True


def _mourn(engine: Engine, event: Pending, now: datetime) -> None:
    """Say that a job was deleted before its end was handed out: nothing is known of it."""
    names = ", ".join(sorted({name for name, _ in event.listeners}))
    text = "Job #%s was deleted before its end was handed out; what listens is not started: %s"
    logger.warning(text, event.job_id, names)
    engine.give_up(event.id, f"job #{event.job_id} was deleted: {names} not started", now)


def _takes_events(name: str) -> bool:
    """Say whether the code here can start that job; older code may know it without an event."""
    definition = registry.find(name)
    return definition is not None and definition.wants_event


def _unknown(event: Pending, unknown: list[str]) -> str:
    names = ", ".join(unknown)
    logger.error(
        "The end of job #%d was to start %s, which no worker knows. Was it renamed? Then "
        "@job(aliases=[…]) on its new function. It is not started.",
        event.job_id,
        names,
    )
    return f"no worker knows {names}: not started"


def _jobs_after(event: Pending, end: End) -> tuple[list[NewJob], list[str]]:
    """Return the jobs that are to be started, and what is wrong with those that cannot be."""
    triggers: dict[str, list[tuple[Trigger, Any]]] = {}
    for name, match in event.listeners:
        if _takes_events(name):
            definition = registry.get(name)
            these = triggers.setdefault(definition.name, [])
            these.append((Trigger(event.name, match), definition))
    jobs: list[NewJob] = []
    problems: list[str] = []
    for name, these in triggers.items():
        try:
            jobs += _one_after(event, end, these)
        except Exception as error:  # noqa: BLE001 - said, and no other listener's business
            problem = f"{type(error).__name__}: {error}"
            text = "The end of job #%d does not start %s. %s"
            logger.error(text, event.job_id, name, problem)  # noqa: TRY400 - it says enough
            problems.append(f"{name} is not started: {problem}")
    return jobs, problems


def _one_after(event: Pending, end: End, triggers: list[tuple[Trigger, Any]]) -> list[NewJob]:
    try:
        return jobs_for(_told(event, end), triggers)
    except ArgumentsTooLarge:  # the job's own arguments, which it can look up by its id
        return jobs_for(_told(event, end._replace(args=None, kwargs=None)), triggers)


def _told(event: Pending, end: End) -> Event:
    args, kwargs = end.args, end.kwargs
    if args is not None:
        args, kwargs = masked_arguments(end.name, args, kwargs)
    data: dict[str, Any] = {
        "job_id": end.job_id,
        "job": end.name,
        "queue": end.queue,
        "state": event.name.removeprefix(JOB).upper(),  # it may have been retried since
        "attempt": end.attempt,
        "args": args,
        "kwargs": kwargs,
        "error_type": end.error_type,
        "error": end.error,
    }
    return Event(event.name, data, event.id, event.sent_at)
