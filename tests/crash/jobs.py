"""The jobs of the crash tests. Workers find them because `AUTODISCOVER` names this module."""

import asyncio
import ctypes
import os
import resource
import signal
import threading
import time
from functools import partial
from pathlib import Path

from django_jobs import Event, JobContext, job
from django_jobs.engines.orm.settling import Settling
from django_jobs.engines.orm.ticking import TickVerbs
from django_jobs.models import Queue
from django_jobs.states import State
from tests.crash.conditions import until
from tests.crash.gaps import GAPS
from tests.crash.ledger import VARIABLE, Ledger, note

FOREVER = 600.0
DIE_IN_TICK = "die-in-tick"
DIE_IN_BATCH = "die-in-batch"
"""Files beside the ledger: a worker that starts meanwhile dies in its first tick, or when it finishes
its first batch, before the commit."""


def _dying_in_batch(write):
    def finish_batches(self, batch_ids, now=None):
        write(self, batch_ids, now)
        os.kill(os.getpid(), signal.SIGKILL)

    return finish_batches


def _is_to_die(place):
    return VARIABLE in os.environ and Path(os.environ[VARIABLE]).with_name(place).exists()


def _dying(write):
    def tick(self, tickings, now=None):
        write(self, tickings, now)
        if tickings:
            os.kill(os.getpid(), signal.SIGKILL)

    return tick


if _is_to_die(DIE_IN_TICK):
    TickVerbs.tick = _dying(TickVerbs.tick)
if _is_to_die(DIE_IN_BATCH):
    Settling.finish_batches = _dying_in_batch(Settling.finish_batches)


@job
def effect(context: JobContext, seconds: float = 0.0) -> None:
    """Have one effect that takes a while."""
    note("begin", context.job_id, context.attempt)
    time.sleep(seconds)
    note("end", context.job_id, context.attempt)


@job
def gather(context: JobContext) -> None:
    """Be the parent of a flow: note how many children have ended well when it runs."""
    well = [child for child in context.children() if child.state == State.SUCCESSFUL]
    note("begin", context.job_id, len(well))


@job
def walk(context: JobContext, steps: int) -> None:
    """Go through steps with effects outside and inside the database, by turns."""
    for number in range(steps):
        if number % 2:
            context.step.atomic(f"book {number}", book, context.job_id, number)
        else:
            context.step.run(f"send {number}", note, "begin", context.job_id, number)
        note("end", context.job_id, number)


@job
def tread(context: JobContext, steps: int) -> None:
    """Do what `walk` does, and tell `GAPS` how far it is."""
    for number in range(steps):
        name = step_name(number)
        GAPS.come_to(name)
        if number % 2:
            context.step.atomic(name, book_both, context.job_id, number)
        else:
            context.step.run(name, send, context, number)
        note("end", context.job_id, number)
    GAPS.come_to("")


@job
async def atread(context: JobContext, steps: int) -> None:
    """Do what `tread` does, as an async job."""
    for number in range(steps):
        name = step_name(number)
        GAPS.come_to(name)
        if number % 2:
            await context.step.aatomic(name, book_both, context.job_id, number)
        else:
            await context.step.arun(name, send, context, number)
        note("end", context.job_id, number)
    GAPS.come_to("")


def step_name(number):
    """Return the name of a step of `walk` and its like."""
    return f"book {number}" if number % 2 else f"send {number}"


def send(context, number):
    """Have an effect outside the database, under a key."""
    GAPS.before("effect")
    note("begin", context.job_id, number, context.idempotency_key)


def book_both(job_id, number):
    """Have two effects in the database."""
    note("begin", job_id, number)
    book(job_id, f"{number}a")
    book(job_id, f"{number}b")


@job(atomic=True)
def settle(context: JobContext) -> None:
    """Have all effects in the database, and a successor, in one commit."""
    note("begin", context.job_id, context.attempt)
    book(context.job_id, 0)
    effect.enqueue()
    note("end", context.job_id, context.attempt)


