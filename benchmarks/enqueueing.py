"""What it costs to enqueue: one by one, in one transaction, in bulk; time and processor."""

import time
from collections.abc import Callable, Iterator
from statistics import median

from django.db import transaction

from benchmarks import rows
from benchmarks.figures import Figure
from benchmarks.jobs import nothing
from benchmarks.scale import Scale
from django_jobs import enqueue, enqueue_many

SLICES = 10

Work = Callable[[int], object]


def measure(scale: Scale) -> Iterator[Figure]:
    """Give the figures."""
    raw = "a raw INSERT through Django's cursor"
    one, each_raw = _singly(lambda number: enqueue(nothing, number)), _singly(rows.insert)
    wall, processor = _both(scale.rounds, scale.single, one, each_raw)
    yield _figure("enqueue(), autocommit", wall, raw, aim=1.5)
    yield _figure("the same, processor of the caller", processor, raw, aim=1.5)
    wall, processor = _both(scale.rounds, scale.single, _atomic(one), _atomic(each_raw))
    yield _figure("enqueue() in one transaction", wall, f"{raw}, in one transaction")
    yield _figure("the same, processor of the caller", processor, f"{raw}, in one transaction")
    wall, processor = _both(
        scale.rounds,
        scale.bulk,
        lambda count: enqueue_many(nothing, [(number,) for number in range(count)]),
        _atomic(rows.insert_many),
    )
    yield _figure("enqueue_many()", wall, "executemany of that INSERT, in one transaction")
    yield _figure(
        "the same, processor of the caller",
        processor,
        "executemany of that INSERT, in one transaction",
    )


def _figure(
    name: str, pair: tuple[float, float], against: str, *, aim: float | None = None
) -> Figure:
    ours, baseline = pair
    return Figure(
        name=name, unit="µs a job", ours=ours, baseline=baseline, against=against, aim=aim
    )


def _singly(work: Work) -> Work:
    def run(count: int) -> None:
        for number in range(count):
            work(number)

    return run


def _atomic(work: Work) -> Work:
    def run(count: int) -> None:
        with transaction.atomic():
            work(count)

    return run


def _both(
    rounds: int, count: int, ours: Work, baseline: Work
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Measure both by turns; return (ours, baseline) of the wall's and the processor's clock."""
    for work in (ours, baseline):
        work(min(count, 50))  # statements are prepared, queues are known
    pairs = [_round(count, ours, baseline) for _ in range(rounds)]
    wall, processor = (
        (median(pair[0][clock] for pair in pairs), median(pair[1][clock] for pair in pairs))
        for clock in (0, 1)
    )
    return wall, processor


def _round(count: int, *works: Work) -> list[tuple[float, float]]:
    """Return (wall, processor) in µs a job for each of `works`.

    They take turns slice by slice, so that a busy neighbour meets all of them.
    """
    rows.empty()
    used = [(0.0, 0.0)] * len(works)
    for _ in range(SLICES):
        for index, work in enumerate(works):
            wall, processor = time.perf_counter(), time.process_time()
            work(count // SLICES)
            used[index] = (
                used[index][0] + time.perf_counter() - wall,
                used[index][1] + time.process_time() - processor,
            )
    return [(wall * 1e6 / count, processor * 1e6 / count) for wall, processor in used]
