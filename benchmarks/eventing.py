"""What events cost: sending one, the way to a step that waits, many jobs woken at one instant."""

import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from statistics import median
from typing import Any

from django.db import connection
from django.db.models import Max

from benchmarks import idling, rows
from benchmarks.figures import Figure, in_turn, percentile
from benchmarks.jobs import await_word, glance, nap
from benchmarks.scale import Scale
from benchmarks.workers import wait_for, worker
from django_jobs import clock, send_event
from django_jobs.models import Event, Job, JobRun, JobStep, Wait
from django_jobs.subscriptions import Match

MOST_SHARE = 0.5
HOUR = timedelta(hours=1)
INSERT = """
    INSERT INTO django_jobs_event (
        name, data, sent_at, is_repeated, is_heard, started, woken, problem)
    VALUES ('silence', '{"number": 1}', %s, false, true, '[]', 0, '')
"""


def measure(vendor: str, scale: Scale) -> Iterator[Figure]:
    """Give the figures."""
    for name, listeners in (("silence", "nobody"), ("bench/heard", "one job")):
        ours, raw = in_turn(
            scale.rounds,
            partial(_microseconds, partial(_send, name), scale.single // 2),
            partial(_microseconds, _insert, scale.single // 2),
        )
        yield Figure(
            name=f"send_event() that {listeners} hears",
            unit="µs",
            ours=ours,
            baseline=raw,
            against="one raw INSERT of such a row, in autocommit",
        )
    took = [each for _ in range(scale.rounds) for each in _latency(scale)]
    for label, share in (("p50", 0.5), ("p95", 0.95)):
        yield Figure(
            name=f"send_event() to the step that goes on, idle worker, {label}",
            unit="ms",
            ours=percentile(took, share),
        )
    yield from _crowds(scale)
    yield from _waiters(vendor, scale)


def _crowds(scale: Scale) -> Iterator[Figure]:
    ways = (
        ("a sleep that is over", nap, lambda: Job.objects.update(run_at=clock.now())),
        ("one event", await_word, lambda: send_event("word")),
    )
    for how, definition, wake in ways:
        ours, plain = in_turn(
            scale.rounds,
            partial(_drain, scale.sleepers, definition, wake),
            partial(_drain, scale.sleepers, glance, _make_ready),
        )
        yield Figure(
            name=f"drain of {scale.sleepers:,} jobs woken by {how}, 1 process",
            unit="jobs/s",
            ours=ours,
            baseline=plain,
            against="the same with jobs that have no steps and read one row: made ready by an UPDATE",
            more_is_better=True,
        )


def _waiters(vendor: str, scale: Scale) -> Iterator[Figure]:
    pairs = [
        tuple(
            idling.idle(scale, [], listen=True, prepare=prepare)
            for prepare in (partial(_fill, scale.sleepers), rows.empty)
        )
        for _ in range(scale.rounds)
    ]
    what = [(1, "processor", "% of a core", MOST_SHARE)]
    if vendor == "postgresql":
        what.append((0, "transactions, quietest round", "a second", None))
    for place, name, unit, aim in what:
        ours, bare = ([pair[which][place] for pair in pairs] for which in (0, 1))
        choose = median if place else min
        yield Figure(
            name=f"idle worker beside {scale.sleepers:,} waiting jobs: {name}",
            unit=unit,
            ours=choose(each for each in ours if each is not None),
            baseline=choose(each for each in bare if each is not None),
            against="an idle worker beside no job",
            aim=aim,
            aim_on_ours=True,
        )


def _send(name: str) -> None:
    send_event(name, {"number": 1})


def _insert() -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [str(clock.now())])


def _microseconds(call: Callable[[], None], count: int) -> float:
    rows.empty()
    call()
    began = time.perf_counter()
    for _ in range(count):
        call()
    return 1_000_000 * (time.perf_counter() - began) / count


def _latency(scale: Scale) -> list[float]:
    """Return the milliseconds from the call to the job's first line after its step."""
    rows.empty()
    sent: dict[int, float] = {}
    with worker():
        for number in range(scale.pickups):
            await_word.enqueue(number)
        wait_for(lambda: Wait.objects.count() == scale.pickups, "the waits")
        wait_for(lambda: not Job.objects.exclude(state="WAITING").exists(), "the jobs to wait")
        time.sleep(scale.settle)
        for number in range(scale.pickups):
            time.sleep(random.uniform(*scale.gap))
            sent[number] = time.time()
            send_event("word", {"number": number})
        wait_for(lambda: JobRun.objects.count() == scale.pickups, "the jobs")
    runs = JobRun.objects.values_list("job__args", "result")
    return [1000 * (at - sent[args[0]]) for args, at in runs]


def _make_ready() -> None:
    Job.objects.update(state="READY", run_at=clock.now())


def _fill(count: int, definition: Any = await_word) -> None:
    """Write `count` jobs that wait for one event, or sleep, or will be ready."""
    rows.empty()
    now, match = clock.now(), Match.of([])
    fields = {"name": definition.name, "run_at": now + HOUR, "enqueued_at": now}
    steps = definition is not glance
    Job.objects.bulk_create(
        (Job(**fields, args=[None], state="WAITING", has_steps=steps) for _ in range(count)),
        batch_size=1000,
    )
    ids = list(Job.objects.values_list("pk", flat=True)) if steps else []
    state = "sleeping" if definition is nap else "waiting"
    step = {"key": "word", "position": 1, "state": state, "claim_id": 0}
    JobStep.objects.bulk_create(
        (JobStep(job_id=pk, wake_at=now + HOUR, finished_at=now, **step) for pk in ids),
        batch_size=1000,
    )
    wait = {"event": "word", "fields": match.fields, "digest": match.digest, "since": now}
    waits = (Wait(job_id=pk, key="word", **wait) for pk in ids if definition is await_word)
    Wait.objects.bulk_create(waits, batch_size=1000)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE)")


def _drain(count: int, definition: Any, wake: Callable[[], object]) -> float:
    """Return jobs per second from the instant of waking to the end of the last one."""
    _fill(count, definition)
    if definition is nap:
        JobStep.objects.update(wake_at=clock.now())
    with worker():
        began = clock.now()
        wake()
        wait_for(lambda: not Job.objects.exclude(state="SUCCESSFUL").exists(), "the drain", 0.1)
    ended = JobRun.objects.aggregate(ended=Max("finished_at"))["ended"]
    assert not Event.objects.exclude(problem="").exists()
    return float(count / ((ended - began) / timedelta(seconds=1)))
