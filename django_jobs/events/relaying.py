"""Hands events out: starts what listens to the ends of jobs, wakes and cancels what waits.

Any worker does it, all at once if they like: an event belongs to the one that has its row
locked. What is done for it is done in the transaction that says so.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import InterfaceError, OperationalError

from django_jobs import clock
from django_jobs.announcements import hurry
from django_jobs.batches import repair, settle
from django_jobs.engines.base import Engine
from django_jobs.engines.events import Delivery, End, Pending, Woken
from django_jobs.events.starting import Starter
from django_jobs.serializers import dump_result
from django_jobs.states import FINAL, State
from django_jobs.subscriptions import JOB, Event

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
    """What one turn did: queues with work, events taken, and whether to look again at once.

    `moved`: whether anything came of it; events can be all left to others.
    """

    queues: frozenset[str] = frozenset()
    count: int = 0
    more: bool = False
    moved: bool = False


class Relay:
    """Hands events out, a page at a time; one after the other it comes by all that are pending.

    It remembers, too, how far it has looked for forgotten ends.
    """

    def __init__(self) -> None:
        self._starter = Starter()
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
        turns, more, moved = 0, True, False
        while more and turns < PAGE:
            with engine.undoable():
                done = self._turn(engine, 1, self._hand_out_or_give_up)
            queues |= done.queues
            turns, more, moved = turns + 1, done.more, moved or done.moved
        return HandedOut(frozenset(queues), turns, more, moved)

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
        moved = bool(woken.done or woken.ended)
        return HandedOut(woken.queues, len(events), full or moved, moved)

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
        started = self._starter.start(engine, events, ends, engine.at(now))
        below = engine.cancel_below(
            [job_id for job_id, end in ends.items() if end.state is State.CANCELLED], now
        )
        # One that was retried meanwhile lives again.
        engine.forget_cancellations([pk for pk, end in ends.items() if end.state in FINAL])
        settled = settle(engine, _states(events, ends), ends, now)
        woken = engine.wake([_delivery(event, ends) for event in events], now)
        busy = below.left | settled.busy
        held_up = started.left | {event.id for event in events if event.job_id in busy}
        engine.put_away(woken.done - held_up, now)
        if woken.asked_to_stop:
            hurry(engine.connection)
        return woken._replace(
            queues=woken.queues | started.queues | below.queues | settled.queues,
            done=woken.done - held_up,
            ended=woken.ended + len(below.queues) + settled.told,
        )


def _states(events: Iterable[Pending], ends: dict[int, End]) -> dict[int, State]:
    """Return how these jobs have ended, those left out that have been retried meanwhile."""
    states = {}
    for event in events:
        if event.job_id is not None:
            end = ends.get(event.job_id)
            told = State(event.name.removeprefix(JOB).upper())
            states[event.job_id] = end.state if end else told  # of a deleted job
    return {job_id: state for job_id, state in states.items() if state in FINAL}


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
