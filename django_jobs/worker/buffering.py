"""How many jobs to claim: enough that short jobs flow, no more than free places for long ones.

Pure arithmetic over what the worker has seen; knows no database and no pool.
"""

from collections import deque

from django_jobs import clock

WINDOW = 0.1
STUCK_AFTER = 0.5
MOST = 500
SMOOTHING = 0.2
NEARLY_NONE, NEARLY_ALL = 0.01, 0.99


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
        self._moved_at = 0.0

    def ended(self, count: int) -> None:
        """Take note that `count` jobs have ended now."""
        if count:
            self._moved_at = clock.monotonic()
            self._ends.append((self._moved_at, count))

    def claimed(self, count: int, async_count: int) -> None:
        """Take note of a claim of `count` jobs, `async_count` of them async."""
        if count:
            self._moved_at = clock.monotonic()
            share = async_count / count
            self._async_share += (share - self._async_share) * SMOOTHING
            if share == 1.0:
                self._async_share = 1.0

    def is_stuck(self, in_threads: int, in_loop: int) -> bool:
        """Say whether jobs wait behind others that turned out to take long.

        Nothing came or went for half a second although more jobs are held than have a place:
        another worker may have a free one.
        """
        if clock.monotonic() - self._moved_at < STUCK_AFTER:
            return False
        return in_threads > self._threads or in_loop > self._async_slots

    @property
    def buffer(self) -> int:
        """How many jobs to hold beyond the free places."""
        since = clock.monotonic() - WINDOW
        while self._ends and self._ends[0][0] < since:
            self._ends.popleft()
        return min(2 * sum(count for _, count in self._ends), MOST)

    def room(self, in_threads: int, in_loop: int) -> int:
        """Return how many jobs to claim when so many sync and async jobs are held."""
        buffer = self.buffer
        for_threads = max(self._threads + buffer - in_threads, 0)
        for_loop = max(self._async_slots + buffer - in_loop, 0)
        share = self._async_share
        if share >= NEARLY_ALL:
            return for_loop
        if share <= NEARLY_NONE:
            return for_threads
        return int(min(for_threads / (1 - share), for_loop / share))
