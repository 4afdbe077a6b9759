"""The part of the Engine seam that is about figures: its verbs, and what each promises."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django_jobs.tallies import COLUMNS, COUNTS, HOUR, RUNS, SUMS, WAITS, Counted, Figures


class TallyVerbs(ABC):
    """The verbs about figures."""

    @abstractmethod
    def add_tallies(self, counted: Sequence[Counted]) -> None:
        """Add figures to the rows of their minutes and hours, and to those of all jobs together.

        All of them are added, or none. Several sessions may add to the same rows at once: nothing
        is lost or counted twice. Who cannot know whether it was done must not do it again.
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
NAMES = (*KEY, *COLUMNS)
_ADDED = [f"{name} = django_jobs_tally.{name} + excluded.{name}" for name in (*COUNTS, *SUMS)] + [
    f"{name} = coalesce(django_jobs_tally.{name} + excluded.{name}, django_jobs_tally.{name}, "
    f"excluded.{name})"
    for name in (*WAITS, *RUNS)
]
INTO = f"django_jobs_tally ({', '.join(NAMES)})"
ON_CONFLICT = f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET {', '.join(_ADDED)}"
"""The parts of a statement that adds, the same on every database that knows them."""


def in_order(counted: Sequence[Counted]) -> list[tuple[Any, ...]]:
    """Return the rows to be added, of minutes and of hours, in the one order of all sessions.

    Two of them that meet at the same rows wait for each other, but never in a circle. Each minute
    and each hour has a row of all jobs together, too, without a queue or a name.
    """
    wholes: dict[int, Figures] = defaultdict(Figures)
    for each in counted:
        wholes[each.minute].add(each.figures)
    every = [*counted, *(Counted(minute, "", "", figures) for minute, figures in wholes.items())]
    rows: dict[tuple[int, int, str, str], Figures] = defaultdict(Figures)
    for each in every:
        for span in (1, HOUR):
            key = (span, each.minute - each.minute % span, each.queue, each.name)
            rows[key].add(each.figures)
    return [(*key, *figures.as_row()) for key, figures in sorted(rows.items(), key=_key)]


def _key(item: tuple[tuple[int, int, str, str], Figures]) -> tuple[int, int, str, str]:
    return item[0]
