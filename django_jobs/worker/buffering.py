"""How many jobs to claim: enough that short jobs flow, no more than free places for long ones.

Pure arithmetic over what the worker has seen; knows no database and no pool.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto

from django_jobs import clock

WINDOW = 0.1
STUCK_AFTER = 0.5
MOST = 500
SMOOTHING = 0.2
NEARLY_NONE, NEARLY_ALL = 0.01, 0.99


class Kind(Enum):
    """What kind of jobs to look for."""

    ANY = auto()
    SYNC = auto()
    ASYNC = auto()


class Appetite:
    """Learns from how fast jobs end, and how many of them are async, how many to hold.

    Beyond its free places a worker holds twice as many jobs as ended in the last 100 ms, at
    most 500: with short jobs the threads never wait for the database, with long ones nothing
    is kept from other workers.
    """

    def __init__(self, threads: int, async_slots: int) -> None:
        self._threads = threads
        self._async_slots = async_slots
        self._ends: deque[tuple[float, int]] = deque()
        self._async_share = 0.0
        self._threads_moved_at = self._loop_moved_at = 0.0

    def ended(self, count: int, async_count: int = 0) -> None:
        """Take note that `count` jobs have ended now, `async_count` of them async."""
        if count:
            self._moved(count, async_count)
            self._ends.append((clock.monotonic(), count))

    def claimed(self, count: int, async_count: int, kind: Kind = Kind.ANY) -> None:
        """Take note of a claim of `count` jobs, `async_count` of them async.

        A look for one kind of jobs only teaches nothing about what others there are.
        """
        self._moved(count, async_count)
        if count and kind is Kind.ANY:
            share = async_count / count
            self._async_share += (share - self._async_share) * SMOOTHING
            if share == 1.0:
                self._async_share = 1.0

    def is_stuck(self, in_threads: int, in_loop: int) -> bool:
        """Say whether jobs wait behind others that turned out to take long.

        Nothing came or went for half a second although more jobs are held than have a place:
        another worker may have a free one.
        """
        long_ago = clock.monotonic() - STUCK_AFTER
        threads = in_threads > self._threads and self._threads_moved_at <= long_ago
        return threads or (in_loop > self._async_slots and self._loop_moved_at <= long_ago)

    @property
    def buffer(self) -> int:
        """How many jobs to hold beyond the free places."""
        since = clock.monotonic() - WINDOW
        while self._ends and self._ends[0][0] < since:
            self._ends.popleft()
        return min(2 * sum(count for _, count in self._ends), MOST)

    def wish(self, in_threads: int, in_loop: int) -> tuple[Kind, int]:
        """Return what to claim, and how much, when so many sync and async jobs are held.

        Where one kind of places is full, the other kind's jobs are looked for alone: long jobs
        in the threads must not keep the loop empty, nor the other way round.
        """
        for_threads, for_loop = self._places(in_threads, in_loop)
        if for_threads and for_loop:
            return Kind.ANY, self._room(for_threads, for_loop)
        return (Kind.ASYNC, for_loop) if for_loop else (Kind.SYNC, for_threads)

    def surplus(self, in_threads: int, in_loop: int, claimed: Sequence[bool]) -> set[int]:
        """Return which of the `claimed` jobs (async or not) are more than this worker can use.

        A claim of any kind guesses how many of each come. A guess that was far off must not keep
        a hundred jobs from other workers; up to twice what runs at once may wait here.
        """
        for_threads, for_loop = self._places(in_threads, in_loop)
        left = {False: for_threads + self._threads, True: for_loop + self._async_slots}
        over = set()
        for place, is_async in enumerate(claimed):
            left[is_async] -= 1
            if left[is_async] < 0:
                over.add(place)
        return over

    def _places(self, in_threads: int, in_loop: int) -> tuple[int, int]:
        buffer = self.buffer
        for_threads = max(self._threads + buffer - in_threads, 0)
        return for_threads, max(self._async_slots + buffer - in_loop, 0)

    def _room(self, for_threads: int, for_loop: int) -> int:
        share = self._async_share
        if share >= NEARLY_ALL:
            return for_loop
        if share <= NEARLY_NONE:
            return for_threads
        return int(min(for_threads / (1 - share), for_loop / share))

    def _moved(self, count: int, async_count: int) -> None:
        now = clock.monotonic()
        if count > async_count:
            self._threads_moved_at = now
        if async_count:
            self._loop_moved_at = now
