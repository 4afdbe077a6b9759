"""Keeps N worker processes: starts them, restarts them, and gives a dead one's jobs back at once.

Processes are spawned, never forked: a child shares no connection and no lock with anybody.
The supervisor runs the services, so that its children only run jobs.
"""

import logging
import multiprocessing
import os
import signal
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait as wait_for_any
from multiprocessing.context import SpawnProcess
from multiprocessing.sharedctypes import RawArray
from typing import Any

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.engines.base import Engine, Hold
from django_jobs.models import Claim
from django_jobs.services import all_services
from django_jobs.services.rescuer import report
from django_jobs.states import State, Wish
from django_jobs.worker.child import run_child
from django_jobs.worker.console import on_terminal
from django_jobs.worker.exits import CLEAN, CRASHED, FORCED, HURRY, IN_ORDER, STOPS
from django_jobs.worker.holdings import Holdings
from django_jobs.worker.housekeeper import Housekeeper
from django_jobs.worker.idling import Idling
from django_jobs.worker.links import Link
from django_jobs.worker.options import WorkerOptions
from django_jobs.worker.orders import Orders
from django_jobs.worker.outages import Outage
from django_jobs.worker.pools import Board
from django_jobs.worker.process import LAST_CALL

logger = logging.getLogger("django_jobs")

RESTART_PAUSE = 1.0
REFUSAL_PAUSE = 5.0
STEADY_AFTER = 10.0
TICK = 0.5
SETTLED_AFTER = 1.0


@dataclass(slots=True)
class Child:
    """A worker process, what it shares with us, and when it may be started again."""

    number: int
    cells: Any
    process: SpawnProcess | None = None
    started_at: float = 0.0
    quick_deaths: int = 0
    start_at: float = 0.0
    done: bool = False


