"""Counts the runs that this process has ended, and writes the figures once a minute.

They are added up in memory, so that the end of a run costs no statement more. What is written is
forgotten first and put back only where the database has said no: when it does not answer, nobody
knows whether it was written, and what may be counted twice is worth less than nothing. So a
process that is killed, or loses its connection just then, loses a minute of figures at most.
"""

import logging
import random
import threading
from collections.abc import Iterable

from django_jobs import clock
from django_jobs.engines.base import Engine
from django_jobs.services import Service
from django_jobs.states import RunOutcome, State
from django_jobs.tallies import BUCKETS, FINEST, MINUTE, Counted, Figures
from django_jobs.worker.journal import End, Event

logger = logging.getLogger("django_jobs")

SPREAD = 5.0
"""Seconds after a minute within which it is written: not by all workers at the same instant."""

MOST_KEPT = 10_000
"""So many rows are kept for a database that refuses them; more are dropped."""

LAST = BUCKETS - 1

Key = tuple[int, str, str]


class Tallier(Service):
    """Counts in the coordinator's thread, writes in the housekeeper's; nothing where nothing ran."""

    interval = 1.0
    jitter = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._figures: dict[Key, Figures] = {}
        self._offset: float | None = None
        self._spread = random.uniform(0.0, SPREAD)  # noqa: S311 - no secret

    def count(self, events: Iterable[Event]) -> None:
        """Take the ends among `events`, but for those that were refused."""
        offset = self._local_offset() if self._offset is None else self._offset
        with self._lock:
            for event in events:
                if isinstance(event, End) and not event.fenced:
                    self._count(event, int(event.ended + offset) // MINUTE)

    def run(self, engine: Engine) -> set[str]:
        """Write the minutes that are over."""
        if self._offset is None:
            self._learn(engine)
        due = int(clock.monotonic() + (self._offset or 0.0) - self._spread) // MINUTE
        if any(minute < due for minute, _, _ in list(self._figures)):
            self._write(engine, due)
        return set()

    def write_all(self, engine: Engine) -> bool:
        """Write everything, the minute that goes on included; always done with it."""
        try:
            if self._figures:
                self._write(engine, None)
        except Exception:
            logger.exception("The last figures for the history could not be written.")
        return True

    def _count(self, event: End, minute: int) -> None:
        claimed = event.claimed
        key = (minute, claimed.queue, claimed.name)
        figures = self._figures.get(key)
        if figures is None:
            figures = self._figures[key] = Figures()
        outcome = event.transition.outcome
        if outcome is RunOutcome.SUCCESSFUL:
            figures.succeeded += 1
        else:
            _count_other(figures, event)
        waited = event.waited
        if waited is None:
            return
        # What `bucket` does, without the price of a call.
        figures.waits[min(int(waited / FINEST).bit_length(), LAST)] += 1
        figures.runs[min(int(event.seconds / FINEST).bit_length(), LAST)] += 1
        figures.wait_sum += waited
        figures.run_sum += event.seconds

    def _learn(self, engine: Engine) -> None:
        """Note how far the database's clock, which decides, is from this machine's counter."""
        now = engine.at(clock.now_or_none())
        self._offset = now.timestamp() - clock.monotonic()

    def _local_offset(self) -> float:
        return clock.now().timestamp() - clock.monotonic()

    def _write(self, engine: Engine, before: int | None) -> None:
        # Asked first: a connection that broke long ago is found out before anything is at stake.
        self._learn(engine)
        with self._lock:
            keys = [key for key in self._figures if before is None or key[0] < before]
            taken = [Counted(*key, self._figures.pop(key)) for key in keys]
        try:
            engine.add_tallies(taken)
        except Exception:
            if engine.connection.is_usable():  # it has answered, so nothing is written
                self._put_back(taken)
            raise

    def _put_back(self, taken: list[Counted]) -> None:
        with self._lock:
            for each in taken[: max(MOST_KEPT - len(self._figures), 0)]:
                self._figures.setdefault(each[:3], Figures()).add(each.figures)


def _count_other(figures: Figures, event: End) -> None:
    transition = event.transition
    if transition.to is State.FAILED:
        figures.failed += 1
    elif transition.outcome in {RunOutcome.RETRIED, RunOutcome.TIMED_OUT}:
        figures.retried += 1
    elif transition.to is State.CANCELLED:
        figures.cancelled += 1
    else:
        figures.put_off += 1
