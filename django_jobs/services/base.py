"""What a service is: a name, an interval, and one bounded piece of work."""

import random
from abc import ABC, abstractmethod

from django_jobs import clock
from django_jobs.engines.base import Engine


class Service(ABC):
    """A duty that is due again and again. `interval` is seconds, `jitter` a share of it."""

    interval: float = 15.0
    jitter: float = 0.2

    def __init__(self) -> None:
        self._due_at = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to run, by the monotonic clock."""
        return clock.monotonic() >= self._due_at

    def attend(self, engine: Engine) -> set[str]:
        """Run once, plan the next time; return the queues that have work now."""
        spread = 1 + random.uniform(-self.jitter, self.jitter)  # noqa: S311 - no secret
        self._due_at = clock.monotonic() + self.interval * spread
        return self.run(engine)

    def hurry(self) -> None:
        """Be due at once: there is more to do."""
        self._due_at = 0.0

    def hear(self, word: str) -> None:
        """Hear a word that workers tell each other (`Engine.EVENTS`) or hear (`Engine.WRITTEN`)."""
        del word

    @abstractmethod
    def run(self, engine: Engine) -> set[str]:
        """Do a bounded amount of work; return the queues that have work now."""
