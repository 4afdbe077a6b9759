"""Counts and minima over the first rows of a query only: what many rows would cost is not paid.

Expressions for `annotate()` and `aggregate()`; the statement is the same on every database.
"""

from collections.abc import Sequence
from typing import Any

from django.db.models import Case, Count, Field, IntegerField, JSONField, QuerySet, Subquery, When
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


def rows_beside(rows: "QuerySet[Any, Any]", columns: Sequence[str]) -> Any:
    """Return rows of numbers and texts that may stand in an `aggregate()` about other rows."""
    always = GreaterThanOrEqual(Count("id"), 0)
    return Case(When(always, then=BoundedRows(rows, columns)), output_field=JSONField())


def beside(rows: "QuerySet[Any, Any]", column: str = "*") -> Any:
    """Return a bounded count that may stand in an `aggregate()` about other rows.

    An aggregate without rows is still one row, unlike an annotation, so nothing is lost when
    there are none; Django only wants to see that each of its expressions aggregates something.
    """
    return Count("id") * 0 + BoundedCount(rows, column)
