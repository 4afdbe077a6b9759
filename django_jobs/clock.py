"""The only reader of time. Everybody else asks here, so that tests can stop the clock.

Production code passes `now_or_none()` to an engine: `None` means "the database's clock".
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta


class Clock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        return datetime.now(UTC)

    def now_or_none(self) -> datetime | None:
        """Return the frozen instant in a test, else `None`: the database decides."""
        return None

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        time.sleep(seconds)


class FrozenClock(Clock):
    """A clock that stands still until it is told to move."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("A frozen clock needs an aware datetime.")
        self._at = at.astimezone(UTC)
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return the frozen instant."""
        return self._at

    def now_or_none(self) -> datetime | None:
        """Return the frozen instant, so that the database uses it, too."""
        return self._at

    def monotonic(self) -> float:
        """Return the seconds by which the clock was moved."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Return at once; the frozen instant is `seconds` later."""
        self.advance(timedelta(seconds=seconds))

    def advance(self, by: timedelta) -> None:
        """Move the clock on (or back) by `by`."""
        self._at += by
        self._elapsed += max(by.total_seconds(), 0.0)


_clock: Clock = Clock()


def now() -> datetime:
    """Return the current instant, aware, in UTC."""
    return _clock.now()


def now_or_none() -> datetime | None:
    """Return the frozen instant in a test, `None` in production."""
    return _clock.now_or_none()


def monotonic() -> float:
    """Return seconds that never run backwards."""
    return _clock.monotonic()


def sleep(seconds: float) -> None:
    """Return after `seconds`."""
    _clock.sleep(seconds)


@contextmanager
def use(clock: Clock) -> Iterator[Clock]:
    """Make `clock` the clock of this process inside the block."""
    global _clock  # noqa: PLW0603 - one clock per process is the point of this module
    before, _clock = _clock, clock
    try:
        yield clock
    finally:
        _clock = before


@contextmanager
def frozen(at: datetime) -> Iterator[FrozenClock]:
    """Freeze the clock of this process at `at` inside the block."""
    clock = FrozenClock(at)
    with use(clock):
        yield clock
