"""Tells people who watch a terminal that an idle worker lives: one line a minute.

A duty like the services, so that a worker of several processes has it once; but it looks at
what this worker runs, which they do not know.
"""

import logging
from collections.abc import Sequence

from django.utils import translation

from django_jobs import clock
from django_jobs.engines.base import Engine
from django_jobs.reports.summary import backlog, scheduled
from django_jobs.services import Service

logger = logging.getLogger("django_jobs")

QUIET = 60.0


class Idling(Service):
    """Looks at the cells of the worker's boards every second, at the database once a minute."""

    interval = 1.0
    jitter = 0.0

    def __init__(self, queues: Sequence[str], boards: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self._queues = queues
        self._boards = boards
        self._seen = self._sums()
        self._quiet_since = clock.monotonic()

    def run(self, engine: Engine) -> set[str]:
        """Say how much there is to do, when nothing has run for a minute."""
        now, seen = clock.monotonic(), self._sums()
        if seen != self._seen or any(any(cells[::2]) for cells in self._boards):
            self._seen, self._quiet_since = seen, now
        elif now - self._quiet_since >= QUIET:
            self._quiet_since = now
            alias = engine.connection.alias
            with translation.override(None):  # numbers, too, are in English in a log
                waiting = backlog(alias, self._queues).waiting
                later = scheduled(alias, self._queues)
            text = "idle · %s waiting · %s scheduled"
            logger.info(text, waiting, later, extra={"event": "idle"})
        return set()

    def _sums(self) -> list[int]:
        """Return a number for each board that changes with every claim whose jobs ran."""
        return [sum(cells[:]) for cells in self._boards]
