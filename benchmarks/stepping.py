"""What steps cost: one beside a raw INSERT, the way back into a job, jobs that sleep."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from statistics import median

from django.db import connection, transaction

from benchmarks import idling, rows
from benchmarks.figures import Figure, in_turn
from benchmarks.jobs import nothing
from benchmarks.scale import Scale
from django_jobs import clock
from django_jobs.engines import get_engine
from django_jobs.engines.base import Hold
from django_jobs.models import Job
from django_jobs.steps import Steps

MOST_TRANSACTIONS = 2.0
RATE = "transactions, quietest round", "a second", min
INSERT = """
    INSERT INTO django_jobs_job_step (
        job_id, key, position, state, result, attempts, error_type, error,
        started_at, finished_at, claim_id)
    VALUES (%s, %s, %s, 'done', '7', 1, '', '', %s, %s, 0)
"""


def measure(scale: Scale) -> Iterator[Figure]:
    """Give the figures."""
    count = scale.steps
    ours, raw = in_turn(scale.rounds, lambda: _steps("run", count), lambda: _inserts(count))
    yield Figure(
        name="step.run of a function that does nothing",
        unit="µs",
        ours=ours,
        baseline=raw,
        against="one raw INSERT of such a row, in autocommit",
    )
    ours, raw = in_turn(scale.rounds, lambda: _steps("atomic", count), lambda: _writes(count))
    yield Figure(
        name="step.atomic with one write",
        unit="µs",
        ours=ours,
        baseline=raw,
        against="the same write in a transaction of its own",
    )
    hold = _job()
    _call(Steps("steps", hold), "run", count)
    ours, raw = in_turn(10 * scale.rounds, lambda: _again(hold, count), lambda: _select(hold))
    yield Figure(
        name=f"go through {count:,} finished steps again",
        unit="ms",
        ours=ours,
        baseline=raw,
        against="one raw SELECT of these rows",
    )
    yield from _sleepers(scale)


def _sleepers(scale: Scale) -> Iterator[Figure]:
    def fill() -> None:
        rows.fill(scale.sleepers)
        wake = clock.now() + timedelta(hours=6)
        Job.objects.update(state="WAITING", run_at=wake, waiting_for='step "nap"')

    pairs = [
        tuple(idling.idle(scale, [], listen=True, prepare=how) for how in (fill, rows.empty))
        for _ in range(scale.rounds)
    ]
    for place, what, unit, choose in ((1, "processor", "% of a core", median), (0, *RATE)):
        ours, bare = ([pair[which][place] for pair in pairs] for which in (0, 1))
        if None in (*ours, *bare):
            continue
        is_rate = place == 0
        yield Figure(
            name=f"idle worker beside {scale.sleepers:,} sleeping jobs: {what}",
            unit=unit,
            ours=choose(ours),
            baseline=choose(bare),
            against="an idle worker beside no job",
            aim=MOST_TRANSACTIONS if is_rate else None,
            aim_on_ours=is_rate,
        )


def _job() -> Hold:
    rows.empty()
    nothing.enqueue()
    (claimed,) = get_engine("default").claim(None, 1, "benchmark", 3600.0)
    return claimed.hold


def _steps(verb: str, count: int) -> float:
    steps = Steps("steps", _job())
    steps.run("first", int)  # it marks the job, which no other does
    return _microseconds(lambda: _call(steps, verb, count - 1), count - 1)


def _call(steps: Steps, verb: str, count: int) -> None:
    call = getattr(steps, verb)
    function = int if verb == "run" else rows.insert
    for number in range(count):
        call(f"step {number}", function, number)


def _inserts(count: int) -> float:
    job, now = _job().job_id, clock.now()

    def insert() -> None:
        for number in range(count):
            with connection.cursor() as cursor:
                cursor.execute(INSERT, (job, f"step {number}", number, str(now), str(now)))

    return _microseconds(insert, count)


def _writes(count: int) -> float:
    _job()

    def write() -> None:
        for number in range(count):
            with transaction.atomic():
                rows.insert(number)

    return _microseconds(write, count)


def _again(hold: Hold, count: int) -> float:
    steps = Steps("steps", hold, has_steps=True)
    return _microseconds(lambda: _call(steps, "run", count), 1000)


def _select(hold: Hold) -> float:
    def select() -> None:
        with connection.cursor() as cursor:
            columns = "key, state, position, result, attempts, error_type, error, wake_at"
            table = "django_jobs_job_step"
            cursor.execute(f"SELECT {columns} FROM {table} WHERE job_id = %s", [hold.job_id])
            cursor.fetchall()

    return _microseconds(select, 1000)


def _microseconds(call: Callable[[], None], count: int) -> float:
    began = time.perf_counter()
    call()
    return 1_000_000 * (time.perf_counter() - began) / count
