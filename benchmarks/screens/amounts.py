"""How many rows of each kind there are, for a number of jobs."""

from dataclasses import dataclass

DAYS = 30
KINDS = 40
"""Errors by fingerprint."""

SUBJECTS = 40
"""Rows that jobs are about."""

TRIES = 20
STEPS = 200


@dataclass(frozen=True, slots=True)
class Amounts:
    """The numbers for `jobs` jobs; the rare states do not grow with a table that is full of the others.

    Besides these, one job in 83 was cancelled, and all others ended well.
    """

    jobs: int

    @property
    def failed(self) -> int:
        """Jobs that failed, 150 of them in the last minutes."""
        return min(30_000, self.jobs // 20)

    @property
    def ready(self) -> int:
        """Jobs that wait in a queue, among the newest."""
        return min(20_000, self.jobs // 20)

    @property
    def running(self) -> int:
        """Jobs in the hands of workers."""
        return min(200, self.jobs // 50)

    @property
    def scheduled(self) -> int:
        """Jobs for later, a third of them for another try."""
        return min(12_000, self.jobs // 40)

    @property
    def waiting(self) -> int:
        """Jobs that wait for an event."""
        return min(10_000, self.jobs // 50)

    @property
    def with_runs(self) -> int:
        """So many of the newest jobs have their run on record, and all that failed."""
        return min(1_000_000, self.jobs)

    @property
    def events(self) -> int:
        """Events."""
        return min(100_000, self.jobs)

    @property
    def many_tries(self) -> int:
        """The number of the job that was tried 20 times."""
        return self.jobs + 1

    @property
    def many_steps(self) -> int:
        """The number of the job that has 200 steps."""
        return self.jobs + 2

    def stride(self, number: int) -> int:
        """Return how far apart so many jobs are, spread over all."""
        return self.jobs // number
