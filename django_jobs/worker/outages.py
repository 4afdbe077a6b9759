"""Says that the database is away, and that it is back: few lines, whoever noticed first."""

import logging
import threading

from django_jobs import clock

logger = logging.getLogger("django_jobs")

REPEAT = 30.0


class Outage:
    """What all threads of a process know about the database's absence.

    One line when it is lost, one every 30 seconds while it stays away, one when it is back.
    With `patience` the first line waits that many seconds: the children of a supervisor leave
    the telling to it, unless they alone are cut off.
    """

    def __init__(self, lease: float, patience: float = 0.0) -> None:
        self._lease = lease
        self._patience = patience
        self._lock = threading.Lock()
        self._since: float | None = None
        self._said_at: float | None = None

    def failed(self, error: BaseException) -> None:
        """Take note that a new connection could not be made."""
        now = clock.monotonic()
        with self._lock:
            self._since = now if self._since is None else self._since
            if now - self._since < self._patience:
                return
            if self._said_at is not None and now - self._said_at < REPEAT:
                return
            first, self._said_at = self._said_at is None, now
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if first:
            logger.warning(
                "Lost the database (%s). Retrying; running jobs keep their lease for %g s.",
                reason,
                self._lease,
            )
        else:
            logger.warning(
                "The database is still away after %.0f s (%s).", now - self._since, reason
            )

    def over(self) -> None:
        """Take note that a connection works."""
        if self._since is None:
            return
        with self._lock:
            since, said = self._since, self._said_at is not None
            self._since = self._said_at = None
        if said and since is not None:
            logger.warning("Database is back after %.0f s.", clock.monotonic() - since)
