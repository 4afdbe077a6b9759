"""Runs an atomic job: its effects, its end and all that it enqueued are one commit, or nothing."""

import logging
from collections.abc import Callable

from django.db import transaction

from django_jobs import clock
from django_jobs.announcements import tell_of_events
from django_jobs.conf import get_settings
from django_jobs.context import JobContext
from django_jobs.engines import get_engine
from django_jobs.engines.base import ClaimedJob, Engine, Finish
from django_jobs.states import Interrupted, Outcome, Succeeded, after_run
from django_jobs.worker.failures import describe

logger = logging.getLogger("django_jobs")


def run_atomically(
    claimed: ClaimedJob, context: JobContext, function: Callable[[], Outcome]
) -> Outcome:
    """Return the outcome of `function`; when it is a success, it is written already.

    The coordinator writes it again, as it does with every end, and is told that it is done. All
    that is no success is undone, and so is what was done for a job that is not ours any more.
    """
    engine = get_engine(get_settings().DATABASE)
    began = clock.monotonic()
    written = False
    try:
        with engine.undoable():
            outcome = function()
            if isinstance(outcome, Succeeded):
                written = _write_end(engine, outcome, context, claimed, began)
            if not written:
                transaction.set_rollback(True, using=engine.connection.alias)
    except Exception as error:
        # A hook after the commit, or a commit whose reply was lost: look what is on record.
        if not written or engine.still_held([claimed.hold]):
            raise
        record = describe(error, claimed.name, context.secrets)
        text = "Job #%d (%s) is done; after its commit this was raised:\n%s"
        logger.error(text, claimed.id, claimed.name, record.traceback)  # noqa: TRY400 - masked
    else:
        if isinstance(outcome, Succeeded) and not written:
            return Interrupted()
    return outcome


def _write_end(
    engine: Engine, outcome: Succeeded, context: JobContext, claimed: ClaimedJob, began: float
) -> bool:
    """Write the end of the job; return whether it was still ours."""
    took = clock.monotonic() - began
    finish = Finish(claimed.hold, after_run(outcome), took, 0.0, context.log_tail)
    finished = engine.finish([finish], context.worker, clock.now_or_none())
    if finished.told:
        tell_of_events(engine.connection)
    return claimed.hold in finished.applied
