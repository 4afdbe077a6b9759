"""For the tests of a project: run its jobs here and now, on the test's own connection.

`run_jobs()` works inside `TestCase`, where no worker could see the uncommitted jobs.
"""

from collections import deque
from collections.abc import Collection
from datetime import datetime

from django_jobs import clock, registry
from django_jobs.clock import FrozenClock, frozen
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.base import ClaimedJob, Engine, Finish, Report
from django_jobs.events import Relay
from django_jobs.exceptions import JobNotFound
from django_jobs.schedules import Ticker
from django_jobs.states import RunOutcome, after_run
from django_jobs.worker.execution import make_context, run_sync

__all__ = ["FrozenClock", "frozen", "run_jobs"]

WORKER = "run_jobs"
PAGE = 100
LIMIT = 10_000


def run_jobs(
    *,
    queues: Collection[str] | None = None,
    now: datetime | None = None,
    until_empty: bool = True,
    raise_errors: bool = False,
    schedules: bool = False,
) -> list[RunOutcome]:
    """Run the jobs that are due, in this thread, and return how each run ended, in order.

    `queues`: only these (default: all). `now`: pretend it is this instant, so that retries and
    delayed jobs up to then run (default: the present, or the frozen clock). `until_empty`: go
    on with jobs that were enqueued by jobs (default), else run only what is due at the start.
    `raise_errors`: raise what a job raised, after its end was written. `schedules`: let those
    that are due enqueue their jobs first, as a worker would (default: no). Raises JobNotFound for
    a job whose name nobody declares, and RuntimeError when jobs never come to an end.
    """
    if now is not None:
        with frozen(now):
            return run_jobs(
                queues=queues,
                until_empty=until_empty,
                raise_errors=raise_errors,
                schedules=schedules,
            )
    engine = get_engine(get_settings().DATABASE)
    outcomes: list[RunOutcome] = []
    ticker = Ticker()
    while schedules and ticker.run(engine):
        pass  # it ends early rather than hold a worker up
    while claimed := _claim_all(engine, queues):
        _run_all(engine, claimed, outcomes, raise_errors=raise_errors)
        if not until_empty:
            break
        if len(outcomes) > LIMIT:
            raise RuntimeError(f"{LIMIT:,} runs and still not empty: do jobs enqueue each other?")
    return outcomes


def _claim_all(engine: Engine, queues: Collection[str] | None) -> list[ClaimedJob]:
    """Hand out what was sent and what has ended, as a worker has by then; claim what is ready."""
    relay = Relay()
    while relay.run(engine).more:
        pass
    claimed: list[ClaimedJob] = []
    while page := _claim(engine, queues):
        claimed += page
    return claimed


def _run_all(
    engine: Engine, claimed: list[ClaimedJob], outcomes: list[RunOutcome], *, raise_errors: bool
) -> None:
    left = deque(claimed)
    try:
        while left:
            outcomes.append(_run(engine, left.popleft(), raise_errors=raise_errors))
    finally:
        engine.release([job.hold for job in left], now=clock.now_or_none())
        engine.close(sorted({job.claim_id for job in claimed}))


def _claim(engine: Engine, queues: Collection[str] | None) -> list[ClaimedJob]:
    now = clock.now_or_none()
    while engine.promote(PAGE, now) - {Engine.EVENTS} or engine.release_held(PAGE, now)[0]:
        pass
    return engine.claim(queues, PAGE, WORKER, get_settings().LEASE, now=now)


def _run(engine: Engine, job: ClaimedJob, *, raise_errors: bool) -> RunOutcome:
    if registry.find(job.name) is None:
        engine.release([job.hold], now=clock.now_or_none())
        raise JobNotFound(f"Job #{job.id} wants {job.name}, which nobody declares.")
    context, began = make_context(job, WORKER), clock.monotonic()
    with engine.kept():
        transition = after_run(run_sync(job, context))
    ended = clock.monotonic()
    progress = context.take_progress()
    if progress is not None:
        engine.report([Report(job.hold, *progress)], clock.now_or_none())
    finish = Finish(job.hold, transition, ended - began, 0.0, context.log_tail)
    engine.finish([finish], WORKER, clock.now_or_none())
    if raise_errors and context.error is not None:
        raise context.error
    return transition.outcome
