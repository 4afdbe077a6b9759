"""Threads and one event loop: what starts, what ends, what can be taken back."""

import asyncio
import threading

import pytest

from django_jobs import job
from django_jobs.context import Ask
from django_jobs.engines.base import Hold
from django_jobs.states import Raised, Succeeded
from django_jobs.worker.holdings import Holdings
from django_jobs.worker.pools import AsyncPool, Board, Starter, ThreadPool
from tests.worker.making import Watcher, held, until

SIZE = 2


class Bench:
    """Both pools with what they report to, and a gate that holds jobs up."""

    def __init__(self):
        self.watcher, self.holdings = Watcher(), Holdings(60.0)
        self.cells = [0] * Board.size(2 * SIZE)
        self.gate = threading.Event()
        self.board = Board(self.cells, 2 * SIZE)
        self.starter = Starter(self.holdings, self.watcher, self.board)
        self.threads = ThreadPool(SIZE, self.starter, self.watcher)
        self.loop = AsyncPool(SIZE, SIZE, self.starter, self.watcher)
        self.threads.start()
        self.loop.start()

    def submit(self, pool, definition, numbers=(1,)):
        helds = [held(number, name=definition.name) for number in numbers]
        self.holdings.add(helds, asked_at=clock_now())
        for item in helds:
            pool.submit(item)
        return helds

    def ended(self, count):
        until(lambda: len(self.watcher.ended) >= count, f"{count} ended jobs")
        assert len(self.watcher.ended) == count
        return {item.held.claimed.id: item for item in self.watcher.ended}


def clock_now():
    from django_jobs import clock

    return clock.monotonic()


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.gate.set()
    bench.threads.stop(10)
    bench.loop.stop(10)
    assert not bench.watcher.crashes


@pytest.fixture(params=["threads", "loop"])
def pool(request, bench):
    """Each of the two pools."""
    return getattr(bench, request.param)


@pytest.fixture
def gated(bench, pool):
    """A job for the pool that waits at the gate."""
    if pool is bench.threads:

        @job(name="tests.gated")
        def gated():
            bench.gate.wait(20)
            return 1

    else:

        @job(name="tests.gated")
        async def gated():
            while not bench.gate.is_set():  # noqa: ASYNC110 - the gate is a thread's
                await asyncio.sleep(0.005)
            return 1

    return gated


def test_a_job_is_run_and_handed_on(bench, pool, gated):
    bench.gate.set()
    (item,) = bench.submit(pool, gated)
    ended = bench.ended(1)[1]
    assert ended.outcome == Succeeded("1")
    assert ended.held is item
    assert bench.watcher.started == [item]
    assert item.began is not None
    assert ended.ended >= item.began


def test_no_more_jobs_run_than_there_are_places(bench, pool, gated):
    bench.submit(pool, gated, range(1, 6))
    until(lambda: len(bench.watcher.started) == SIZE)
    bench.gate.set()
    assert set(bench.ended(5)) == set(range(1, 6))


def test_what_has_not_started_can_be_taken_back_and_never_starts(bench, pool, gated):
    bench.submit(pool, gated, range(1, 6))
    until(lambda: len(bench.watcher.started) == SIZE)
    taken = {item.claimed.id for item in pool.take_back()}
    bench.gate.set()
    assert taken.isdisjoint(bench.ended(SIZE))
    assert len(taken) == 3
    assert pool.take_back() == []


@pytest.mark.parametrize("ask", list(Ask))
def test_a_job_that_was_told_to_stop_before_its_start_does_not_start(bench, pool, gated, ask):
    bench.submit(pool, gated, range(1, SIZE + 1))
    until(lambda: len(bench.watcher.started) == SIZE)
    (late,) = bench.submit(pool, gated, [9])
    late.context.tell(ask)
    bench.gate.set()
    ended = bench.ended(SIZE + 1)
    assert (ended[9].outcome, ended[9].unknown) == (None, False)
    assert late not in bench.watcher.started


def test_a_job_whose_lease_may_have_run_out_does_not_start(bench, pool, gated):
    item = held(1, name=gated.name)
    bench.holdings.add([item], asked_at=clock_now() - 60 * 0.8)
    pool.submit(item)
    assert bench.ended(1)[1].outcome is None
    assert bench.watcher.started == []


def test_a_job_that_is_not_held_any_more_does_not_start(bench, pool, gated):
    pool.submit(held(1, name=gated.name))
    assert bench.ended(1)[1].outcome is None


def test_a_name_that_nobody_declares_is_reported_as_unknown(bench, pool):
    item = held(1, name="tests.unheard_of")
    bench.holdings.add([item], asked_at=clock_now())
    pool.submit(item)
    assert bench.ended(1)[1].unknown


