"""What is counted of the runs that end: how many, how they ended, how long they waited and ran.

Times go into histograms of fixed buckets, each twice as wide as the one before, so that sums of
many counts still tell a percentile. Pure: no clock, no database.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

BUCKETS = 21
"""The first is for less than 10 ms, the last for 5,243 seconds (1 h 27 min) and more."""

FINEST = 0.01
COUNTS = ("succeeded", "failed", "retried", "cancelled", "put_off")
SUMS = ("wait_sum", "run_sum")
WAITS = tuple(f"wait_{number}" for number in range(BUCKETS))
RUNS = tuple(f"run_{number}" for number in range(BUCKETS))

MINUTE = 60
"""Seconds."""

HOUR = 60
"""Minutes."""


class Figures:
    """Numbers of runs that have ended, and the sums and histograms of their times in seconds.

    `succeeded`, `failed` and `cancelled`: for good. `retried`: the job is tried again. `put_off`:
    it goes on later, at no cost: snoozed, suspended, handed back.
    """

    __slots__ = (*COUNTS, *SUMS, "runs", "waits")

    def __init__(self) -> None:
        self.succeeded = self.failed = self.retried = self.cancelled = self.put_off = 0
        self.wait_sum = self.run_sum = 0.0
        self.waits = [0] * BUCKETS
        self.runs = [0] * BUCKETS

    @property
    def finished(self) -> int:
        """How many jobs ended well or failed for good."""
        return self.succeeded + self.failed

    @property
    def ended(self) -> int:
        """How many runs ended, in whatever way."""
        return self.finished + self.retried + self.cancelled + self.put_off

    @property
    def failure_rate(self) -> float | None:
        """The share of failures in what finished; `None` when nothing did."""
        return self.failed / self.finished if self.finished else None

    def add(self, other: "Figures") -> None:
        """Add the numbers of `other`."""
        for name in (*COUNTS, *SUMS):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.waits = [one + more for one, more in zip(self.waits, other.waits, strict=True)]
        self.runs = [one + more for one, more in zip(self.runs, other.runs, strict=True)]

    def as_row(self) -> tuple[float | None, ...]:
        """Return the values of `COLUMNS`; an empty bucket is `None` and takes no room."""
        numbers = [getattr(self, name) for name in (*COUNTS, *SUMS)]
        return (*numbers, *(number or None for number in (*self.waits, *self.runs)))

    @classmethod
    def from_row(cls, row: Sequence[float | None]) -> "Figures":
        """Return what `as_row` gave, or a sum of such rows."""
        figures, first = cls(), len(COUNTS) + len(SUMS)
        for name, value in zip((*COUNTS, *SUMS), row, strict=False):
            setattr(figures, name, value or 0)
        figures.waits = [int(number or 0) for number in row[first : first + BUCKETS]]
        figures.runs = [int(number or 0) for number in row[first + BUCKETS :]]
        return figures


COLUMNS = (*COUNTS, *SUMS, *WAITS, *RUNS)


class Counted(NamedTuple):
    """What is to be added: the figures of one job in one queue in one minute since 1970."""

    minute: int
    queue: str
    name: str
    figures: Figures


def bucket(seconds: float) -> int:
    """Return the number of the bucket for a time; a negative one counts as none."""
    return min(int(max(seconds, 0.0) / FINEST).bit_length(), BUCKETS - 1)


def floor(number: int) -> float:
    """Return the shortest time, in seconds, that falls into a bucket."""
    return FINEST * 2 ** (number - 1) if number else 0.0


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Return the time below which `share` of the counted lie, in seconds; `None` for none.

    Within a bucket times are taken as evenly spread, so it is off by less than a factor of two;
    in the last one, which has no end, it is the bucket's begin.
    """
    wanted, seen = sum(counts) * share, 0
    for number, count in enumerate(counts):
        if count and seen + count >= wanted:
            low = floor(number)
            if number == BUCKETS - 1:
                return low
            return low + (floor(number + 1) - low) * max(wanted - seen, 0) / count
        seen += count
    return None


def total(parts: Iterable[Figures]) -> Figures:
    """Return the sum of `parts`."""
    whole = Figures()
    for part in parts:
        whole.add(part)
    return whole
