"""When to look for jobs next. Decides only; the coordinator does the looking and waiting."""

from django_jobs import clock

AGAIN = 0.05
FIRST_IDLE = 0.02
LAST_IDLE = 0.5
LOOKS_AFTER_WAKING = 2
LOOKS_UNTIL_QUIET = 10
POLLS_UNTIL_QUIET = 120
"""After so many looks in vain, listening or polling, a worker looks less often: idle ones add up."""


class Rhythm:
    """The instants at which a worker looks for jobs, by the monotonic clock.

    With a listener an idle worker looks every `poll_interval` seconds, after ten looks in vain
    every two of them, as a net under lost wake-ups. Without one it looks every 20 ms, doubling to
    500 ms (or to `poll_interval`, if shorter), and after a minute in vain every two `poll_interval`.
    After a wake-up it looks every 50 ms until it has found nothing twice. `backlogged` says
    that the last look found all that it asked for.
    """

    def __init__(self, poll_interval: float) -> None:
        self._poll_interval = poll_interval
        self._empty_looks = 0
        self._next_look = 0.0
        self.listening = False
        self.backlogged = False
        self.wakes = 0

    @property
    def due(self) -> bool:
        """Whether it is time to look."""
        return clock.monotonic() >= self._next_look

    @property
    def wait(self) -> float:
        """Seconds until the next look."""
        return max(self._next_look - clock.monotonic(), 0.0)

    def found(self, count: int, asked: int) -> None:
        """Take note of a look that was to find `asked` jobs and found `count`."""
        self.backlogged = count >= asked
        if count >= asked:
            self._empty_looks = 0
            self._next_look = 0.0
            return
        self._empty_looks = 0 if count else self._empty_looks + 1
        self._next_look = clock.monotonic() + self._pause()

    def wake(self) -> None:
        """Look at once: somebody said that there is work."""
        self.wakes += 1
        self._empty_looks = 0
        self._next_look = 0.0

    def follow(self, other: "Rhythm") -> None:
        """Wake up when `other` was woken, and hear what it hears."""
        self.listening = other.listening
        if self.wakes != other.wakes:
            self.wake()
            self.wakes = other.wakes

    def _pause(self) -> float:
        if self._empty_looks < LOOKS_AFTER_WAKING:
            return min(AGAIN if self.listening else FIRST_IDLE, self._poll_interval)
        if self.listening:
            quiet = self._empty_looks >= LOOKS_UNTIL_QUIET
            return self._poll_interval * (2 if quiet else 1)
        if self._empty_looks >= POLLS_UNTIL_QUIET:
            return self._poll_interval * 2
        doubled = FIRST_IDLE * 2.0 ** min(self._empty_looks - 1, 16)
        return float(min(doubled, LAST_IDLE, self._poll_interval))
