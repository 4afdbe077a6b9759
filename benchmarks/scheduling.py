"""What schedules cost: the look for due ones among 10,000, and dealing with them."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from statistics import median

from django.db import connection

from benchmarks import rows
from benchmarks.figures import Figure
from benchmarks.scale import Scale
from django_jobs import clock
from django_jobs.engines import get_engine
from django_jobs.models import Schedule
from django_jobs.schedules import Ticker

MOST_MILLISECONDS = 20.0
JOB = "benchmarks.jobs.nothing"


def measure(scale: Scale) -> Iterator[Figure]:
    """Give the figures."""
    engine, names = get_engine("default"), {JOB}
    _fill(scale.schedules, timedelta(hours=1))
    yield Figure(
        name=f"look for the next of {scale.schedules:,} schedules",
        unit="ms",
        ours=_milliseconds(lambda: engine.next_due(names), scale),
        baseline=_milliseconds(_bare_query, scale),
        against="SELECT 1 on the same connection",
        aim=MOST_MILLISECONDS,
        aim_on_ours=True,
    )
    yield Figure(
        name=f"deal with one due schedule of {scale.due:,}",
        unit="ms",
        ours=median(_deal(scale) for _ in range(scale.rounds)),
    )


def _fill(count: int, away: timedelta) -> None:
    rows.empty()
    now = clock.now()
    Schedule.objects.bulk_create(
        (
            Schedule(
                name=f"schedule {number}",
                job_name=JOB,
                cron="0 * * * *",
                created_at=now,
                next_run_at=now + away,
            )
            for number in range(count)
        ),
        batch_size=500,
    )


def _milliseconds(call: Callable[[], object], scale: Scale) -> float:
    took = []
    for _ in range(20 * scale.rounds):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return 1000 * median(took)


def _bare_query() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def _deal(scale: Scale) -> float:
    """Return the milliseconds per schedule when all of them are due at once."""
    _fill(scale.due, timedelta())
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    Schedule.objects.update(next_run_at=hour)
    began = time.perf_counter()
    ticker, done = Ticker(), 0
    while dealt := ticker.run(get_engine("default")):
        done += len(dealt)
    assert done == scale.due
    return 1000 * (time.perf_counter() - began) / scale.due
