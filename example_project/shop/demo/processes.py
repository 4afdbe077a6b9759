"""Starts the web server and the worker as one group of processes, and ends all of it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE = 40.0
"""Seconds that children have to stop by themselves: longer than the worker gives its jobs."""


class Stopped(Exception):
    """A signal asked the demo to end."""


class ChildDied(Exception):
    """A child process ended although nobody asked it to."""


class Group:
    """Child processes that live in one process group of their own.

    The terminal's Ctrl-C reaches only us, and each child hears of it once: a second signal
    would tell the worker to drop its jobs. Use as a context manager: at its end every child is
    gone. Signals that ask to end are noted; `wait_until()` then raises Stopped.
    """

    def __init__(self, manage: Path, environment: dict[str, str]) -> None:
        self._manage = manage
        self._environment = environment
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._kept: dict[str, tuple[str, ...]] = {}
        self._logs: dict[str, Path] = {}
        self._leader: int | None = None
        self._asked = 0
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Self:
        self._handlers = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)  # type: ignore[arg-type]

    def start(
        self, name: str, *arguments: str, log: Path | None = None, again: bool = False
    ) -> None:
        """Start `manage.py` with `arguments`; its output goes to `log`, or to our screen.

        With `again`, one that has ended in good order is started anew, as systemd would do.
        """
        with _opened(log) as output:
            child = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, str(self._manage), *arguments],
                cwd=self._manage.parent,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output and subprocess.STDOUT,
                process_group=self._leader or 0,
            )
        self._leader = self._leader or child.pid
        self._children[name] = child
        if again:
            self._kept[name] = arguments
        if log:
            self._logs[name] = log

    def wait_until(self, condition: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait until `condition` holds; say whether it did within `seconds` (`None`: for ever).

        Raises ChildDied when a child ends meanwhile, Stopped when a signal asks us to end.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while not condition():
            if self._asked:
                raise Stopped
            self._look_after()
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def stop(self) -> dict[str, int]:
        """End all children, with force when they do not want to; return their exit codes."""
        heard = self._asked
        self._terminate()
        end = time.monotonic() + GRACE
        while self._running() and time.monotonic() < end:
            time.sleep(0.05)
            if self._asked > heard:  # an impatient second Ctrl-C
                heard = self._asked
                self._terminate()
        if self._leader is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, signal.SIGKILL)  # also the children's children
        self._leader = None
        return {name: child.wait() for name, child in self._children.items()}

    def last_words(self, name: str) -> str:
        """Return the end of what `name` wrote into its log."""
        path = self._logs.get(name)
        return path.read_text(errors="replace")[-2000:].strip() if path else ""

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1

    def _running(self) -> list[subprocess.Popen[bytes]]:
        return [child for child in self._children.values() if child.poll() is None]

    def _terminate(self) -> None:
        for child in self._running():
            child.terminate()

    def _look_after(self) -> None:
        for name, child in list(self._children.items()):
            code = child.poll()
            if code == 0 and name in self._kept:
                if not self._running():
                    self._leader = None  # with its last process a group is gone
                self.start(name, *self._kept[name], log=self._logs.get(name))
            elif code is not None:
                words = self.last_words(name)
                raise ChildDied(f"The {name} ended (exit code {code}).\n{words}".strip())


def _opened(log: Path | None) -> contextlib.AbstractContextManager[IO[bytes] | None]:
    return log.open("wb") if log else contextlib.nullcontext()
