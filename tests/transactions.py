"""Transactions that tests need."""

from contextlib import contextmanager

from django.db import transaction


@contextmanager
def undone(using=None):
    """Roll back what the block did."""
    with transaction.atomic(using=using):
        yield
        transaction.set_rollback(True, using=using)
