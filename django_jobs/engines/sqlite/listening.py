"""Wake-up by looking whether anybody has written: microseconds, no lock, no statement on a table."""

from threading import Event
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from django_jobs.conf import get_settings
from django_jobs.engines.base import Engine
from django_jobs.engines.hearing import Listener
from django_jobs.engines.orm.rows import Rows

SHORTEST, QUIET, LONGEST = 0.05, 0.1, 0.4
"""Seconds between two looks: usually, when nobody has written for long, while all write all the time."""

LOOKS_UNTIL_QUIET = 20
CHANGES_UNTIL_BUSY = 4
"""A job that comes and goes is a few commits of our own: these make nothing slower yet."""


class SQLiteListener(Listener):
    """Hears every commit of another connection, but not what it was about.

    `PRAGMA data_version` is a number that another connection's commit makes another.
    """

    tells_of_stops = False

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection: Any = connection
        self._connection.ensure_connection()
        self._vain = self._changes = 0
        self._said: set[str] = set()
        self._closed = Event()
        self._seen = self._version()

    def wait(self, timeout: float) -> set[str]:
        """Return that somebody has written, within `timeout` seconds; what, it cannot say.

        Raises OperationalError when the file cannot be read.
        """
        heard, self._said = self._said, set()
        waited = 0.0
        while not heard and waited < timeout:
            pause = min(self._pause(), timeout - waited)
            self._closed.wait(pause)
            waited += pause
            version = self._version()
            if version != self._seen:
                self._seen, self._vain = version, 0
                self._changes += 1
                heard = {Engine.ANY_QUEUE, Engine.WRITTEN}
            else:
                self._vain, self._changes = self._vain + 1, 0
        return heard

    def say(self, text: str) -> None:
        """Let this listener hear `text`; the others hear commits only."""
        self._said.add(text)

    def close(self) -> None:
        """Close the connection."""
        self._closed.set()
        self._connection.close()

    def _pause(self) -> float:
        if self._vain >= LOOKS_UNTIL_QUIET:
            return QUIET
        doublings = max(self._changes - CHANGES_UNTIL_BUSY, 0)
        return float(min(SHORTEST * 2.0 ** min(doublings, 16), LONGEST))

    def _version(self) -> int:
        with self._connection.wrap_database_errors:
            # Not a cursor of Django's, which costs ten times as much, twenty times a second.
            version: int = self._connection.connection.execute("PRAGMA data_version").fetchone()[0]
            return version


class Listening(Rows):
    """The verb that wakes workers; nobody has to be notified."""

    def listener(self) -> Listener | None:
        """Return a listener, `None` for a database in memory or when the settings rule it out."""
        connection: Any = self.connection
        if connection.is_in_memory_db() or not get_settings().LISTEN:
            return None
        return SQLiteListener(connection.copy())
