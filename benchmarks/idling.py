"""What a worker costs that has nothing to do: transactions, processor time, memory."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

from django.db import connection

from benchmarks import rows
from benchmarks.figures import Figure
from benchmarks.scale import Scale
from benchmarks.workers import processor_seconds, resident, worker

MOST_MEMORY = 70.0

BARE = """
import sys, django
django.setup()
from django.db import connection
connection.ensure_connection()
print("ready", flush=True)
sys.stdin.readline()
"""


def measure(vendor: str, scale: Scale) -> Iterator[Figure]:
    """Give the figures of one process."""
    ways = [("NOTIFY", True), ("polling", False)] if vendor == "postgresql" else [("polling", True)]
    memory: list[float] = []
    bare: list[float] = []
    for way, listen in ways:
        costs = []
        for _ in range(scale.rounds):
            costs.append(idle(scale, memory, listen=listen))
            bare += _bare_process()
        transactions = [cost[0] for cost in costs if cost[0] is not None]
        shares = [cost[1] for cost in costs if cost[1] is not None]
        if transactions:
            yield Figure(
                name=f"idle worker, {way}: transactions, quietest round",
                unit="a second",
                ours=min(transactions),  # what else runs there, as autovacuum, only adds to it
            )
        yield Figure(
            name=f"idle worker, {way}: processor",
            unit="% of a core",
            ours=median(shares) if shares else None,
        )
    yield Figure(
        name="idle worker: resident memory",
        unit="MB",
        ours=median(memory) if memory else None,
        baseline=median(bare) if bare else None,
        against="a process that has set up Django, with one connection",
        aim=MOST_MEMORY,
        aim_on_ours=True,
    )


def idle(
    scale: Scale,
    memory: list[float],
    *,
    listen: bool,
    prepare: Callable[[], None] = rows.empty,
) -> tuple[float | None, float | None]:
    """Return transactions a second and the processor's share in percent; note its memory."""
    prepare()
    with worker(listen=listen) as (pid,):
        time.sleep(scale.settle)
        began, transactions, used = time.monotonic(), _transactions(), processor_seconds(pid)
        time.sleep(scale.idle)
        more, ended, used_then = _transactions(), time.monotonic(), processor_seconds(pid)
        if (size := resident(pid)) is not None:
            memory.append(size)
    seconds = ended - began
    rate = None if transactions is None or more is None else (more - transactions - 1) / seconds
    share = None if used is None or used_then is None else 100 * (used_then - used) / seconds
    return rate, share


def _transactions() -> int | None:
    """Return the number of the database's transactions, this one's included in the next."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database"
            " WHERE datname = current_database()"
        )
        number: int = cursor.fetchone()[0]
        return number


def _bare_process() -> list[float]:
    with subprocess.Popen(
        [sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        size = resident(process.pid)
        process.communicate("go\n")
    return [] if size is None else [size]
