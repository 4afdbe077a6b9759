"""A connection of a worker's own that survives the database's absence."""

import logging
import random
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, InternalError, OperationalError

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.engines import own_engine
from django_jobs.engines.base import Engine
from django_jobs.worker.outages import REPEAT, Outage

logger = logging.getLogger("django_jobs")
T = TypeVar("T")

NO_ANSWER = (OperationalError, InterfaceError, InternalError)
"""InternalError: the server ended a session that idled in a transaction, or takes no writes."""

FIRST_PAUSE = 0.1
LAST_PAUSE = 2.0


class Unreachable(Exception):
    """The database did not answer; whatever was asked has to be asked again."""


class Link:
    """One thread's way to the jobs: an engine, made anew whenever its connection breaks.

    A broken connection is replaced without a word; only when the replacement fails, too, is
    that an outage. Must be used by one thread only.
    """

    def __init__(self, purpose: str, outage: Outage) -> None:
        self._purpose = purpose
        self._outage = outage
        self._engine: Engine | None = None
        self._session: object = None
        self._said_at: float | None = None
        self._pause = FIRST_PAUSE
        self._not_before = 0.0

    @property
    def wait(self) -> float:
        """Seconds until it makes sense to ask again; 0 when nothing is wrong."""
        return max(self._not_before - clock.monotonic(), 0.0)

    def ask(self, question: Callable[[Engine], T]) -> T:
        """Return `question(engine)`; raises Unreachable when the database does not answer.

        A lock that was not had in time, a deadlock or a full disk counts as no answer, too.
        """
        if self.wait:
            raise Unreachable
        try:
            engine = self._connected()
            answer = question(engine)
        except NO_ANSWER as error:
            self._not_before = clock.monotonic() + self._pause * (1 + random.random() / 5)  # noqa: S311
            self._pause = min(self._pause * 2, LAST_PAUSE)
            self._mend(error)
            raise Unreachable from error
        self._pause, self._not_before = FIRST_PAUSE, 0.0
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._engine is not None:
            self._engine.connection.close()
            self._engine = None

    def _connected(self) -> Engine:
        if self._engine is None:
            settings = get_settings()
            engine = own_engine(settings.DATABASE, self._purpose, settings.LEASE)
            engine.connection.ensure_connection()
            self._engine, self._session = engine, engine.connection.connection
            self._outage.over()
        return self._engine

    def _mend(self, error: BaseException) -> None:
        """Replace the connection if it is broken; tell the outage if that fails."""
        engine, self._engine = self._engine, None
        try:
            if engine is not None and engine.connection.is_usable():
                # Leaving a transaction, Django replaces a connection that broke inside it.
                if engine.connection.connection is self._session:
                    self._say_refused(error)
                self._engine, self._session = engine, engine.connection.connection
                return
        except Exception:
            # Whatever went wrong here, the connection is of no use.
            logger.debug("The connection %s is broken.", self._purpose, exc_info=True)
        try:
            if engine is not None:
                engine.connection.close()
            self._connected()
        except NO_ANSWER as second:
            self._outage.failed(second)

    def _say_refused(self, error: BaseException) -> None:
        now = clock.monotonic()
        if self._said_at is None or now - self._said_at >= REPEAT:
            self._said_at = now
            logger.warning("The database refused, trying again: %s", " ".join(str(error).split()))
