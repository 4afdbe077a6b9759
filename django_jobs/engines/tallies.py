"""The part of the Engine seam that is about figures: its verbs, and what each promises.

And the statement that adds: it is the same on every database that knows ON CONFLICT.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from django_jobs.tallies import COLUMNS, COUNTS, HOUR, RUNS, SUMS, WAITS, Counted


class TallyVerbs(ABC):
    """The verbs about figures."""

    @abstractmethod
    def add_tallies(self, counted: Sequence[Counted]) -> None:
        """Add figures to the rows of their minutes and hours, all or none of them.

        Several sessions may add to the same rows at once: nothing is lost or counted twice. Who
        cannot know whether it was done must not do it again.
        """

    @abstractmethod
    def prune_tallies(self, minutes_before: int, hours_before: int, limit: int) -> int:
        """Delete at most `limit` rows of minutes that began before, and as many of hours.

        Both instants are minutes since 1970. Never waits; writes nothing where nothing is old.
        """

    @abstractmethod
    def forget_releases(self, before: int, limit: int) -> int:
        """Forget versions first seen before, in minutes since 1970, that no worker has."""


KEY = ("span", "minute", "queue", "name")
_ADDED = [f"{name} = django_jobs_tally.{name} + excluded.{name}" for name in (*COUNTS, *SUMS)] + [
    f"{name} = coalesce(django_jobs_tally.{name} + excluded.{name}, django_jobs_tally.{name}, "
    f"excluded.{name})"
    for name in (*WAITS, *RUNS)
]
ADD_TALLIES = f"""
    INSERT INTO django_jobs_tally ({", ".join((*KEY, *COLUMNS))})
    VALUES ({", ".join(["%s"] * len((*KEY, *COLUMNS)))})
    ON CONFLICT ({", ".join(KEY)}) DO UPDATE SET {", ".join(_ADDED)}
"""  # noqa: S608 - names of our own columns


def in_order(counted: Sequence[Counted]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows to be added, of minutes and of hours, in the one order of all sessions.

    Two of them that meet at the same rows wait for each other, but never in a circle.
    """
    found = [
        (span, each.minute - each.minute % span, each.queue, each.name, each)
        for span in (1, HOUR)
        for each in counted
    ]
    for *key, each in sorted(found, key=lambda item: item[:4]):
        yield (*key, *each.figures.as_row())


class Upserting:
    """The verb that adds, for engines of databases that know ON CONFLICT."""

    connection: Any
    transaction: Any

    def add_tallies(self, counted: Sequence[Counted]) -> None:
        """Add figures to the rows of their minutes and hours."""
        with self.transaction(), self.connection.cursor() as cursor:
            cursor.executemany(ADD_TALLIES, list(in_order(counted)))