def test_the_board_shows_what_runs_until_its_end_is_written(bench, pool, gated):
    bench.submit(pool, gated, [7])
    until(lambda: bench.watcher.started)
    assert Board(bench.cells).started() == {(7, 10)}
    bench.gate.set()
    bench.submit(pool, gated, [8])
    bench.ended(2)
    assert Board(bench.cells).started() == {(7, 10), (8, 10)}
    bench.board.forget([Hold(7, 10)])
    assert Board(bench.cells).started() == {(8, 10)}


def test_a_time_limit_sets_the_deadline_of_a_started_job(bench):
    @job(timeout=30)
    def limited():
        bench.gate.wait(20)

    (item,) = bench.submit(bench.threads, limited)
    until(lambda: bench.watcher.started)
    assert item.deadline == pytest.approx(item.began + 30)
    bench.gate.set()
    bench.ended(1)
    assert item.deadline is None


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, RecursionError])
def test_a_pool_outlives_what_a_job_raises(bench, pool, gated, kind):
    bench.gate.set()

    def act():
        raise kind("bye")

    async def async_act():
        raise kind("bye")

    bad = job(name="tests.bad")(act if pool is bench.threads else async_act)
    bench.submit(pool, bad, range(1, 6))
    bench.submit(pool, gated, [9])
    ended = bench.ended(6)
    assert ended[9].outcome == Succeeded("1")
    assert all(isinstance(ended[number].outcome, Raised) for number in range(1, 6))


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_the_loop_outlives_a_task_of_a_job_that_exits(bench, kind):
    @job(name="tests.spawns")
    async def spawns():
        async def act():
            await asyncio.sleep(0)
            raise kind("bye")

        await asyncio.create_task(act())

    @job(name="tests.after")
    async def after():
        await asyncio.sleep(0.01)
        return 1

    bench.submit(bench.loop, spawns, [1])
    bench.submit(bench.loop, after, [2])
    ended = bench.ended(2)
    assert ended[1].outcome.error.type == kind.__name__
    assert ended[2].outcome == Succeeded("1")


def test_a_job_that_cancels_every_task_it_finds_keeps_no_other_from_running(bench):
    @job(name="tests.cancels")
    async def cancels():
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    @job(name="tests.after")
    async def after():
        return 1

    bench.holdings.add(helds := [held(1, name=cancels.name), held(2, name=after.name)], clock_now())
    bench.loop._waiting.extend(helds)  # both become tasks before the first one runs
    bench.loop._running_loop().call_soon_threadsafe(bench.loop._fill)
    ended = bench.ended(2)
    assert (ended[1].outcome, ended[2].outcome) == (Succeeded(), None)
    bench.submit(bench.loop, after, [3, 4])
    assert bench.ended(4)[4].outcome == Succeeded("1")


def test_a_break_in_the_pool_itself_is_reported(bench, pool, gated, monkeypatch):
    def broken(*_):
        raise RuntimeError("the board is gone")

    monkeypatch.setattr(Board, "write", broken)
    bench.submit(pool, gated)
    until(lambda: bench.watcher.crashes)
    assert "the board is gone" in str(bench.watcher.crashes.pop())


def test_a_pool_that_stops_finishes_what_runs(bench, pool, gated):
    bench.submit(pool, gated)
    until(lambda: bench.watcher.started)
    bench.gate.set()
    bench.ended(1)
    pool.stop(10)
    name = "job-loop" if pool is bench.loop else "job-0"
    assert name not in {thread.name for thread in threading.enumerate()}


def test_the_loop_starts_with_the_first_async_job(bench):
    assert not any(one.name == "job-loop" for one in threading.enumerate())


def test_a_free_place_is_told_as_idle(bench, pool, gated):
    bench.gate.set()
    bench.submit(pool, gated)
    bench.ended(1)
    assert bench.watcher.idle == [True]


def test_a_board_is_never_half_written():
    cells = [0, 0, 0, 0]
    board = Board(cells)
    board.write(1, 5, 50)
    board.write(0, 4, 40)
    assert board.started() == {(5, 50), (4, 40)}
    board.end(1, 5, 50)
    assert board.started() == {(4, 40)}


def test_a_board_finds_room_for_ended_jobs_again_and_again():
    board = Board([0] * 6, 1)
    for number in range(1, 10):
        board.write(0, number, 50)
        board.end(0, number, 50)
        assert board.started() == {(number, 50)}
        board.forget([(number, 50), (99, 50)])
    assert board.started() == set()
