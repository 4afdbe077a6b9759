"""The thread that hears of new jobs: by LISTEN on PostgreSQL, by looking for commits on SQLite.

It shortens waits and nothing else. At its start it notifies itself; when it does not hear
that within a second, the worker polls and says so in one line.
"""

import logging
import threading
from collections.abc import Callable

from django.db import connections

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.hearing import Listener
from django_jobs.worker.links import NO_ANSWER

logger = logging.getLogger("django_jobs")

ECHO = "?"
TRIAL = 1.0
PROOF_INTERVAL = 15.0
PAUSE = 1.0


class Ear:
    """Listens in a thread of its own; `hears` says whether that works at present.

    `hears_of_stops`: whether it would hear, too, that jobs were asked to stop.
    """

    def __init__(self, name: str, on_heard: Callable[[set[str]], None]) -> None:
        self.hears = False
        self.hears_of_stops = False
        self._echo = f"{ECHO}{name}"
        self._on_heard = on_heard
        self._stopping = threading.Event()
        self._said = False
        self._thread = threading.Thread(target=self._work, name="listener", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End; the thread notices within a second."""
        self._stopping.set()

    def join(self, timeout: float) -> None:
        """Wait at most `timeout` seconds until the thread has closed its connection."""
        self._thread.join(timeout)

    def _work(self) -> None:
        while not self._stopping.is_set():
            listener = None
            try:
                listener = self._open()
                if listener is None:
                    return
                self._listen(listener)
            except NO_ANSWER as error:
                logger.debug("The listener's connection is broken: %s", error)
            finally:
                self.hears = self.hears_of_stops = False
                if listener is not None:
                    listener.close()
                connections.close_all()
            self._stopping.wait(PAUSE)

    def _open(self) -> Listener | None:
        return get_engine(get_settings().DATABASE).listener()

    def _listen(self, listener: Listener) -> None:
        self._on_heard(set())  # whatever was enqueued while nobody listened
        proof_at = 0.0
        while not self._stopping.is_set():
            if clock.monotonic() >= proof_at:
                if not self._proves_itself(listener):
                    return
                proof_at = clock.monotonic() + PROOF_INTERVAL
            self._pass_on(listener.wait(0.5))

    def _proves_itself(self, listener: Listener) -> bool:
        """Notify ourselves and hear it, or say once that the worker polls."""
        listener.say(self._echo)
        until = clock.monotonic() + TRIAL
        while clock.monotonic() < until and not self._stopping.is_set():
            heard = listener.wait(0.2)
            self._pass_on(heard)
            if self._echo in heard:
                self.hears, self.hears_of_stops = True, listener.tells_of_stops
                return True
        if not self._said and not self._stopping.is_set():
            self._said = True
            logger.warning("NOTIFY does not arrive (a pooler in between?); this worker polls.")
        return False

    def _pass_on(self, heard: set[str]) -> None:
        queues = {text for text in heard if not text.startswith(ECHO)}
        if queues:
            self._on_heard(queues)
