"""What people wait for is read in two seconds a query, or is missing and said to be.

One transaction for all parts; after one that took too long the others get a new one.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from django.db import OperationalError

from django_jobs.engines import get_engine

LIMIT = 2.0
"""Seconds that one query may take, on PostgreSQL."""

Part = TypeVar("Part")


class TooSlow(Exception):
    """The database took longer than that."""


class Reading:
    """Reads one part after another; `slow`: those that took too long."""

    def __init__(self, alias: str) -> None:
        self.slow: set[str] = set()
        self._engine = get_engine(alias)
        self._joins = self._engine.connection.in_atomic_block
        self._around = self._engine.hasty(LIMIT)

    def __enter__(self) -> Self:
        self._around.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._around.__exit__(kind, error, trace)

    def part(self, name: str, read: Callable[[], Part]) -> Part | None:
        """Return what `read` reads, `None` when that takes too long."""
        try:
            return read()
        except OperationalError as error:
            if self._joins or not self._engine.is_too_slow(error):
                raise
            self.slow.add(name)
            self._around.__exit__(type(error), error, error.__traceback__)
            self._around = self._engine.hasty(LIMIT)
            self._around.__enter__()
            return None


def within_limit(alias: str, read: Callable[[], Part]) -> Part | None:
    """Return what `read` reads, `None` when one of its queries takes too long."""
    with Reading(alias) as reading:
        return reading.part("", read)
