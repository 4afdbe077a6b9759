"""Counts and minima over the first rows of a query only: what many rows would cost is not paid.

Expressions for `annotate()` and `aggregate()`; the statement is the same on every database.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import (
    Case,
    Count,
    Field,
    Func,
    IntegerField,
    JSONField,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.lookups import GreaterThanOrEqual


class BoundedCount(Subquery):
    """How many rows a sliced query has, or has a value of `column` in.

    It may refer to the outer query's row.
    """

    template = "(SELECT count(%(column)s) FROM (%(subquery)s) AS bounded)"

    def __init__(self, rows: "QuerySet[Any, Any]", column: str = "*") -> None:
        super().__init__(rows, output_field=IntegerField(), column=column)


class BoundedMin(Subquery):
    """The least value of the one column of a sliced query."""

    template = "(SELECT min(%(column)s) FROM (%(subquery)s) AS bounded)"

    def __init__(
        self, rows: "QuerySet[Any, Any]", column: str, output_field: "Field[Any, Any]"
    ) -> None:
        super().__init__(rows.values(column), output_field=output_field, column=column)


class BoundedRows(Subquery):
    """The rows of a query that has few, as one list of lists; `None` or empty when it has none."""

    template = "(SELECT json_arrayagg(json_array(%(columns)s)) FROM (%(subquery)s) AS bounded)"

    def __init__(self, rows: "QuerySet[Any, Any]", columns: Sequence[str]) -> None:
        named = ", ".join(f"bounded.{name}" for name in columns)
        super().__init__(rows.values(*columns), output_field=JSONField(), columns=named)

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        """Use PostgreSQL's own names."""
        build = "(SELECT jsonb_agg(jsonb_build_array(%(columns)s)) FROM (%(subquery)s) AS bounded)"
        return self.as_sql(compiler, connection, template=build)

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:
        """Use SQLite's own names."""
        build = "(SELECT json_group_array(json_array(%(columns)s)) FROM (%(subquery)s) AS bounded)"
        return self.as_sql(compiler, connection, template=build)


class BoundedGroups(Subquery):
    """The rows of a sliced query, by groups that are equal in `keys`, as one list of lists.

    Of each group: its keys, how many rows it has, and with `at`, an instant, the least and the
    greatest of it, and the `id` of the row that has the greatest. Instants are texts.
    """

    template = (
        "(SELECT %(gather)s(%(listed)s(%(columns)s)) FROM (SELECT %(figures)s FROM (%(subquery)s) "
        "AS bounded GROUP BY %(keys)s) AS grouped)"
    )

    def __init__(self, rows: "QuerySet[Any, Any]", keys: Sequence[str], at: str = "") -> None:
        self._keys, self._at = keys, at
        needed = (*keys, "id", at) if at else keys
        super().__init__(rows.values(*needed), output_field=JSONField())

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        """Use PostgreSQL's own names."""
        newest = f"(array_agg(bounded.id ORDER BY bounded.{self._at} DESC, bounded.id DESC))[1]"
        words = {"gather": "jsonb_agg", "listed": "jsonb_build_array"}
        return self.as_sql(compiler, connection, **words, **self._parts(newest))

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:
        """Use SQLite's own names; it has no aggregates in an order, so a text carries the id."""
        number = "substr('0000000000000000000' || bounded.id, -20)"
        newest = f"CAST(substr(max(bounded.{self._at} || {number}), -20) AS INTEGER)"
        words = {"gather": "json_group_array", "listed": "json_array"}
        return self.as_sql(compiler, connection, **words, **self._parts(newest))

    def _parts(self, newest: str) -> dict[str, str]:
        figures = {name: f"bounded.{name}" for name in self._keys} | {"number": "count(*)"}
        if self._at:
            least, greatest = (f"{word}(bounded.{self._at})" for word in ("min", "max"))
            figures |= {"least": least, "greatest": greatest, "newest": newest}
        return {
            "columns": ", ".join(f"grouped.{name}" for name in figures),
            "figures": ", ".join(f"{text} AS {name}" for name, text in figures.items()),
            "keys": ", ".join(f"bounded.{name}" for name in self._keys),
        }


class EstimatedRows(Func):
    """About how many rows a table has, as the database's own statistics say; NULL where none do.

    Nothing is counted, and no row is read.
    """

    template = (
        "(SELECT nullif(reltuples, -1)::bigint FROM pg_class "
        "WHERE oid = to_regclass(%(expressions)s))"
    )
    """PostgreSQL's catalogue; a table that was never analyzed has -1 there."""

    def __init__(self, table: str) -> None:
        super().__init__(Value(table), output_field=IntegerField())

    def as_sqlite(self, *_context: Any, **_more: Any) -> Any:
        """Say that nothing is known: SQLite has no such figure."""
        return "(SELECT NULL)", ()


def estimate_beside(model: Any) -> Any:
    """Return how many rows a table has, about; may stand in an `aggregate()` about other rows."""
    return Count(Value(1)) * 0 + EstimatedRows(model._meta.db_table)


def as_instant(text: str) -> datetime:
    """Return an instant out of such a list; SQLite keeps UTC, and does not say so."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def groups_beside(rows: "QuerySet[Any, Any]", keys: Sequence[str], at: str = "") -> Any:
    """Return the groups that a sliced query has; may stand in an `aggregate()` about other rows."""
    return _aggregated(BoundedGroups(rows, keys, at))


def rows_beside(rows: "QuerySet[Any, Any]", columns: Sequence[str]) -> Any:
    """Return rows of numbers and texts that may stand in an `aggregate()` about other rows."""
    return _aggregated(BoundedRows(rows, columns))


def _aggregated(found: Subquery) -> Any:
    always = GreaterThanOrEqual(Count(Value(1)), 0)
    return Case(When(always, then=found), output_field=JSONField())


def beside(rows: "QuerySet[Any, Any]", column: str = "*") -> Any:
    """Return a bounded count that may stand in an `aggregate()` about other rows.

    An aggregate without rows is still one row, unlike an annotation, so nothing is lost when
    there are none; Django only wants to see that each of its expressions aggregates something.
    """
    return Count(Value(1)) * 0 + BoundedCount(rows, column)
