"""What a flow's parent is told of its children."""

from dataclasses import dataclass
from typing import Any

from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.states import State


@dataclass(frozen=True, slots=True)
class Child:
    """A child of a flow, as its parent sees it.

    `job_id`, `name` (the definition's), `state`, `result` (what it returned, `None` unless it was
    successful) and `error` (class and first line of the message, "" where there is none). Of a
    deleted job only the state is left: as it was counted.
    """

    job_id: int
    name: str
    state: State
    result: Any = None
    error: str = ""


def children_of(parent_id: int) -> list[Child]:
    """Return the children of that job, in the order in which they were added."""
    return [
        Child(
            row.job_id,
            row.name,
            row.state,
            row.result,
            f"{row.error_type}: {row.error}" if row.error_type else row.error,
        )
        for row in get_engine(get_settings().DATABASE).children_of(parent_id)
    ]
