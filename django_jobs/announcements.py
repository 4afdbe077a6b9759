"""Tells the workers, once a transaction has committed, that there is work for them.

Nothing here is needed for a job to run: workers look by themselves. It makes them look
sooner, makes new queues visible, and warns a developer who forgot to start a worker.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings as django_settings
from django.db.backends.base.base import BaseDatabaseWrapper

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
_hearers: list[Callable[[], None]] = []


class Announcement:
    """What to tell when a transaction has committed. Kept by Django until then."""

    __slots__ = ("alias", "job_id", "queues")

    def __init__(self, alias: str, queues: Collection[str], job_id: int | None) -> None:
        self.alias = alias
        self.queues = queues
        self.job_id = job_id

    def tell(self) -> None:
        """Make the queues known, warn a developer without a worker, wake the workers."""
        _see(self)
        now = clock.monotonic()
        due = [queue for queue in self.queues if _is_due(self.alias, queue, now)]
        if due:
            _told.update(((self.alias, queue), now) for queue in due)
            get_engine(self.alias).notify(due)


def announce(
    connection: BaseDatabaseWrapper, queues: Collection[str], job_id: int | None = None
) -> None:
    """Tell workers about work in `queues` when the transaction on `connection` has committed.

    Without an open transaction that is now. `job_id` is a job to name when no worker is there
    to run it. An error on the way is logged by Django and changes nothing for the caller.
    A caller who commits by hand (`set_autocommit(False)`) is left alone: workers look by
    themselves.
    """
    if not _is_announced(connection, queues):
        _after_commit(connection, Announcement(connection.alias, queues, job_id).tell)


def hurry(connection: BaseDatabaseWrapper, word: str = Engine.STOP_ASKED) -> None:
    """Tell the workers, when it is committed, to look what is asked: of their jobs, or of them."""
    alias = connection.alias

    def tell() -> None:
        get_engine(alias).notify({word})

    _after_commit(connection, tell)


def tell_of_bulk(connection: BaseDatabaseWrapper) -> None:
    """Tell the workers, when it is committed, that there is a bulk operation to work off."""
    alias = connection.alias

    def tell() -> None:
        get_engine(alias).notify({Engine.BULK})

    _after_commit(connection, tell)


def tell_of_events(connection: BaseDatabaseWrapper) -> None:
    """Tell the workers, when it is committed, that there are events to be handed out."""
    alias = connection.alias

    def tell() -> None:
        for hear in tuple(_hearers):
            hear()
        now = clock.monotonic()
        if _is_due(alias, Engine.EVENTS, now):
            _told[alias, Engine.EVENTS] = now
            get_engine(alias).notify({Engine.EVENTS})

    _after_commit(connection, tell)


@contextmanager
def hearing(hear: Callable[[], None]) -> Iterator[None]:
    """Call `hear` for each event that this process sends (for the worker in it)."""
    _hearers.append(hear)
    try:
        yield
    finally:
        _hearers.remove(hear)


def forget() -> None:
    """Forget what this process has seen and told (for tests, whose databases come and go)."""
    for memory in (_seen, _told, _warned):
        memory.clear()


def _after_commit(connection: BaseDatabaseWrapper, tell: Callable[[], None]) -> None:
    if connection.in_atomic_block or connection.get_autocommit():
        connection.on_commit(tell, robust=True)


def _is_announced(connection: BaseDatabaseWrapper, queues: Collection[str]) -> bool:
    """Say whether the newest callback is the same one, with the same fate at a roll-back."""
    if not connection.run_on_commit:
        return False
    savepoints, callback = connection.run_on_commit[-1][:2]
    newest = getattr(callback, "__self__", None)
    return (
        isinstance(newest, Announcement)
        and newest.queues == queues
        and savepoints == set(connection.savepoint_ids)
    )


def _is_due(alias: str, queue: str, now: float) -> bool:
    told = _told.get((alias, queue))
    return told is None or not 0 <= now - told < PAUSE


def _see(news: Announcement) -> None:
    unseen = [queue for queue in news.queues if (news.alias, queue) not in _seen]
    if not unseen:
        return
    get_engine(news.alias).see_queues(unseen)
    _seen.update((news.alias, queue) for queue in unseen)
    if django_settings.DEBUG and news.job_id is not None and news.alias not in _warned:
        _warn_without_worker(news.alias, unseen[0], news.job_id)


def _warn_without_worker(alias: str, queue: str, job_id: int) -> None:
    patience = get_settings().WARN_NO_WORKER
    since = clock.now() - timedelta(seconds=patience)
    alive = Worker.objects.using(alias).filter(beat_at__gte=since).values_list("queues", flat=True)
    if any(not queues or queue in queues for queues in alive):
        return
    _warned.add(alias)
    logger.warning(
        'Job #%s is waiting, and no worker for queue "%s" was seen in the last %.0f s. '
        "Start one: python manage.py runworker",
        job_id,
        queue,
        patience,
    )
