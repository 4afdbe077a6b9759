"""Deletes what is older than the retention, a little at a time, from the oldest on."""

from datetime import datetime, timedelta

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.engines.base import Engine
from django_jobs.services.base import Service
from django_jobs.tallies import HOUR, MINUTE

PAGE = 1000
PAGES = 5
WHEN_DONE = 600.0
WHEN_MUCH = 5.0
WORKERS_KEPT = timedelta(days=1)
KEYS_KEPT = timedelta(days=2)
DAY = 24 * HOUR
MINUTES_KEPT = 2 * DAY
"""Figures of single minutes are kept so many minutes, those of hours much longer."""


class Pruner(Service):
    """Walks the job table by id, five pages a minute; starts anew ten minutes after the end.

    Where it finds something to delete it goes on after five seconds: more than 80 jobs a second
    would come in faster than they go otherwise.
    """

    interval = 60.0

    def __init__(self) -> None:
        super().__init__()
        self._after = 0
        self._tick_after = 0

    def run(self, engine: Engine) -> set[str]:
        """Look at the next pages."""
        now, settings = clock.now(), get_settings()
        engine.forget_workers(now - WORKERS_KEPT)
        successful_before = now - timedelta(days=settings.RETENTION_SUCCESSFUL)
        failed_before = now - timedelta(days=settings.RETENTION_FAILED)
        others = self._prune_events(engine, now - timedelta(days=settings.RETENTION_EVENTS), now)
        others += engine.prune_batches(min(successful_before, failed_before), PAGE)
        others += self._prune_history(engine, now)
        others += engine.prune_bulk(failed_before, PAGE)
        others += self._prune_ticks(engine, now - timedelta(days=settings.RETENTION_TICKS))
        count, when_done = (others, WHEN_MUCH) if others >= PAGE else (0, WHEN_DONE)
        for _ in range(PAGES):
            pruned = engine.prune(successful_before, failed_before, PAGE, self._after)
            count += pruned.count
            if pruned.last_id is None:
                self._after = 0
                self._due_at = clock.monotonic() + when_done
                return set()
            self._after = pruned.last_id
        if count:
            self._due_at = clock.monotonic() + WHEN_MUCH
        return set()

    def _prune_events(self, engine: Engine, before: datetime, now: datetime) -> int:
        """Delete old events and what was remembered of their ids, a few pages at a time."""
        total = 0
        for _ in range(PAGES):
            count = engine.prune_events(before, now - KEYS_KEPT, PAGE)
            total += count
            if count < PAGE:
                break
        return total

    def _prune_history(self, engine: Engine, now: datetime) -> int:
        """Delete old figures, a few pages at a time; return how many."""
        total, minute = 0, int(now.timestamp()) // MINUTE
        oldest = max(minute - int(get_settings().RETENTION_HISTORY * DAY), 0)
        engine.forget_releases(oldest, PAGE)
        for _ in range(PAGES):
            count = engine.prune_tallies(minute - MINUTES_KEPT, oldest, PAGE)
            total += count
            if count < PAGE:
                break
        return total

    def _prune_ticks(self, engine: Engine, before: datetime) -> int:
        """Delete old history of schedules, a few pages at a time; return how much."""
        total = 0
        for _ in range(PAGES):
            count, last = engine.prune_ticks(before, PAGE, self._tick_after)
            total += count
            self._tick_after = last or 0
            if last is None:
                break
        return total