class Supervisor:
    """Runs `options.processes` children until it is stopped or they have nothing to do."""

    def __init__(self, options: WorkerOptions) -> None:
        settings = get_settings()
        self.options = options
        self._context = multiprocessing.get_context("spawn")
        self._stop_count = 0
        self._stop_at: float | None = None
        self._exit_code = CLEAN
        self._order = RawArray("b", 1)
        self._orders = Orders(self._order)
        self._poke_read, self._poke_write = os.pipe()
        os.set_blocking(self._poke_write, False)
        slots = options.threads + options.async_slots
        self._children = [
            Child(number, RawArray("q", Board.size(slots))) for number in range(options.processes)
        ]
        services = all_services()
        if on_terminal():
            services.append(Idling(options.queues, [child.cells for child in self._children]))
        self._housekeeper = Housekeeper(
            Link(f"django_jobs {options.worker_name()} supervisor", Outage(settings.LEASE)),
            Holdings(settings.LEASE),
            None,
            services,
            on_ready=lambda: None,
            every_tick=lambda: None,
        )

    def request_stop(self) -> None:
        """Stop the children in good order; a second request ends their grace."""
        self._stop_count += 1
        os.write(self._poke_write, b".")

    def run(self) -> int:
        """Run until stopped; return the exit code."""
        self._housekeeper.start()
        told = 0
        while any(not child.done for child in self._children):
            if self._housekeeper.crash is not None:
                logger.error("The supervisor broke and ends.", exc_info=self._housekeeper.crash)
                self._exit_code = CRASHED
                self._stop_count = max(self._stop_count, 1)
            while told < self._stop_count:
                told += 1
                self._pass_on_stop(told)
            self._start_due()
            self._wait()
            self._reap()
            self._kill_late()
        self._housekeeper.stop(5.0)
        return self._exit_code

    def _start_due(self) -> None:
        for child in self._children:
            if child.process is None and self._ends:
                child.done = True
            elif child.process is None and not child.done and clock.monotonic() >= child.start_at:
                self._start(child)

    def _start(self, child: Child) -> None:
        for index in range(len(child.cells)):
            child.cells[index] = 0
        child.process = self._context.Process(
            target=run_child,
            args=(self.options, child.cells, self._order, os.getpid()),
            name=f"django_jobs-{child.number}",
        )
        # Its own first act would undo the blocking below.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            child.process.start()
        except OSError as error:  # no memory, no process or no file left for it just now
            child.process = None
            child.start_at = clock.monotonic() + REFUSAL_PAUSE
            logger.error("A worker process could not be started, trying again: %s", error)  # noqa: TRY400 - a traceback says no more
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        child.started_at = clock.monotonic()

    def _wait(self) -> None:
        sentinels = [child.process.sentinel for child in self._children if child.process]
        if self._poke_read in wait_for_any([*sentinels, self._poke_read], TICK):
            os.read(self._poke_read, 1024)

    def _reap(self) -> None:
        for child in self._children:
            process = child.process
            if process is None or process.is_alive():
                continue
            process.join()
            child.process = None
            self._bury(child, process.pid or 0, process.exitcode or 0)
            process.close()

    def _bury(self, child: Child, pid: int, exit_code: int) -> None:
        """Give back what a dead child held, and plan its successor."""
        if exit_code - IN_ORDER in (CLEAN, FORCED):
            child.done = self._may_end
            self._exit_code = max(self._exit_code, exit_code - IN_ORDER)
            return
        name = self.options.worker_name(pid)
        logger.warning("Worker process %s died (%s).", name, _cause(exit_code))
        started = {Hold(*pair) for pair in Board(child.cells).started()}
        # A claim that was on its way is written after the death of the child that asked for it.
        settled_at = clock.monotonic() + SETTLED_AFTER
        self._housekeeper.run_soon(
            lambda engine: give_back(engine, name, started) and clock.monotonic() >= settled_at
        )
        lived = clock.monotonic() - child.started_at
        child.quick_deaths = 0 if lived > STEADY_AFTER else child.quick_deaths + 1
        child.start_at = clock.monotonic() + min(
            RESTART_PAUSE * max(child.quick_deaths - 3, 0), 30.0
        )
        child.done = self._ends
        if child.done:
            self._exit_code = max(self._exit_code, FORCED)

    @property
    def _may_end(self) -> bool:
        """Whether a child that ends in good order does so for good, not for a fresh one."""
        options = self.options
        return self._ends or options.burst or options.max_jobs is not None

    @property
    def _ends(self) -> bool:
        """Whether somebody wants all of us to end, by a signal or in the database."""
        return self._stop_count > 0 or self._orders.wish is Wish.STOP

    def _pass_on_stop(self, count: int) -> None:
        self._stop_at = self._stop_at or clock.monotonic()
        self._housekeeper.stop_services()
        number = signal.SIGTERM if count == 1 else HURRY
        for child in self._children:
            if child.process is None:
                child.done = True
            elif child.process.is_alive() and child.process.pid:
                os.kill(child.process.pid, number)

    def _kill_late(self) -> None:
        """End children that outlive the grace and the last minute after it."""
        if self._stop_at is None:
            return
        if clock.monotonic() - self._stop_at < self.options.grace + LAST_CALL + 5.0:
            return
        for child in self._children:
            if child.process is not None and child.process.is_alive():
                logger.error("Worker process %s does not stop; it is killed.", child.process.pid)
                child.process.kill()


def give_back(engine: Engine, worker: str, started: set[Hold]) -> bool:
    """Give back the jobs of a dead worker; return whether nothing of it is left.

    Jobs that had not started come back at no cost; for the others it counts as a loss. Rows
    that the dead worker's session still locks are left for the next try.
    """
    claims = list(Claim.objects.using(engine.connection.alias).filter(worker=worker))
    holds = {Hold(job_id, claim.pk) for claim in claims for job_id in claim.job_ids}
    unstarted = sorted(holds - started)
    if unstarted:
        engine.release(unstarted, now=clock.now_or_none())
    engine.expire(worker, clock.now_or_none())
    rescued = engine.rescue(len(claims) + 1, clock.now_or_none())
    engine.sweep(len(claims) + 1, clock.now_or_none())
    engine.leave(worker, clock.now_or_none())
    for job in rescued:
        report(job)
    if claims:
        engine.notify(
            {job.queue for job in rescued if job.state is State.READY} | {Engine.ANY_QUEUE}
        )
    return not Claim.objects.using(engine.connection.alias).filter(worker=worker).exists()


def _cause(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code % IN_ORDER}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"
