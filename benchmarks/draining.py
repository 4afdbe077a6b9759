"""How fast jobs that do nothing are run: from the first run to the last, start-up excluded.

The workers are started on a paused queue, which is resumed when all of them are there. What is
counted begins when the last process has begun, so that a late one does not count against us.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from django.db.models import Count, Max, Min

from benchmarks import rows
from benchmarks.clients import clients as started
from benchmarks.figures import Figure, in_turn
from benchmarks.scale import Scale
from benchmarks.workers import resident, wait_for, worker
from django_jobs import operations
from django_jobs.models import Job, JobRun
from django_jobs.states import State

AIMS = {("postgresql", 2): 0.3, ("sqlite", 1): 0.15}
MOST_MEMORY = 70.0


def measure(vendor: str, scale: Scale) -> Iterator[Figure]:
    """Give the figures of one process and of two."""
    memory: list[float] = []
    for processes in (1, 2):
        ours, floor = in_turn(
            scale.rounds,
            partial(drain, processes, scale.drained, memory),
            partial(floor_of, processes, scale.drained),
        )
        plural = "es" if processes > 1 else ""
        yield Figure(
            name=f"drain, {processes} process{plural}",
            unit="jobs/s",
            ours=ours,
            baseline=floor,
            against=f"the raw drain floor with {processes} client{'s' if plural else ''}",
            aim=AIMS.get((vendor, processes)),
            more_is_better=True,
        )
    yield Figure(
        name=f"resident memory after a drain of {scale.drained:,} jobs",
        unit="MB",
        ours=max(memory, default=None),
        aim=MOST_MEMORY,
        aim_on_ours=True,
    )


def drain(processes: int, count: int, memory: list[float]) -> float:
    """Return jobs per second of a real worker; add its processes' memory to `memory`."""
    rows.fill(count)
    operations.pause_queue("default", by="benchmarks")
    with worker(processes) as pids:
        operations.resume_queue("default")
        wait_for(lambda: not Job.objects.filter(state=State.READY).exists(), "the drain", 0.1)
        wait_for(lambda: not _running(), "the last jobs", 0.1)
        memory += [size for pid in pids if (size := resident(pid)) is not None]
    return _rate()


def _running() -> bool:
    return Job.objects.filter(state=State.RUNNING).exists()


def _rate() -> float:
    by_worker = JobRun.objects.values("worker").annotate(first=Min("started_at"))
    began = max(each["first"] for each in by_worker)
    done = JobRun.objects.filter(finished_at__gt=began).aggregate(
        number=Count("id"), ended=Max("finished_at")
    )
    return float(done["number"] / ((done["ended"] - began) / timedelta(seconds=1)))


def floor_of(clients: int, count: int) -> float:
    """Return jobs per second of plain SQL by `clients` processes."""
    rows.fill(count)
    with started(clients, "drain") as running:
        for client in running:
            client.go()
        answers = [client.answer() for client in running]
    began = min(answer["began"] for answer in answers)
    ended = max(answer["ended"] for answer in answers)
    return float(sum(answer["count"] for answer in answers) / (ended - began))
