"""Two places where jobs run: threads, and one event loop. They run what they are given.

A pool never touches the worker's connection: it hands each ended job to `on_ended` and goes
on. What has not started can be taken back.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Iterable, MutableSequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Protocol

from django.db import close_old_connections, connections

from django_jobs import clock, registry
from django_jobs.states import Outcome
from django_jobs.worker.execution import run_async, run_sync
from django_jobs.worker.holdings import Held, Holdings
from django_jobs.worker.leftovers import after_leaving, clear_away


class Ended(NamedTuple):
    """A job that left a pool. Without an outcome it never started and is to be released."""

    held: Held
    outcome: Outcome | None
    ended: float
    unknown: bool = False


class Watcher(Protocol):
    """Who is told by a pool, from the pool's threads."""

    def on_started(self, held: Held) -> None:
        """Take note that a job starts now."""

    def on_ended(self, ended: Ended, *, idle: bool) -> None:
        """Take a job that left the pool; `idle`: the pool will soon be without work."""

    def on_crashed(self, error: BaseException) -> None:
        """Take note that the pool itself is broken: the worker has to end."""


class Board:
    """Which jobs have started in this process, readable by its supervisor after a kill.

    A flat array of (job id, claim id) pairs: one per slot for what runs, and, behind those,
    some for what has ended but is not written yet. The claim is written first and the job last,
    so that a pair is never half there.
    """

    ENDED = 1000
    """Ended jobs that find a place; more than a process ever holds of them."""

    def __init__(self, cells: MutableSequence[int], slots: int | None = None) -> None:
        pairs = len(cells) // 2
        self._cells = cells
        self._spare = deque(range(pairs if slots is None else slots, pairs))
        self._ended: dict[tuple[int, int], int] = {}

    @classmethod
    def size(cls, slots: int) -> int:
        """Return how long the array for so many slots has to be."""
        return 2 * (slots + cls.ENDED)

    def write(self, slot: int, job_id: int, claim_id: int) -> None:
        """Note that `slot` runs a job."""
        self._cells[2 * slot + 1] = claim_id
        self._cells[2 * slot] = job_id

    def end(self, slot: int, job_id: int, claim_id: int) -> None:
        """Note that the job in `slot` has ended, and is still to be written."""
        if self._spare:
            place = self._spare.popleft()
            self.write(place, job_id, claim_id)
            self._ended[job_id, claim_id] = place
        self._cells[2 * slot] = 0

    def forget(self, holds: Iterable[tuple[int, int]]) -> None:
        """Note that the ends of these (job id, claim id) pairs are written."""
        for hold in holds:
            place = self._ended.pop(hold, None)
            if place is not None:
                self._cells[2 * place] = 0
                self._spare.append(place)

    def started(self) -> set[tuple[int, int]]:
        """Return the (job id, claim id) pairs of all that started and is not written yet."""
        cells = list(self._cells)
        return {(cells[i], cells[i + 1]) for i in range(0, len(cells), 2) if cells[i]}


class Starter:
    """What both pools do around a run: is it still ours, does anybody know it, who is told."""

    def __init__(self, holdings: Holdings, watcher: Watcher, board: Board) -> None:
        self._holdings = holdings
        self._watcher = watcher
        self._board = board

    def refusal(self, held: Held) -> Ended | None:
        """Return the end of a job that must not start, `None` for one that may."""
        if registry.find(held.claimed.name) is None:
            return Ended(held, None, clock.monotonic(), unknown=True)
        if held.context.ask is not None or not self._holdings.is_safe(held.hold):
            return Ended(held, None, clock.monotonic())
        return None

    def begin(self, held: Held, slot: int) -> None:
        """Note everywhere that the job starts."""
        definition = registry.get(held.claimed.name)
        self._board.write(slot, held.claimed.id, held.claimed.claim_id)
        held.began = clock.monotonic()
        if definition.timeout is not None:
            held.deadline = held.began + definition.timeout
        self._watcher.on_started(held)

    def end(self, held: Held, outcome: Outcome, slot: int) -> Ended:
        """Note that the job has ended."""
        held.deadline = None
        held.context.error = None  # nobody asks for it here, and its frames hold the context
        self._board.end(slot, *held.hold)
        return Ended(held, outcome, clock.monotonic())


