"""Works off what operators want done to very many jobs, a page at a time."""

import logging
from collections.abc import Collection

from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext as _

from django_jobs import clock
from django_jobs.bulk import is_waiting, work
from django_jobs.bulk.working import PageFailed, Place, Worked, place_of
from django_jobs.engines.base import Engine
from django_jobs.masking import mask_text
from django_jobs.searching.terms import split
from django_jobs.services.base import Service

logger = logging.getLogger("django_jobs")

PAGE = 500
PAGES = 20
TRIES = 3
"""So often a worker tries a page that fails; then it gives the operation up."""

LONGEST_REASON = 200
BUDGET = 0.5
"""Seconds after which the housekeeper sees to its leases again."""


class BulkWorker(Service):
    """Runs when it hears of an operation, and looks now and then."""

    interval = Engine.look_every
    jitter = 0.1

    def __init__(self) -> None:
        super().__init__()
        self._size = PAGE
        self._tries: dict[Place, int] = {}
        self._given_up: dict[Place, str] = {}

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
        ready, resting = False, set[int]()
        for _page in range(PAGES):
            try:
                worked = self._work(engine, resting)
            except PageFailed as failure:
                self._note(engine, failure, resting)
                continue
            if worked is None:
                break
            ready = ready or bool(worked.page.done)
            if clock.monotonic() >= until:
                self.hurry()
                break
        else:
            self.hurry()
        return {Engine.ANY_QUEUE} if ready else set()

    def _work(self, engine: Engine, resting: Collection[int]) -> Worked | None:
        try:
            worked = work(engine, self._size, beside=resting, given_up=self._given_up)
        except PageFailed as failure:
            if not engine.is_busy(failure.error):
                raise
            # One of the jobs is locked: fewer at once, until that one is alone.
            if self._size > 1:
                self._size = max(self._size // 8, 1)
                return None
            worked = work(engine, 1, refuse=True, beside=resting)
        self._size = min(self._size * 2, PAGE)
        if worked is not None:
            self._tries.pop(place_of(worked.row), None)
            self._given_up.pop(place_of(worked.row), None)
            _report(worked)
        return worked

    def _note(self, engine: Engine, failure: PageFailed, resting: set[int]) -> None:
        """Let an operation rest whose page has failed, and give it up when that goes on."""
        row, error = failure.row, failure.error
        outage = isinstance(error, OperationalError) and not engine.is_too_slow(error)
        if outage or isinstance(error, InterfaceError):
            raise error
        place = place_of(row)
        tries = self._tries[place] = self._tries.get(place, 0) + 1
        logger.error("A page of the bulk operation %s failed (%d)", row, tries, exc_info=error)
        if tries < TRIES:
            resting.add(row.pk)
            return
        said = mask_text(next(iter(str(error).splitlines()), ""))[:LONGEST_REASON]
        text = _("given up: %(times)s times a page of it failed with %(kind)s: %(error)s")
        facts = {"times": tries, "kind": type(error).__name__, "error": said}
        self._given_up[place] = text % facts


def _report(worked: Worked) -> None:
    row, page = worked.row, worked.page
    if row.started_at is None:
        search = split(row.search).hiding_payload()
        logger.info("Bulk operation %s, asked for by %s, begins: %s", row, row.created_by, search)
    if page.is_last and page.last_id < row.high:
        logger.error("Bulk operation %s is %s", row, "; ".join(page.refused))
    elif page.is_last:
        done = row.done + page.done + row.asked + page.asked
        refused = row.refused + sum(count for count, _ in page.refused.values())
        logger.info("Bulk operation %s is done: %d jobs, %d refused", row, done, refused)
