"""Sync and async jobs in one worker: neither kind keeps the other waiting."""

import asyncio

from django_jobs import enqueue, enqueue_many, job
from django_jobs.states import State
from tests.jobs import add
from tests.worker.making import states


def test_long_jobs_in_all_threads_keep_no_async_job_waiting(bench, gate, gated):
    @job(name="tests.quick")
    async def quick():
        return 1

    enqueue_many(gated, [()] * 3)
    one = bench(threads=2)
    one.drive(lambda: len(one.log.events) == 2)
    handle = enqueue(quick)
    one.drive(lambda: handle.refresh().status is State.SUCCESSFUL)
    assert states() == ["READY", "RUNNING", "RUNNING", "SUCCESSFUL"]


def test_long_jobs_in_all_places_of_the_loop_keep_no_other_job_waiting(bench, gate):
    @job(name="tests.slow")
    async def slow():
        while not gate.is_set():  # noqa: ASYNC110 - the gate is a thread's
            await asyncio.sleep(0.005)

    enqueue_many(slow, [()] * 5)
    one = bench(async_slots=4)
    one.drive(lambda: len(one.log.events) == 4)
    handle = enqueue(add, 1)
    one.drive(lambda: handle.refresh().status is State.SUCCESSFUL)
    assert states() == ["READY"] + ["RUNNING"] * 4 + ["SUCCESSFUL"]
    gate.set()
    one.drain()


def test_a_worker_that_knew_async_jobs_only_keeps_few_others_from_its_neighbours(
    bench, gate, gated
):
    @job(name="tests.quick")
    async def quick():
        return 1

    one = bench(threads=2, async_slots=40)
    enqueue_many(quick, [()] * 3)
    one.drain()
    enqueue_many(gated, [()] * 40)
    one.drive(lambda: len(one.coordinator._pending.released) > 0)
    assert states().count("RUNNING") == 40
    one.drive(lambda: states().count("READY") >= 36)
    assert states().count("RUNNING") <= 4
