"""Jobs whose name no definition in this worker carries: handed back, and given up after an hour."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from django_jobs import clock, registry
from django_jobs.conf import get_settings
from django_jobs.engines.base import Engine, Finish, Hold
from django_jobs.exceptions import JobNotFound
from django_jobs.models import Job
from django_jobs.states import Raised, after_run
from django_jobs.worker.failures import describe
from django_jobs.worker.holdings import Held
from django_jobs.worker.pools import Ended
from django_jobs.worker.releases import let_go

logger = logging.getLogger("django_jobs.job")

PAUSE = 30.0


class UnknownJobs:
    """Gives a job back for 30 seconds, for a worker that knows it, or lets it fail in the end."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def settle(self, engine: Engine, worker: str, ended: Sequence[Ended]) -> set[Hold]:
        """Write what becomes of `ended`; return the holds that are not ours any more."""
        if not ended:
            return set()
        hopeless = self._hopeless(engine, [item.held.claimed.id for item in ended])
        waiting = [item.held for item in ended if item.held.claimed.id not in hopeless]
        self._say(waiting)
        gone = let_go(engine, [held.hold for held in waiting], delay=PAUSE, unknown=True)
        given_up = [_failure(item) for item in ended if item.held.claimed.id in hopeless]
        if given_up:
            finished = engine.finish(given_up, worker, clock.now_or_none())
            gone |= finished.applied | finished.fenced
        return gone

    def _say(self, waiting: Sequence[Held]) -> None:
        """Tell of each unknown name once; the jobs come by again and again."""
        for held in waiting:
            name = held.claimed.name
            if name not in self._said:
                self._said.add(name)
                logger.warning(
                    "Job #%d wants %s, which this worker does not know. It is handed back for a "
                    "worker that does, and fails after %g s. Is this one running old code? Was "
                    'it renamed? Then @job(aliases=["%s"]) on its new function.',
                    held.claimed.id,
                    name,
                    get_settings().UNKNOWN_JOB_PATIENCE,
                    name,
                    extra={"event": "unknown", "job_id": held.claimed.id, "job_name": name},
                )

    def _hopeless(self, engine: Engine, job_ids: list[int]) -> set[int]:
        since = clock.now() - timedelta(seconds=get_settings().UNKNOWN_JOB_PATIENCE)
        jobs = Job.objects.using(engine.connection.alias).filter(pk__in=job_ids)
        return set(jobs.filter(unknown_since__lt=since).values_list("pk", flat=True))


def _failure(ended: Ended) -> Finish:
    name = ended.held.claimed.name
    error = JobNotFound(
        f"Job #{ended.held.claimed.id} wants {name}, which no longer exists. Kept as failed; "
        f'add @job(aliases=["{name}"]) to its new function and retry it, or delete it.'
    )
    near = registry.nearest(name, [definition.name for definition in registry.definitions()])
    if near:
        error = JobNotFound(f"{error} The nearest name is {near}.")
    logger.error("%s", error, extra={"event": "failed", "job_id": ended.held.claimed.id})
    return Finish(ended.held.hold, after_run(Raised(describe(error, name))), None)