def book(job_id, number):
    """Have an effect in the database."""
    Queue.objects.create(name=f"{job_id}/{number}/{time.monotonic_ns()}")


@job
def stroll(context: JobContext, steps: int) -> None:
    """Go through many short steps."""
    for number in range(steps):
        context.step.run(f"pace {number}", pace, context.job_id, number)


def pace(job_id, number):
    """Take a moment."""
    note("begin", job_id, number)
    time.sleep(0.02)


@job
def stumble(context: JobContext, steps: int) -> None:
    """Die in each step when it is first called."""
    for number in range(steps):
        context.step.run(f"stone {number}", trip, context.job_id, number)


def trip(job_id, number):
    """Die, but not twice."""
    before = Ledger(Path(os.environ[VARIABLE])).begins(job_id)
    note("begin", job_id, number)
    if number not in {entry.attempt for entry in before}:
        os.kill(os.getpid(), signal.SIGKILL)


@job
def await_word(context: JobContext, number: int) -> int:
    """Wait for the word with this number; have an effect then."""
    note("begin", context.job_id, 0)
    match = {"number": number}
    word = context.step.wait_for_event("word", "word", match=match, timeout=FOREVER, lookback=60)
    assert word is not None
    assert word.data == match
    context.step.run("answer", note, "end", context.job_id, word.id)
    return int(word.id or 0)


@job(on="word")
def overhear(context: JobContext, event: Event) -> None:
    """Hear every word."""
    note("begin", context.job_id, event.data["number"])
    note("end", context.job_id, event.data["number"])


@job
def ask_all(context: JobContext, number: int, children: int) -> list[int]:
    """Let others count, side by side; return what they say."""
    note("begin", context.job_id, 0)
    step = context.step
    found = step.parallel(
        *(
            partial(step.invoke, f"child {one}", count_on, 10 * number, one)
            for one in range(children)
        )
    )
    note("end", context.job_id, 0)
    return found


@job
def count_on(context: JobContext, start: int, more: int) -> int:
    """Return a number, and take a moment for it."""
    note("begin", context.job_id, start + more)
    time.sleep(0.02)
    note("end", context.job_id, start + more)
    return start + more


@job
def hold(context: JobContext, gate: str) -> None:
    """Run until the file `gate` exists, whoever asks to stop."""
    note("begin", context.job_id, context.attempt)
    until(Path(gate).exists, within=FOREVER)
    note("end", context.job_id, context.attempt)


@job
def heed(context: JobContext) -> None:
    """Run until asked to stop."""
    note("begin", context.job_id, context.attempt)
    until(context.should_stop, within=FOREVER)
    note("end", context.job_id, context.attempt)


@job
async def drowse(context: JobContext) -> None:
    """Wait, as an async job, until it is interrupted."""
    note("begin", context.job_id, context.attempt)
    await asyncio.sleep(FOREVER)


@job
def cling(context: JobContext, gate: str) -> None:
    """Run until `gate` exists, and leave a thread behind that keeps the process from ending."""
    note("begin", context.job_id, context.attempt)
    threading.Thread(target=until, args=(Path(gate).exists, FOREVER), daemon=False).start()
    until(Path(gate).exists, within=FOREVER)


@job
def leave(context: JobContext, exit_code: int) -> None:
    """End the process at once, without a word."""
    note("begin", context.job_id, context.attempt)
    os._exit(exit_code)


@job
def kill_itself(context: JobContext) -> None:
    """Die as from the out-of-memory killer."""
    note("begin", context.job_id, context.attempt)
    os.kill(os.getpid(), signal.SIGKILL)


@job
def segfault(context: JobContext) -> None:
    """Read memory that is not there."""
    note("begin", context.job_id, context.attempt)
    ctypes.string_at(0)


@job(max_attempts=1)
def eat_memory(context: JobContext) -> None:
    """Ask for more memory than the process may have."""
    note("begin", context.job_id, context.attempt)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, before[1]))
    try:
        bytearray(16 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
