"""Conditions in the words of an index, so that every database sees that the index has the rows."""

from typing import Any

from django.db.models import Q, Value

from django_jobs.states import LIVE, State


class Word(Value):
    """A state that stands in the statement itself, not beside it as a parameter.

    SQLite takes a partial index for `IN (…)` only where it reads the very words of the index.
    """

    def as_sql(self, _compiler: Any, _connection: Any) -> tuple[str, tuple[str | int, ...]]:
        """Return the word in quotation marks; it is one of ours."""
        return f"'{State(self.value).value}'", ()


def in_due_index() -> Q:
    """Return the condition of the index of jobs that are scheduled or wait."""
    return Q(state__in=[Word(State.SCHEDULED), Word(State.WAITING)])


def in_unique_index() -> Q:
    """Return the condition of the index of keys that no second live job may carry."""
    return Q(state__in=[Word(state) for state in sorted(LIVE)], unique_key__isnull=False)