class ThreadPool:
    """Runs sync jobs in `size` threads."""

    def __init__(self, size: int, starter: Starter, watcher: Watcher) -> None:
        self.size = size
        self._starter = starter
        self._watcher = watcher
        self._inbox: SimpleQueue[Held | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, args=(slot,), name=f"job-{slot}", daemon=True)
            for slot in range(size)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, held: Held) -> None:
        """Queue a job for the next free thread."""
        self._inbox.put(held)

    def take_back(self) -> list[Held]:
        """Return the jobs that have not started; they will not start any more."""
        taken = []
        with suppress(Empty):
            while True:
                held = self._inbox.get_nowait()
                if held is not None:
                    taken.append(held)
        return taken

    def stop(self, timeout: float) -> None:
        """Let the threads end, and wait for them at most `timeout` seconds in all."""
        for _ in self._threads:
            self._inbox.put(None)
        until = clock.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(until - clock.monotonic(), 0))

    def _work(self, slot: int) -> None:
        try:
            while (held := self._inbox.get()) is not None:
                ended = self._starter.refusal(held) or self._run(held, slot)
                self._watcher.on_ended(ended, idle=self._inbox.qsize() <= self.size)
        except BaseException as error:  # noqa: BLE001 - not a job's: the worker must not go on half dead
            self._watcher.on_crashed(error)
        finally:
            connections.close_all()

    def _run(self, held: Held, slot: int) -> Ended:
        close_old_connections()
        self._starter.begin(held, slot)
        # In a context of its own, so that a language or a time zone it activates ends with it.
        outcome = copy_context().run(run_sync, held.claimed, held.context)
        outcome = after_leaving(clear_away(), outcome, held.claimed.name)
        return self._starter.end(held, outcome, slot)


class AsyncPool:
    """Runs async jobs on one event loop in a thread of its own, at most `size` at a time."""

    def __init__(self, size: int, first_slot: int, starter: Starter, watcher: Watcher) -> None:
        self.size = size
        self._free = deque(range(first_slot, first_slot + size))
        self._starter = starter
        self._watcher = watcher
        self._waiting: deque[Held] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    def start(self) -> None:
        """Do nothing yet: the loop starts with the first async job."""

    def submit(self, held: Held) -> None:
        """Queue a job for the next free place on the loop."""
        self._waiting.append(held)
        self._running_loop().call_soon_threadsafe(self._fill)

    def take_back(self) -> list[Held]:
        """Return the jobs that have not started; they will not start any more."""
        taken = []
        with suppress(IndexError):
            while True:
                taken.append(self._waiting.popleft())
        return taken

    def stop(self, timeout: float) -> None:
        """End the loop, and wait for it at most `timeout` seconds."""
        if self._loop is None or self._thread is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(timeout)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._serve, name="job-loop", daemon=True)
            self._thread.start()
        return self._loop

    def _serve(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        while not self._stopped:
            # asyncio lets these two out of the loop when a task that a job made raises them.
            # They are the job's: it finds them where it awaits the task.
            with suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _end(self) -> None:
        assert self._loop is not None
        self._stopped = True
        self._loop.stop()

    def _fill(self) -> None:
        assert self._loop is not None
        while self._free and self._waiting:
            try:
                held = self._waiting.popleft()
            except IndexError:  # taken back meanwhile
                return
            slot = self._free.popleft()
            task = self._loop.create_task(self._run(held, slot))
            self._tasks.add(task)
            task.add_done_callback(partial(self._done, held, slot))

    async def _run(self, held: Held, slot: int) -> None:
        ended = self._starter.refusal(held)
        if ended is None:
            self._starter.begin(held, slot)
            outcome = await run_async(held.claimed, held.context)
            ended = self._starter.end(held, outcome, slot)
        self._leave(ended, slot)

    def _leave(self, ended: Ended, slot: int) -> None:
        self._free.append(slot)
        self._watcher.on_ended(ended, idle=not self._waiting)
        self._fill()

    def _done(self, held: Held, slot: int, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            # By another job, which cancelled all tasks it found, before this one could start.
            self._leave(Ended(held, None, clock.monotonic()), slot)
        elif (error := task.exception()) is not None:
            self._watcher.on_crashed(error)
