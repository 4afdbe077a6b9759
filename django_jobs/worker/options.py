"""What a worker was asked to be. Values only."""

import os
import secrets
import socket
from dataclasses import dataclass, field

from django_jobs.conf import Settings, get_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The options of `runworker`, with the project's settings filled in. Picklable."""

    queues: tuple[str, ...] = ()
    threads: int = 4
    async_slots: int = 100
    processes: int = 1
    burst: bool = False
    max_jobs: int | None = None
    grace: float = 30.0
    host: str = field(default_factory=socket.gethostname)
    token: str = field(default_factory=lambda: secrets.token_hex(3))

    @property
    def claimed_queues(self) -> tuple[str, ...] | None:
        """The queues to claim from, `None` for all."""
        return self.queues or None

    @property
    def boot(self) -> str:
        """What the names of all processes of this start have in common, and of no other."""
        return f"{self.host[:80]}-{self.token}"

    def worker_name(self, pid: int | None = None) -> str:
        """Return a name that no other boot of any process has: host, process, random token."""
        return f"{self.host[:80]}:{pid or os.getpid()}-{self.token}"


def default_threads(vendor: str, settings: Settings | None = None) -> int:
    """Return how many jobs run at once per process when nobody says."""
    configured = (settings or get_settings()).THREADS
    return configured or (10 if vendor == "postgresql" else 4)
