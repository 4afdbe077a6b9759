"""Runs an atomic job: its effects, its end and all that it enqueued are one commit, or nothing."""

from collections.abc import Callable

from django.db import transaction

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.context import JobContext
from django_jobs.engines import get_engine
from django_jobs.engines.base import ClaimedJob, Finish
from django_jobs.states import Interrupted, Outcome, Succeeded, after_run


def run_atomically(
    claimed: ClaimedJob, context: JobContext, function: Callable[[], Outcome]
) -> Outcome:
    """Return the outcome of `function`; when it is a success, it is written already.

    The coordinator writes it again, as it does with every end, and is told that it is done. All
    that is no success is undone, and so is what was done for a job that is not ours any more.
    """
    engine = get_engine(get_settings().DATABASE)
    began = clock.monotonic()
    with engine.undoable():
        outcome = function()
        if isinstance(outcome, Succeeded):
            took = clock.monotonic() - began
            finish = Finish(claimed.hold, after_run(outcome), took, 0.0, context.log_tail)
            done = engine.finish([finish], context.worker, clock.now_or_none())
            if claimed.hold in done.applied:
                return outcome
            outcome = Interrupted()
        transaction.set_rollback(True, using=engine.connection.alias)
    return outcome
