"""Takes jobs back from workers that fell silent, and sweeps up what they left."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.engines.base import Engine, Rescued
from django_jobs.services.base import Service
from django_jobs.states import State
from django_jobs.tallies import MINUTE, Counted, Figures

logger = logging.getLogger("django_jobs.job")

PAGE = 100


class Rescuer(Service):
    """Reads the claim table only, four times per lease: every 15 seconds by default."""

    def __init__(self) -> None:
        super().__init__()
        self.interval = get_settings().extend_interval

    def run(self, engine: Engine) -> set[str]:
        """Rescue and sweep; return the queues whose jobs are ready again."""
        rescued = engine.rescue(PAGE, clock.now_or_none())
        engine.sweep(PAGE, clock.now_or_none())
        for job in rescued:
            report(job)
        if rescued:
            engine.add_tallies(_counted(rescued, engine.at(clock.now_or_none())))
        return {job.queue for job in rescued if job.state is State.READY}


def _counted(rescued: Iterable[Rescued], now: datetime) -> list[Counted]:
    """Return what the history is to know: a job that is lost is tried again, or has failed."""
    found: dict[tuple[str, str], Figures] = defaultdict(Figures)
    for job in rescued:
        figures = found[job.queue, job.name]
        figures.failed += job.state is State.FAILED
        figures.cancelled += job.state is State.CANCELLED
        figures.retried += job.state is State.READY
    minute = int(now.timestamp()) // MINUTE
    return [Counted(minute, *key, figures) for key, figures in found.items()]


def report(job: Rescued) -> None:
    """Log what became of a rescued job."""
    fate = {
        State.READY: "it is ready again",
        State.FAILED: "it was lost too often and has failed",
        State.CANCELLED: "it was asked to stop and is cancelled",
    }[job.state]
    logger.warning(
        "Job #%d: worker %s stopped answering; %s",
        job.job_id,
        job.worker,
        fate,
        extra={"event": "lost", "job_id": job.job_id, "worker": job.worker, "queue": job.queue},
    )
