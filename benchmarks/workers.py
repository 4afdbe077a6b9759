"""Real workers in processes of their own, started as a user starts them, and what they use."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django_jobs.models import Worker

DEADLINE = 120.0
PROC = Path("/proc")


def wait_for(condition: Callable[[], bool], what: str, pause: float = 0.02) -> None:
    """Return when `condition` holds; raises TimeoutError after two minutes."""
    until = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"Waited {DEADLINE:g} s for {what}.")
        time.sleep(pause)


@contextmanager
def worker(processes: int = 1, *, listen: bool = True) -> Iterator[list[int]]:
    """Run `runworker` with its defaults and its log in a file; give the job processes' ids."""
    before = set(Worker.objects.values_list("name", flat=True))
    command = [sys.executable, "-m", "django", "runworker", f"--processes={processes}"]
    environment = {**os.environ, "BENCH_LISTEN": "yes" if listen else "no"}
    log = Path(os.environ["BENCH_FOLDER"]) / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        wait_for(lambda: len(_arrived(before)) == processes, "the worker's processes")
        yield _arrived(before)
    finally:
        process.terminate()
        code = process.wait(DEADLINE)
    if code:
        raise RuntimeError(f"The worker ended with {code}:\n{log.read_text()[-2000:]}")


def _arrived(before: set[str]) -> list[int]:
    names = set(Worker.objects.values_list("name", flat=True)) - before
    return [int(name.rpartition(":")[2].partition("-")[0]) for name in names]


def resident(pid: int) -> float | None:
    """Return a process's resident memory in MB, `None` where the system does not tell."""
    status = PROC / str(pid) / "status"
    if not status.exists():
        return None
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def processor_seconds(pid: int) -> float | None:
    """Return the processor time that a process has used, `None` as above."""
    stat = PROC / str(pid) / "stat"
    if not stat.exists():
        return None
    ticks = stat.read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
