"""Starts the worker anew when the project's code changes: for development.

The process that people start watches, and runs the worker as a child by the same command. From
Django's reloader comes the command line only: it runs what it reloads in a thread, where a worker
would hear no signal, and ends it in the middle of a job.
"""

import logging
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress

from django.utils.autoreload import get_child_arguments

from django_jobs import clock
from django_jobs.worker.exits import CLEAN, FORCED, HURRY
from django_jobs.worker.watching import changed_at, differences, project_folders

logger = logging.getLogger("django_jobs")

VARIABLE = "DJANGO_JOBS_WATCHED"
"""Where a child finds the socket to the process that watches."""

LOOK = 1.0
GRACE = 3.0
"""Seconds that running jobs get at a reload; then they are handed back."""

PUSHES = ((signal.SIGTERM, GRACE), (HURRY, 2.0), (HURRY, 10.0), (signal.SIGKILL, 10.0))
"""How a child is ended for a reload: what it is sent, and how long that is left to work."""

UNBEGUN = (-signal.SIGTERM, -HURRY)
"""The ends of a child that was stopped before it listened: no job had been claimed."""


class Reloader:
    """Keeps one child that runs the worker, and replaces it when a Python file changes."""

    def __init__(self) -> None:
        self._stops = self._told = 0
        self._poke_read, self._poke_write = os.pipe()
        os.set_blocking(self._poke_write, False)
        self._link: socket.socket | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pushes: list[tuple[signal.Signals, float]] = []
        self._push_at = 0.0
        self._reloading = False
        self._folders = project_folders()
        self._files: dict[str, int] = {}

    def request_stop(self) -> None:
        """Stop the worker in good order; a second request ends its grace. For signal handlers."""
        self._stops += 1
        with suppress(BlockingIOError):
            os.write(self._poke_write, b".")

    def run(self) -> int:
        """Run until stopped, or until the worker ends by itself in order; return the exit code."""
        self._start()
        while True:
            self._wait()
            self._pass_on_stops()
            code = self._end_of_child()
            if code is not None and self._is_final(code):
                return code if code >= 0 else FORCED
            if self._child is None and self._stops:
                return CLEAN
            if self._child is None and self._reloading:
                self._start()
            if not self._stops and not self._reloading:
                self._look()
            self._push()

    def _start(self) -> None:
        self._reloading = False
        self._files = changed_at(self._folders)
        self._link, theirs = socket.socketpair()
        number = theirs.fileno()
        # Ctrl-C reaches the whole group: a child that has no handler yet must not die of it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._child = subprocess.Popen(  # noqa: S603 - the command that started us
                get_child_arguments(),
                env={**os.environ, VARIABLE: str(number)},
                pass_fds=[number],
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            theirs.close()

    def _wait(self) -> None:
        """Wait for a signal, for the end of the child, or until it is time to look."""
        sources: list[int | socket.socket] = [self._poke_read]
        sources += [] if self._link is None else [self._link]
        ready, _, _ = select.select(sources, [], [], LOOK)
        if self._poke_read in ready:
            os.read(self._poke_read, 1024)
        if self._link in ready and self._child is not None:
            self._drop_link()  # its other end is closed: the child is about to be gone
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(LOOK)

    def _pass_on_stops(self) -> None:
        while self._told < self._stops:
            self._told += 1
            self._send(signal.SIGTERM if self._told == 1 and not self._reloading else HURRY)

    def _end_of_child(self) -> int | None:
        """Return the exit code of a child that has ended since the last look."""
        child = self._child
        if child is None or child.poll() is None:
            return None
        self._child, self._pushes = None, []
        self._drop_link()
        return CLEAN if child.returncode in UNBEGUN else child.returncode

    def _drop_link(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _is_final(self, code: int) -> bool:
        """Say whether we end with the child; tell what happens when we do not."""
        if self._stops:
            return True
        if self._reloading:
            return False
        if code in (CLEAN, FORCED):
            return True
        logger.warning(
            "The worker has ended (%s); it starts again when a file changes.",
            f"exit code {code}" if code >= 0 else signal.Signals(-code).name,
        )
        return False

    def _look(self) -> None:
        changed = differences(self._files, changed_at(self._folders))
        if not changed:
            return
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        logger.info("%s%s changed; the worker starts anew.", os.path.relpath(changed[0]), more)
        self._reloading = True
        self._pushes = list(PUSHES) if self._child is not None else []
        self._push_at = clock.monotonic()

    def _push(self) -> None:
        """Press a child that is to be replaced, more and more."""
        if self._pushes and clock.monotonic() >= self._push_at:
            number, wait = self._pushes.pop(0)
            self._push_at = clock.monotonic() + wait
            self._send(number)

    def _send(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send_signal(number)


def follow() -> bool:
    """Say whether another process watches this one; if so, stop when that one is gone."""
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return False
    link = socket.socket(fileno=int(number))
    link.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_await_end, args=(link,), name="watched", daemon=True).start()
    return True


def heed(stop: Callable[[], object], *, watched: bool) -> None:
    """Let signals call `stop`: those that people send, or those of a process that watches.

    A SIGTERM to the whole group reaches a watched process twice and counts once.
    """
    if not watched:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop())
        return
    first = [stop]
    signal.signal(signal.SIGTERM, lambda *_: first.pop()() if first else None)
    signal.signal(HURRY, lambda *_: stop())


def _await_end(link: socket.socket) -> None:
    with suppress(OSError):
        link.recv(1)
    logger.warning("The process that watches the code is gone; the worker stops.")
    os.kill(os.getpid(), signal.SIGTERM)
