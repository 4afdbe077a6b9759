"""Hands events out: starts what listens to the ends of jobs, wakes and cancels what waits.

Any worker does it, all at once if they like: an event belongs to the one that has its row
locked. What is done for it is done in the transaction that says so.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError

from django_jobs import clock, registry
from django_jobs.announcements import hurry
from django_jobs.batches import repair, settle
from django_jobs.display import masked_arguments
from django_jobs.engines.base import Engine, NewJob
from django_jobs.engines.events import Delivery, End, Pending, Woken
from django_jobs.enqueueing import insert
from django_jobs.events.sending import ids_of, jobs_for
from django_jobs.exceptions import ArgumentsTooLarge
from django_jobs.serializers import dump_result
from django_jobs.states import FINAL, State
from django_jobs.subscriptions import JOB, SYSTEM, Event, Trigger

logger = logging.getLogger("django_jobs")

PAGE = 100
PATIENCE = timedelta(minutes=1)
"""How old a wait is before somebody looks whether its event was forgotten."""

WINDOW = 10_000
"""Jobs in batches that are looked at in one repair."""

AWAY = (OperationalError, InterfaceError)
WITHOUT_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class HandedOut:
    """What one turn did: queues with work, events taken, and whether to look again at once."""

    queues: frozenset[str] = frozenset()
    count: int = 0
    more: bool = False


class Relay:
    """Hands events out, a page at a time; one after the other it comes by all that are pending.

    It remembers, too, how far it has looked for forgotten ends.
    """

    def __init__(self) -> None:
        self._after = 0
        self._member = 0

    def run(self, engine: Engine) -> HandedOut:
        """Hand out the next events, all in one transaction; one that fails stops no other.

        Events whose jobs others have locked stay pending; the next turn goes on behind them.
        """
        try:
            with engine.undoable():
                return self._turn(engine, PAGE, self._hand_out)
        except AWAY:
            raise
        except Exception:  # noqa: BLE001 - they are taken one by one, and the bad one is named
            return self._one_by_one(engine)

    def repair(self, engine: Engine) -> int:
        """Tell again of ended jobs that somebody waits for in vain; return how many.

        Finishes batches, too, that ought to have finished.
        """
        now = engine.at(clock.now_or_none())
        repair(engine, PAGE, now)
        told, self._member = engine.forgotten_members(self._member, WINDOW)
        return told + engine.forgotten_ends(now - PATIENCE, PAGE)

    def _one_by_one(self, engine: Engine) -> HandedOut:
        queues: set[str] = set()
        turns, more = 0, True
        while more and turns < PAGE:
            with engine.undoable():
                done = self._turn(engine, 1, self._hand_out_or_give_up)
            queues |= done.queues
            turns, more = turns + 1, done.more
        return HandedOut(frozenset(queues), turns, more)

    def _turn(
        self, engine: Engine, limit: int, hand_out: Callable[[Engine, list[Pending]], Woken]
    ) -> HandedOut:
        events = engine.take_events(limit, self._after)
        if not events:
            self._after = 0
            return HandedOut()
        woken = hand_out(engine, events)
        full = len(events) == limit
        if not (woken.ended and len(woken.done) < len(events)):  # else there are more waits
            self._after = events[-1].id if full else 0
        # Whatever was done may have made the next event: the end of a child that was cancelled.
        more = full or bool(woken.done or woken.ended)
        return HandedOut(woken.queues, len(events), more)

    def _hand_out_or_give_up(self, engine: Engine, events: list[Pending]) -> Woken:
        """Hand out one event; if that fails, say so, while nobody else can have the event."""
        (event,) = events
        try:
            with engine.undoable():
                return self._hand_out(engine, events)
        except AWAY:
            raise
        except Exception as problem:  # noqa: BLE001 - said, and kept with the event
            reason = f"{type(problem).__name__}: {problem}"
            text = "Event %s #%d is not handed out. %s"
            logger.error(text, event.name, event.id, reason)  # noqa: TRY400 - it says enough
            engine.give_up(event.id, reason, clock.now_or_none())
            return Woken(frozenset(), frozenset({event.id}))

    def _hand_out(self, engine: Engine, events: list[Pending]) -> Woken:
        now = clock.now_or_none()
        ends = engine.ends_of([event.job_id for event in events if event.job_id])
        queues = self._start_listeners(engine, events, ends)
        below = engine.cancel_below(
            [job_id for job_id, end in ends.items() if end.state is State.CANCELLED], now
        )
        # One that was retried meanwhile lives again.
        engine.forget_cancellations([pk for pk, end in ends.items() if end.state in FINAL])
        settled = settle(engine, _states(events, ends), ends, now)
        woken = engine.wake([_delivery(event, ends) for event in events], now)
        busy = below.left | settled.busy
        held_up = {event.id for event in events if event.job_id in busy}
        engine.put_away(woken.done - held_up, now)
        if woken.asked_to_stop:
            hurry(engine.connection)
        return woken._replace(
            queues=woken.queues | queues | below.queues | settled.queues,
            done=woken.done - held_up,
            ended=woken.ended + len(below.queues) + settled.told,
        )

    def _start_listeners(
        self, engine: Engine, events: Iterable[Pending], ends: dict[int, End]
    ) -> set[str]:
        """Start what listens to the ends of jobs; what listens to others' events runs already."""
        triggers = list(registry.listeners())
        nosy = {definition.name for trigger, definition in triggers if _is_system(trigger.pattern)}
        queues: set[str] = set()
        for event in events:
            if event.is_heard:
                continue
            end = ends.get(event.job_id or 0)
            # A job that hears of the ends of all others would, failing, start itself for ever.
            fit = [pair for pair in triggers if end and _may_hear(pair[0], end.name in nosy)]
            jobs = _jobs_after(event, end, fit) if end and fit else []
            if jobs:
                engine.note_started(event.id, ids_of(insert(engine, jobs)))
                queues |= {job.queue for job in jobs}
        return queues


