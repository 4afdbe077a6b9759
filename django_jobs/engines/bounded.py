"""Counts and minima over the first rows of a query only: what many rows would cost is not paid.

Expressions for `annotate()` and `aggregate()`; the statement is the same on every database.
"""

from typing import Any

from django.db.models import Count, Field, IntegerField, QuerySet, Subquery


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


def beside(rows: "QuerySet[Any, Any]", column: str = "*") -> Any:
    """Return a bounded count that may stand in an `aggregate()` about other rows.

    An aggregate without rows is still one row, unlike an annotation, so nothing is lost when
    there are none; Django only wants to see that each of its expressions aggregates something.
    """
    return Count("id") * 0 + BoundedCount(rows, column)
