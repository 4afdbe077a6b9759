"""Makes due jobs ready: scheduled ones, retries, sleepers. Sees whether there are events."""

from collections.abc import Callable

from django_jobs import clock
from django_jobs.engines.base import Engine
from django_jobs.services.base import Service

PAGE = 1000
PAGES = 10


class Promoter(Service):
    """Runs every second, so that a short retry waits a second too long at most."""

    interval = 1.0
    jitter = 0.1

    def __init__(self, on_events: Callable[[], None]) -> None:
        super().__init__()
        self._on_events = on_events

    def hear(self, word: str) -> None:
        """Look at once when somebody has written: there may be events."""
        if word == Engine.WRITTEN:
            self.hurry()

    def run(self, engine: Engine) -> set[str]:
        """Promote page after page of due jobs, but leave the housekeeper time for the leases."""
        found: set[str] = set()
        for _ in range(PAGES):
            queues = engine.promote(PAGE, clock.now_or_none())
            if engine.EVENTS in queues:
                queues.remove(engine.EVENTS)
                self._on_events()
            if not queues:
                return found
            found |= queues
        self.hurry()
        return found