def _states(events: Iterable[Pending], ends: dict[int, End]) -> dict[int, State]:
    """Return how these jobs have ended, those left out that have been retried meanwhile."""
    states = {}
    for event in events:
        if event.job_id is not None:
            end = ends.get(event.job_id)
            told = State(event.name.removeprefix(JOB).upper())
            states[event.job_id] = end.state if end else told  # of a deleted job
    return {job_id: state for job_id, state in states.items() if state in FINAL}


def _jobs_after(event: Pending, end: End, triggers: list[tuple[Trigger, Any]]) -> list[NewJob]:
    try:
        return jobs_for(_system_event(event, end), triggers)
    except ArgumentsTooLarge:  # the job's own arguments, which it can look up by its id
        return jobs_for(_system_event(event, end._replace(args=None, kwargs=None)), triggers)


def _is_system(pattern: str) -> bool:
    return pattern.startswith(SYSTEM)


def _may_hear(trigger: Trigger, of_a_listener: bool) -> bool:  # noqa: FBT001 - private
    named = any(path == "job" for path, _ in trigger.match)
    return _is_system(trigger.pattern) and (named or not of_a_listener)


def _system_event(event: Pending, end: End) -> Event:
    args, kwargs = end.args, end.kwargs
    if args is not None:
        args, kwargs = masked_arguments(end.name, args, kwargs)
    data = {
        "job_id": end.job_id,
        "job": end.name,
        "queue": end.queue,
        "state": end.state.value,
        "attempt": end.attempt,
        "args": args,
        "kwargs": kwargs,
        "error_type": end.error_type,
        "error": end.error,
    }
    return Event(event.name, data, event.id, event.sent_at)


def _delivery(event: Pending, ends: dict[int, End]) -> Delivery:
    if event.job_id is None:
        happened = Event(event.name, event.data, event.id, event.sent_at)
        return Delivery(event, dump_result(event.name, happened.as_json(), WITHOUT_LIMIT))
    end = ends.get(event.job_id)
    if end is None:
        return Delivery(event, None, "JobGone", f"job #{event.job_id} was deleted")
    if end.state is State.SUCCESSFUL:
        return Delivery(event, end.result)
    label = f"job #{end.job_id} ({end.name.rpartition('.')[2]})"
    if end.state is State.CANCELLED:
        return Delivery(event, None, "JobCancelled", f"{label} was cancelled")
    problem = f"{end.error_type.rpartition('.')[2]}: {end.error}"
    return Delivery(event, None, "JobFailed", f"{label} failed: {problem}")
