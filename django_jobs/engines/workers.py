"""The verbs about workers: how they show that they live, and hear what is wanted of them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime

from django_jobs.states import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCard:
    """What a worker tells people about itself with every beat.

    `boot`: what all processes of one start have in common. `wish`: what it obeys already, for the
    row that its first beat makes.
    """

    name: str
    boot: str = ""
    queues: tuple[str, ...] = ()
    processes: int = 1
    threads: int = 0
    version: str = ""
    wish: Wish = Wish.NONE


class WorkerVerbs(ABC):
    """Part of the Engine seam."""

    @abstractmethod
    def beat(self, card: WorkerCard, now: datetime | None = None) -> Wish:
        """Write a worker's sign of life; return what somebody wants of it.

        The answer comes with the row that is written, whatever it has been told before.
        """

    @abstractmethod
    def wish_of(self, worker: str) -> Wish | None:
        """Return what somebody wants of a worker, `None` for one without a row. Writes nothing."""

    @abstractmethod
    def leave(self, worker: str, now: datetime | None = None) -> None:
        """Note that a worker has gone; a beat under its name is that of a new one."""

    @abstractmethod
    def forget_workers(self, before: datetime) -> int:
        """Forget the workers that gave no sign of life since `before`, or have gone by then."""
