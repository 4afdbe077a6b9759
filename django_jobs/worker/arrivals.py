"""What the coordinator is handed by the pools, and what it carries to the database."""

import threading
from collections import deque
from dataclasses import dataclass, field

from django_jobs.engines.base import Hold, Report
from django_jobs.worker.holdings import Held
from django_jobs.worker.pools import Ended

FLUSH_COUNT = 100


class Arrivals:
    """Where the pools' threads leave what happened, and wake the coordinator when it matters."""

    def __init__(self) -> None:
        self.started: deque[Held] = deque()
        self.ended: deque[Ended] = deque()
        self.crash: BaseException | None = None
        self.wake = threading.Event()
        self.full = threading.Event()

    def on_started(self, held: Held) -> None:
        """Take note of a start, from a pool's thread."""
        self.started.append(held)
        if len(self.started) == 1:
            self.wake.set()

    def on_ended(self, ended: Ended, *, idle: bool) -> None:
        """Take an ended job, from a pool's thread."""
        self.ended.append(ended)
        if idle or len(self.ended) >= FLUSH_COUNT:
            self.full.set()
            self.wake.set()
        elif len(self.ended) == 1:
            self.wake.set()

    def on_crashed(self, error: BaseException) -> None:
        """Take note that a pool broke, from its thread."""
        self.crash = error
        self.wake.set()


@dataclass(slots=True)
class Batch:
    """Ended jobs on their way to the database."""

    ended: dict[Hold, Ended] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    released: list[Ended] = field(default_factory=list)
    unknown: list[Ended] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ended) + len(self.released) + len(self.unknown)
