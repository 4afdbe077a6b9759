"""Opens a screen again and again, and tells how long that took and what was asked."""

import math
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

from django.db import connection
from django.test import Client

from benchmarks.screens.places import Place

WARM_UP = 3
NOT_OURS = ("django_session", "auth_user")
AIMS = {"postgresql": 150.0, "sqlite": 200.0}
"""Milliseconds that p95 may take."""


@dataclass(slots=True)
class Statement:
    """One statement of a request, and how long it took, in milliseconds."""

    sql: str
    params: Any
    took: float


@dataclass(slots=True)
class Look:
    """The times of one screen in milliseconds, and the statements of one more request."""

    place: Place
    times: list[float] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """The median."""
        return median(self.times)

    @property
    def p95(self) -> float:
        """The time that 95 % of the requests did not exceed: of 20 the last but one."""
        return sorted(self.times)[math.ceil(0.95 * len(self.times)) - 1]

    @property
    def is_good(self) -> bool:
        """Whether it reached the aim."""
        return self.p95 < AIMS[connection.vendor]

    @property
    def queries(self) -> int:
        """How many statements were ours: not those that find out who looks."""
        return sum(not any(name in one.sql for name in NOT_OURS) for one in self.statements)

    @property
    def slowest(self) -> Statement:
        """The statement that took longest."""
        return max(self.statements, key=lambda one: one.took)


def look(client: Client, place: Place, requests: int) -> Look:
    """Open a screen so many times; raises AssertionError where it does not come."""
    found = Look(place)
    warm_up = min(WARM_UP, requests)
    for number in range(warm_up + requests):
        begin = perf_counter()
        response = client.get(place.address)
        took = (perf_counter() - begin) * 1_000
        assert response.status_code in {200, 286, 503}, (place, response.status_code)
        if number >= warm_up:
            found.times.append(took)
    with connection.execute_wrapper(_Watcher(found.statements)):
        client.get(place.address)
    return found


class _Watcher:
    """Notes each statement. SQLite reads rows only when they are fetched, so there it is run twice."""

    def __init__(self, statements: list[Statement]) -> None:
        self._statements = statements

    def __call__(self, execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        begin = perf_counter()
        if connection.vendor == "sqlite" and sql.startswith("SELECT"):
            _raw(sql, params)
            took = perf_counter() - begin
            found = execute(sql, params, many, context)
        else:
            found = execute(sql, params, many, context)
            took = perf_counter() - begin
        self._statements.append(Statement(sql, params, took * 1_000))
        return found


def _raw(sql: str, params: Any, before: str = "") -> list[Any]:
    text = (sql.replace("%s", "?") if params else sql).replace("%%", "%")
    rows: list[Any] = connection.connection.execute(before + text, params or ()).fetchall()
    return rows


def plan(statement: Statement) -> str:
    """Return how the database carries out a statement, as it says itself."""
    if connection.vendor == "sqlite":
        rows = _raw(statement.sql, statement.params, "EXPLAIN QUERY PLAN ")
        return "\n".join(row[3] for row in rows)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {statement.sql}", statement.params)
        return "\n".join(line for (line,) in cursor.fetchall())
