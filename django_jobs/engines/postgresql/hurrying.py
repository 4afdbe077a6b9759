"""Reads that must not take long: `hasty`. The limit travels with the first statement."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.db import DatabaseError, transaction

from django_jobs.engines.postgresql.sessions import Session

CANCELED = "57014"


class Hurrying(Session):
    """The verb for people who wait for a page."""

    LIMIT = "SET LOCAL statement_timeout = {milliseconds:d}; SET LOCAL jit = off"
    """JIT compiles for longer than these statements run, if their bounds are few in many rows."""

    @contextmanager
    def hasty(self, seconds: float) -> Iterator[None]:
        """Open a transaction in which no statement takes longer."""
        connection = self.connection
        if connection.in_atomic_block:
            yield
            return
        limit = self.LIMIT.format(milliseconds=max(round(seconds * 1000), 1))
        with transaction.atomic(using=self.alias):
            if connection.settings_dict["OPTIONS"].get("server_side_binding"):
                # Such a session takes one statement at a time.
                with connection.cursor() as cursor:
                    cursor.execute(limit)
                passenger: Any = nullcontext()
            else:
                passenger = connection.execute_wrapper(Passenger(limit))
            with passenger:
                yield

    def is_too_slow(self, error: DatabaseError) -> bool:
        """Say whether a statement was ended by that limit."""
        return getattr(error.__cause__, "sqlstate", None) == CANCELED


class Passenger:
    """Puts statements before the first one of a transaction: one round trip for all."""

    def __init__(self, statement: str) -> None:
        self._statement = statement

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: Any, context: Any
    ) -> Any:
        """Run `sql`, the first time with the others before it."""
        if not self._statement or many:
            return execute(sql, params, many, context)
        statement, self._statement = self._statement, ""
        found = execute(f"{statement}; {sql}", params, many, context)
        for _ in statement.split(";"):
            context["cursor"].nextset()
        return found
