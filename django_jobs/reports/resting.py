"""Why nobody serves a queue that living workers are there for: they are to be quiet, or to stop."""

from collections.abc import Iterable
from dataclasses import dataclass

from django_jobs.reports.summary import WorkerSummary
from django_jobs.states import Wish


@dataclass(frozen=True, slots=True)
class Resting:
    """Those who would serve a queue, and are to be quiet; or to stop, where none is only quiet.

    `names`: at least one. `together`: one word to any of them reaches all of them.
    """

    wish: Wish
    names: tuple[str, ...]
    together: bool


def resting(known: Iterable[WorkerSummary], queue: str) -> Resting | None:
    """Return who of `known` lives and would serve `queue`; `None` if nobody would, or somebody does."""
    would = [worker for worker in known if worker.is_alive and worker.is_for(queue)]
    if not would or any(worker.wish is Wish.NONE for worker in would):
        return None
    quiet = [worker for worker in would if worker.wish is Wish.QUIET]
    told = quiet or would
    starts = {worker.boot or worker.name for worker in told}
    names = tuple(worker.name for worker in told)
    return Resting(Wish.QUIET if quiet else Wish.STOP, names, len(starts) == 1)
