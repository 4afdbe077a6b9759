"""Wake-up by NOTIFY and LISTEN. A hint only; whoever hears nothing polls."""

from collections.abc import Collection
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from django_jobs.conf import get_settings
from django_jobs.engines.hearing import Listener
from django_jobs.engines.postgresql.literals import texts
from django_jobs.engines.postgresql.sessions import Session

CHANNEL = "django_jobs"


class PostgreSQLListener(Listener):
    """Listens on a connection of its own, which any one thread may use after it was made."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection: Any = connection
        self._connection.inc_thread_sharing()
        with self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")

    def wait(self, timeout: float) -> set[str]:
        """Return the queues heard of within `timeout` seconds.

        Raises OperationalError when the connection is lost.
        """
        with self._connection.wrap_database_errors:
            heard = self._connection.connection.notifies(timeout=timeout, stop_after=1)
            return {notification.payload for notification in heard}

    def say(self, text: str) -> None:
        """Notify everybody, this listener included, on the listener's own connection."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, text))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Listening(Session):
    """The verbs that wake workers."""

    NOTIFY = """
        SELECT pg_notify(%(channel)s, queue) FROM unnest(%(queues)s::text[]) AS told(queue)
    """

    def notify(self, queues: Collection[str]) -> None:
        """Tell listening workers that these queues have work."""
        if get_settings().LISTEN:
            with self.connection.cursor() as cursor:
                params = {"channel": CHANNEL, "queues": texts(sorted(queues))}
                cursor.execute(self.NOTIFY, params)

    def listener(self) -> Listener | None:
        """Return a listener, `None` when the settings or a transaction pooler rule it out."""
        settings = get_settings()
        if settings.POOLED or not settings.LISTEN:
            return None
        connection: Any = self.connection.copy()
        options = dict(connection.settings_dict["OPTIONS"])
        connection.settings_dict["OPTIONS"] = self.own_options(
            options, "django_jobs listener", settings.LEASE
        )
        return PostgreSQLListener(connection)
