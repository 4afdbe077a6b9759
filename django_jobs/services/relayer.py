"""Hands events out, and looks now and then whether one was forgotten."""

import logging

from django_jobs import clock
from django_jobs.announcements import PAUSE
from django_jobs.engines.base import Engine
from django_jobs.events import Relay
from django_jobs.services.base import Service

logger = logging.getLogger("django_jobs")

REPAIR = 60.0
PAGES = 10


class Relayer(Service):
    """Runs when it hears of events, or when the promoter has seen some; repairs once a minute."""

    interval = REPAIR

    def __init__(self) -> None:
        super().__init__()
        self._relay = Relay()
        self._repair_at = 0.0

    def hear(self, word: str) -> None:
        """Be due at once when there are events."""
        if word == Engine.EVENTS:
            self.hurry()

    def run(self, engine: Engine) -> set[str]:
        """Hand out page after page, but leave the housekeeper time for the leases."""
        queues: set[str] = set()
        self._repair(engine)
        turns, more, moved = 0, True, False
        while more and turns < PAGES:
            done = self._relay.run(engine)
            queues |= done.queues
            turns, more, moved = turns + 1, done.more, moved or done.moved
        if more and moved:  # else all are left to others: the promoter sees them, in its time
            self.hurry()
        elif moved and turns > 1:
            # The next one may come before anybody may say so again.
            self._due_at = clock.monotonic() + 2 * PAUSE
        return queues

    def _repair(self, engine: Engine) -> None:
        if clock.monotonic() < self._repair_at:
            return
        self._repair_at = clock.monotonic() + REPAIR
        if count := self._relay.repair(engine):
            logger.warning("The ends of %d job(s) had not been told; they are told now.", count)
