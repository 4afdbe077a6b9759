"""Which batches have a block open on a connection: they are counted and finished by it alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper

OPEN = "_django_jobs_open_batches"
"""The attribute of a connection that has the numbers of these batches."""


@contextmanager
def outermost(connection: BaseDatabaseWrapper, batch_id: int) -> Iterator[bool]:
    """Be a block on this batch; say whether it is the outermost one, whoever opened it how."""
    if is_open(connection, batch_id):
        yield False
        return
    setattr(connection, OPEN, _opened(connection) | {batch_id})
    try:
        yield True
    finally:
        setattr(connection, OPEN, _opened(connection) - {batch_id})


def is_open(connection: BaseDatabaseWrapper, batch_id: int) -> bool:
    """Say whether a block on this batch is open."""
    return batch_id in _opened(connection)


def _opened(connection: BaseDatabaseWrapper) -> frozenset[int]:
    numbers: frozenset[int] = getattr(connection, OPEN, frozenset())
    return numbers
