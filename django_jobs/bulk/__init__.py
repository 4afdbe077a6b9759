"""What an operator does to all jobs that fit a search.

`asking` says what it would mean, `starting` does it at once to a few and writes an operation on
record for many, `working` is the workers' part: page after page, each in a transaction.
"""

from django_jobs.bulk.asking import AT_ONCE, VERBS, Proposal, propose
from django_jobs.bulk.starting import Grown, carry_out, requested, start, start_retry, stop
from django_jobs.bulk.working import is_waiting, work

__all__ = [
    "AT_ONCE",
    "VERBS",
    "Grown",
    "Proposal",
    "carry_out",
    "is_waiting",
    "propose",
    "requested",
    "start",
    "start_retry",
    "stop",
    "work",
]
