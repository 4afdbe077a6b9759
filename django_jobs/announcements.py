"""Tells the workers, once a transaction has committed, that there is work for them.

Nothing here is needed for a job to run: workers look by themselves. It makes them look
sooner, makes new queues visible, and warns a developer who forgot to start a worker.
"""

import logging
from collections.abc import Collection
from datetime import timedelta

from django.conf import settings as django_settings
from django.db import connections, transaction

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.base import Engine
from django_jobs.models import Worker

PAUSE = 0.05
"""Seconds between two notifications of one queue by one process."""

logger = logging.getLogger("django_jobs")

_seen: set[tuple[str, str]] = set()
_told: dict[tuple[str, str], float] = {}
_warned: set[str] = set()


def announce(alias: str, queues: Collection[str], job_id: int | None = None) -> None:
    """Tell the workers of database `alias` about work in `queues`, when it is committed.

    Without an open transaction that is now. `job_id` is a job to name when no worker is there
    to run it. An error on the way is logged by Django and changes nothing for the caller.
    A caller who commits by hand (`set_autocommit(False)`) is left alone: workers look by
    themselves.
    """

    def tell() -> None:  # a partial has no __qualname__, which Django needs to log an error
        _tell(alias, queues, job_id)

    connection = connections[alias]
    if connection.in_atomic_block or connection.get_autocommit():
        transaction.on_commit(tell, using=alias, robust=True)


def hurry(alias: str) -> None:
    """Tell the workers, when it is committed, that running jobs were asked to stop."""

    def tell() -> None:
        get_engine(alias).notify({Engine.STOP_ASKED})

    transaction.on_commit(tell, using=alias, robust=True)


def forget() -> None:
    """Forget what this process has seen and told (for tests, whose databases come and go)."""
    for memory in (_seen, _told, _warned):
        memory.clear()


def _tell(alias: str, queues: Collection[str], job_id: int | None) -> None:
    unseen = [queue for queue in queues if (alias, queue) not in _seen]
    if unseen:
        get_engine(alias).see_queues(unseen)
        _seen.update((alias, queue) for queue in unseen)
        if django_settings.DEBUG and job_id is not None and alias not in _warned:
            _warn_without_worker(alias, unseen[0], job_id)
    now = clock.monotonic()
    due = [queue for queue in queues if not 0 <= now - _told.get((alias, queue), now + 1) < PAUSE]
    if due:
        _told.update(((alias, queue), now) for queue in due)
        get_engine(alias).notify(due)


def _warn_without_worker(alias: str, queue: str, job_id: int) -> None:
    patience = get_settings().WARN_NO_WORKER
    since = clock.now() - timedelta(seconds=patience)
    alive = Worker.objects.using(alias).filter(beat_at__gte=since).values_list("queues", flat=True)
    if any(not queues or queue in queues for queues in alive):
        return
    _warned.add(alias)
    logger.warning(
        'Job #%s is waiting, and no worker for queue "%s" has been seen for %.0f s. '
        "Start one: python manage.py runworker",
        job_id,
        queue,
        patience,
    )
