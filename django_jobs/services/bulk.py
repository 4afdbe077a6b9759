"""Works off what operators want done to very many jobs, a page at a time."""

import logging

from django.db import OperationalError

from django_jobs import clock
from django_jobs.bulk import is_waiting, work
from django_jobs.bulk.working import Worked
from django_jobs.engines.base import Engine
from django_jobs.searching.terms import split
from django_jobs.services.base import Service

logger = logging.getLogger("django_jobs")

PAGE = 500
PAGES = 20
BUDGET = 0.5
"""Seconds after which the housekeeper sees to its leases again."""


class BulkWorker(Service):
    """Runs when it hears of an operation, and looks now and then."""

    interval = Engine.look_every
    jitter = 0.1

    def __init__(self) -> None:
        super().__init__()
        self._size = PAGE

    def hear(self, word: str) -> None:
        """Be due at once when there is an operation."""
        if word in {Engine.BULK, Engine.WRITTEN}:
            self.hurry()

    def run(self, engine: Engine) -> set[str]:
        """Work off page after page, but leave the housekeeper time for the leases."""
        self.interval = engine.look_every
        if not is_waiting(engine.connection.alias):
            return set()
        until = clock.monotonic() + BUDGET
        ready = False
        for _ in range(PAGES):
            worked = self._work(engine)
            if worked is None:
                break
            ready = ready or bool(worked.page.done)
            if clock.monotonic() >= until:
                self.hurry()
                break
        else:
            self.hurry()
        return {Engine.ANY_QUEUE} if ready else set()

    def _work(self, engine: Engine) -> Worked | None:
        try:
            worked = work(engine, self._size)
        except OperationalError as error:
            if not engine.is_busy(error):
                raise
            # One of the jobs is locked: fewer at once, until that one is alone.
            if self._size > 1:
                self._size = max(self._size // 8, 1)
                return None
            worked = work(engine, 1, refuse=True)
        self._size = min(self._size * 2, PAGE)
        if worked is not None:
            _report(worked)
        return worked


def _report(worked: Worked) -> None:
    row, page = worked.row, worked.page
    if row.started_at is None:
        search = split(row.search).hiding_payload()
        logger.info("Bulk operation %s, asked for by %s, begins: %s", row, row.created_by, search)
    if page.is_last:
        done = row.done + page.done + row.asked + page.asked
        refused = row.refused + sum(count for count, _ in page.refused.values())
        logger.info("Bulk operation %s is done: %d jobs, %d refused", row, done, refused)
