"""What a job leaves behind in its thread must not reach the next one: transactions, query logs."""

from django.db import close_old_connections, connections, reset_queries

from django_jobs.states import Outcome, Raised, Succeeded
from django_jobs.worker.failures import describe


class TransactionLeftOpen(Exception):
    """The job returned inside a transaction, so that what it wrote was rolled back."""


def clear_away() -> list[str]:
    """Make this thread's connections fit for the next job; return those left in a transaction.

    The next job would run inside it, and nothing that it writes would ever be committed.
    """
    reset_queries()  # with DEBUG each connection remembers 9,000 statements
    left_open = [one for one in connections.all(initialized_only=True) if one.in_atomic_block]
    for connection in left_open:
        connection.close()
        del connections[connection.alias]  # a closed one goes on believing in its transaction
    close_old_connections()
    return [connection.alias for connection in left_open]


def after_leaving(aliases: list[str], outcome: Outcome, job: str) -> Outcome:
    """Return how the run of `job` ended, which left transactions open on `aliases`."""
    if not aliases or not isinstance(outcome, Succeeded):
        return outcome
    error = TransactionLeftOpen(
        f"{job} returned inside a transaction on {' and '.join(aliases)}; what it wrote there was "
        "rolled back. Use transaction.atomic() as a decorator or in a with statement."
    )
    return Raised(describe(error, job))
