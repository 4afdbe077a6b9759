"""How soon an idle worker starts a job: from the call of enqueue() to the job's first line."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection

from benchmarks import rows
from benchmarks.clients import clients
from benchmarks.figures import Figure, percentile
from benchmarks.jobs import stamp
from benchmarks.scale import Scale
from benchmarks.workers import wait_for, worker
from django_jobs import enqueue
from django_jobs.models import JobRun

POLL = 0.5
"""Seconds between two looks of the polling baseline: the longest pause of our worker."""

AIM = 10.0


def measure(vendor: str, scale: Scale) -> Iterator[Figure]:
    """Give p50 and p99, with NOTIFY where there is such a thing, and with polling."""
    ways = [("NOTIFY", 0.0), ("polling", POLL)] if vendor == "postgresql" else [("polling", POLL)]
    for way, poll in ways:
        ours: list[float] = []
        baseline: list[float] = []
        for _ in range(scale.rounds):
            ours += by_worker(scale, listen=not poll)
            baseline += by_client(scale, poll)
        against = f"one that looks every {POLL:g} s" if poll else "one that does LISTEN"
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            yield Figure(
                name=f"pick-up when idle, {way}, {name}",
                unit="ms",
                ours=percentile(ours, share),
                baseline=percentile(baseline, share),
                against=f"raw INSERT to a plain SQL client, {against}",
                aim=AIM if (way, name) == ("NOTIFY", "p50") else None,
                aim_on_ours=True,
            )


def by_worker(scale: Scale, *, listen: bool) -> list[float]:
    """Return the milliseconds to the start of each job in a worker with nothing else to do."""
    rows.empty()
    with worker(listen=listen):
        time.sleep(scale.settle)
        asked = _at_random(scale, lambda _: int(enqueue(stamp).id or 0))
        wait_for(lambda: JobRun.objects.count() == len(asked), "the jobs")
    started: Any = JobRun.objects.values_list("job_id", "result")
    return [(began - asked[job_id]) * 1000 for job_id, began in started]


def by_client(scale: Scale, poll: float) -> list[float]:
    """Return the same for a raw INSERT and a client of plain SQL."""
    rows.empty()
    with clients(1, "pick-up", str(scale.pickups), str(poll)) as running:
        running[0].go()
        time.sleep(0.5)
        asked = _at_random(scale, _insert_raw if poll else _insert_and_tell)
        taken = running[0].answer()["taken"]
    return [(at - asked[job_id]) * 1000 for job_id, at in taken]


def _at_random(scale: Scale, insert: Callable[[int], int]) -> dict[int, float]:
    asked: dict[int, float] = {}
    for number in range(scale.pickups):
        time.sleep(random.uniform(*scale.gap))
        now = time.time()
        asked[insert(number)] = now
    return asked


def _insert_raw(number: int) -> int:
    return rows.insert(number)


def _insert_and_tell(number: int) -> int:
    job_id = rows.insert(number)
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY django_jobs, 'default'")
    return job_id
