"""Owns the wait before the next attempt. Pure: an attempt goes in, seconds come out."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

LONGEST_WAIT = 100 * 365 * 86400.0

BackoffFunction = Callable[[BaseException, int], float | timedelta]
"""A user's own rule: (exception, attempt that failed) → seconds, or a timedelta."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff: `first · factor^(attempt−1)`, at most `cap`, plus jitter.

    `first` and `cap` are timedeltas or seconds (defaults: 15 s and 1 h), `factor` defaults
    to 2. Jitter is additive, between 0 and `jitter` (default 0.2) of the wait, so that jobs
    that failed together do not come back together. The jitter is drawn after the cap.
    Raises ValueError for a negative wait, a factor below 1 or a jitter outside 0 … 1.
    """

    first: float | timedelta = 15.0
    factor: float = 2.0
    cap: float | timedelta = 3600.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if as_seconds(self.first) < 0 or as_seconds(self.cap) < 0:
            raise ValueError("Backoff: first and cap must not be negative.")
        if self.factor < 1:
            raise ValueError(f"Backoff: factor must be at least 1, got {self.factor}.")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"Backoff: jitter must be between 0 and 1, got {self.jitter}.")

    def __call__(self, exception: BaseException, attempt: int) -> float:
        """Return the seconds to wait after `attempt` failed with `exception`."""
        del exception  # a BackoffFunction gets it; this one does not care
        return self.base(attempt) * (1 + random.random() * self.jitter)  # noqa: S311 - no secret

    def base(self, attempt: int) -> float:
        """Return the wait without jitter, in seconds."""
        cap = as_seconds(self.cap)
        try:
            wait = as_seconds(self.first) * self.factor ** (attempt - 1)
        except OverflowError:
            return cap
        return min(wait, cap)


def as_seconds(wait: float | timedelta) -> float:
    """Return `wait` in seconds."""
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def bounded(seconds: float) -> float:
    """Return a wait that every database can add to its clock; not a number means none."""
    return min(max(0.0, seconds), LONGEST_WAIT)
