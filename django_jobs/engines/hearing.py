"""What hears of new jobs, where the database can tell."""

from abc import ABC, abstractmethod


class Listener(ABC):
    """Hears that jobs were enqueued. A hint only: losing one costs latency, never a job.

    `tells_of_stops`: whether it hears, too, that running jobs were asked to stop.
    """

    tells_of_stops = True

    @abstractmethod
    def wait(self, timeout: float) -> set[str]:
        """Return the queues heard of within `timeout` seconds; empty when there was nothing."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Notify everybody, this listener included, on the listener's own connection."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""
