"""What workers do for batches: count the jobs that have ended, and act on what that leads to.

All in the transaction of the event that says so, under the lock of the batch's row: whoever
finishes a batch writes its callbacks with that, so that nobody else ever does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from django_jobs.batches.blocks import is_open
from django_jobs.engines.base import Engine
from django_jobs.engines.batches import Standing, Trouble
from django_jobs.engines.events import End
from django_jobs.enqueueing import insert
from django_jobs.states import IfFailed, State

SUCCESS, FAILURE, FINISH = "success", "failure", "finish"
"""The ends of a batch for which jobs can be declared."""


class Verdict(Enum):
    """What is to be done about an unfinished batch."""

    WAIT = "wait"
    CALL_BACK = "call back"
    LET_GO = "let go"
    """The parent runs."""
    FAIL = "fail"
    """The parent fails."""
    CLOSE = "close"
    """The parent was cancelled or is gone: nobody waits any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What settling did: queues with work, jobs not counted yet, whether parents have ended."""

    queues: frozenset[str] = frozenset()
    busy: frozenset[int] = frozenset()
    told: bool = False


def verdict(standing: Standing) -> Verdict:
    """Return what is to be done about a batch; of several troubles the one that fails comes first."""
    if standing.parent_id is None:
        return Verdict.WAIT if standing.pending > 0 else Verdict.CALL_BACK
    if not standing.parent_waits:
        return Verdict.CLOSE
    policies = {trouble.policy for trouble in standing.troubles}
    if IfFailed.FAIL in policies:
        return Verdict.FAIL
    if IfFailed.CONTINUE in policies or standing.pending <= 0:
        return Verdict.LET_GO
    return Verdict.WAIT


def settle(
    engine: Engine,
    states: Mapping[int, State],
    ends: Mapping[int, End],
    now: datetime | None = None,
) -> Outcome:
    """Count the jobs of `states` in their batches, and do what is to be done then; never waits."""
    settled = engine.settle(states) if states else None
    if settled is None or not (settled.standings or settled.busy):
        return Outcome()
    done = conclude(engine, settled.standings, ends, now)
    return Outcome(done.queues, settled.busy, done.told)


def conclude(
    engine: Engine,
    standings: Iterable[Standing],
    ends: Mapping[int, End],
    now: datetime | None = None,
) -> Outcome:
    """Finish those of these batches that are to be finished; their rows are locked."""
    verdicts = {each: verdict(_as_it_is(engine, each)) for each in standings}
    over = [each for each, what in verdicts.items() if what is not Verdict.WAIT]
    if not over:
        return Outcome()
    engine.finish_batches([each.batch_id for each in over], now)
    queues: set[str] = set()
    for each in over:
        if verdicts[each] is Verdict.CALL_BACK:
            queues |= _call_back(engine, each)
    go = [each.parent_id for each in over if verdicts[each] is Verdict.LET_GO and each.parent_id]
    queues |= engine.let_go(go, now) if go else set()
    fail = {
        each.parent_id: _reason(each, ends)
        for each in over
        if verdicts[each] is Verdict.FAIL and each.parent_id
    }
    if fail:
        engine.fail_waiting(fail, now)
    return Outcome(frozenset(queues), told=bool(fail))


def repair(engine: Engine, limit: int, now: datetime | None = None) -> Outcome:
    """Finish batches that ought to have finished."""
    with engine.undoable():
        return conclude(engine, engine.stalled_batches(limit), {}, now)


def _as_it_is(engine: Engine, standing: Standing) -> Standing:
    """Return where a batch stands whose block may be open: then there is more to come."""
    if not is_open(engine.connection, standing.batch_id):
        return standing
    return standing._replace(pending=max(standing.pending, 1))


def _call_back(engine: Engine, standing: Standing) -> set[str]:
    """Write the jobs that come after a batch; return their queues."""
    well = not (standing.failed or standing.cancelled)
    callbacks = engine.callbacks_of(standing.batch_id, (SUCCESS if well else FAILURE, FINISH))
    if not callbacks:
        return set()
    written = insert(engine, [callback.job for callback in callbacks])
    pairs = zip(callbacks, written, strict=True)
    engine.note_called({callback.id: handle.id for callback, handle in pairs if handle.id})
    return {callback.job.queue for callback in callbacks}


def _reason(standing: Standing, ends: Mapping[int, End]) -> str:
    """Return why a parent fails: the child, and what became of it."""
    fatal = [each for each in standing.troubles if each.policy is IfFailed.FAIL]
    return "\n".join(_told(trouble, ends.get(trouble.job_id)) for trouble in fatal)


def _told(trouble: Trouble, end: End | None) -> str:
    child = f"child #{trouble.job_id} ({trouble.name.rpartition('.')[2]})"
    if end is None:
        return f"{child} was deleted"
    if trouble.state is State.CANCELLED:
        return f"{child} was cancelled"
    return f"{child} failed: {end.error_type}: {end.error}"
