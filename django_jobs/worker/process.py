"""One worker process: puts the parts together, runs them, and takes them down in order.

The phases of a stop: claim nothing more and hand back what has not started (running jobs see
`should_stop()`); after the grace interrupt async jobs and hand back what ends now; five
seconds later hand back everything still held, so that a late end is fenced.
"""

import logging
import os
from collections.abc import Callable, MutableSequence, Sequence

from django.db import connections

from django_jobs import __version__, clock
from django_jobs.announcements import hearing
from django_jobs.conf import get_settings
from django_jobs.context import Ask
from django_jobs.engines import engine_class
from django_jobs.engines.base import Engine
from django_jobs.engines.workers import WorkerCard
from django_jobs.services import BulkWorker, Relayer, Service, all_services
from django_jobs.states import Wish
from django_jobs.worker.console import on_terminal
from django_jobs.worker.exits import CLEAN, CRASHED, FORCED
from django_jobs.worker.holdings import Holdings
from django_jobs.worker.housekeeper import Housekeeper
from django_jobs.worker.idling import Idling
from django_jobs.worker.journal import Journal
from django_jobs.worker.links import Link
from django_jobs.worker.listening import Ear
from django_jobs.worker.loop import Coordinator
from django_jobs.worker.options import WorkerOptions
from django_jobs.worker.orders import Orders, SignOfLife
from django_jobs.worker.outages import Outage
from django_jobs.worker.pools import Board
from django_jobs.worker.tallying import Tallier

logger = logging.getLogger("django_jobs")

LAST_CALL = 5.0
LAST_WORDS = 3.0
ORDERS = {
    Wish.NONE: "%s claims jobs again, as somebody wants.",
    Wish.QUIET: "%s claims no more jobs until somebody wants it to.",
    Wish.STOP: "%s claims no more jobs and exits when its running ones have ended.",
}


class WorkerProcess:
    """Runs jobs in this process until it is stopped. `run()` must be called in the main thread."""

    def __init__(
        self,
        options: WorkerOptions,
        *,
        cells: MutableSequence[int] | None = None,
        orders: Orders | None = None,
        alone: bool = True,
        orphaned: Callable[[], bool] = lambda: False,
    ) -> None:
        settings = get_settings()
        self.options = options
        self.name = options.worker_name()
        self._alone = alone
        self._orphaned = orphaned
        self._orders = orders or Orders()
        self._obeyed = Wish.NONE
        self._stop_count = 0
        self._looked = False
        slots = options.threads + options.async_slots
        cells = [0] * Board.size(slots) if cells is None else cells
        self._outage = Outage(settings.LEASE, patience=0.0 if alone else 30.0)
        self._holdings = Holdings(settings.LEASE)
        self._tallier = Tallier()
        self._journal = Journal(self._tallier.count)
        self._coordinator = Coordinator(
            options,
            Link(f"django_jobs {self.name} coordinator", self._outage),
            self._holdings,
            Board(cells, slots),
            self._journal,
        )
        self._housekeeper = Housekeeper(
            Link(f"django_jobs {self.name} housekeeper", self._outage),
            self._holdings,
            SignOfLife(self._card(), self._orders),
            self._services(cells),
            on_ready=self._wake,
            every_tick=self._look_around,
        )
        self._ear = Ear(self.name, self._heard)

    def request_stop(self, at_most: int = 3) -> None:
        """Stop in good order; a second request ends the grace, a third everything.

        Requests above `at_most` do not count. Takes no lock: it is made for signal handlers;
        the coordinator notices within half a second.
        """
        self._stop_count = max(self._stop_count, min(self._stop_count + 1, at_most))

    def run(self) -> int:
        """Run until stopped; return the exit code."""
        keep_connections()
        self._journal.start()
        self._coordinator.start()
        self._housekeeper.start()
        self._ear.start()
        try:
            with hearing(lambda: self._housekeeper.hear(Engine.EVENTS)):
                self._work()
                return self._shut_down()
        except Exception:
            logger.exception("The worker %s broke and ends; its jobs are rescued.", self.name)
            self._housekeeper.stop(LAST_WORDS)
            self._coordinator.stop(0.0)
            return CRASHED
        finally:
            self._ear.stop()
            self._journal.stop(2.0)
            self._ear.join(1.0)
            connections.close_all()

    def _work(self) -> None:
        coordinator = self._coordinator
        breather = engine_class(connections[get_settings().DATABASE]).breather
        while not self._stop_count and not self._is_done():
            self._raise_crash()
            self._obey()
            coordinator.turn()
            coordinator.breathe(breather)
            if not self._stop_count and not self._is_done():
                coordinator.wait()

    def _obey(self) -> None:
        """Claim nothing, or again, as somebody wants; others get what has not started."""
        wish = self._orders.wish
        if wish is self._obeyed:
            return
        self._obeyed = wish
        self._coordinator.resting = wish is not Wish.NONE
        if self._coordinator.resting:
            self._coordinator.hand_back()
        logger.info(ORDERS[wish], self.name)

    def _is_done(self) -> bool:
        coordinator = self._coordinator
        if not coordinator.idle:
            self._looked = False
            return False
        if coordinator.exhausted or self._obeyed is Wish.STOP:
            return True
        return self.options.burst and coordinator.drained and self._nothing_is_left()

    def _nothing_is_left(self) -> bool:
        """Look twice, with a claim between: what others made ready before the first, it finds."""
        if self._coordinator.look_again():
            self._looked = False
            return False
        if not self._looked:
            self._looked, self._coordinator.drained = True, False
            self._coordinator.rhythm.wake()
            return False
        return True

    def _shut_down(self) -> int:
        """Go through the phases of a stop; return the exit code."""
        coordinator = self._coordinator
        coordinator.resting = True
        self._ear.stop()
        self._housekeeper.stop_services()
        coordinator.hand_back()
        self._say(
            "Stopping: %s may take %g s more; a second signal interrupts.", self.options.grace
        )
        self._tell(Ask.SHUTDOWN)
        patient = self._wait_until_idle(self.options.grace, more_stops=2)
        if not patient:
            self._say("Interrupting %s, which may take %g s to let go.", LAST_CALL)
            self._tell(Ask.INTERRUPT)
            patient = self._wait_until_idle(LAST_CALL, more_stops=3)
        forced, unwritten = (0, 0) if patient else coordinator.abandon(LAST_WORDS)
        if forced:
            logger.warning("Handed back by force, to run again: %s.", _jobs(forced))
        if unwritten:
            logger.error(
                "The database could not be told of %d jobs; they run again when the lease is over.",
                unwritten,
            )
        self._housekeeper.run_soon(self._tallier.write_all)
        self._housekeeper.stop(LAST_WORDS)
        coordinator.stop(0.0 if forced else 1.0)
        return FORCED if forced or unwritten else CLEAN

    def _say(self, text: str, seconds: float) -> None:
        running = len(self._holdings)
        if running:
            logger.warning(text, _jobs(running), seconds)

    def _wait_until_idle(self, seconds: float, *, more_stops: int) -> bool:
        until = clock.monotonic() + seconds
        while not self._coordinator.idle:
            self._raise_crash()
            if clock.monotonic() >= until or self._stop_count >= more_stops:
                return False
            self._coordinator.hand_back()
            self._coordinator.turn()
            if not self._coordinator.idle:
                self._coordinator.wait()
        return True

    def _tell(self, ask: Ask) -> None:
        for held in self._holdings.helds():
            held.context.tell(ask)

    def _raise_crash(self) -> None:
        if self._housekeeper.crash is not None:
            raise self._housekeeper.crash

    def _wake(self) -> None:
        self._coordinator.rhythm.wake()
        self._coordinator.arrivals.wake.set()

    def _heard(self, queues: set[str]) -> None:
        if Engine.STOP_ASKED in queues:
            self._housekeeper.hurry()
        if Engine.WISHES in queues:
            self._housekeeper.beat_soon()
        for word in queues & {Engine.EVENTS, Engine.BULK, Engine.WRITTEN}:
            self._housekeeper.hear(word)
        served = self.options.queues
        if (
            not queues
            or not served
            or any(queue in (*served, Engine.ANY_QUEUE) for queue in queues)
        ):
            self._wake()

    def _look_around(self) -> None:
        self._coordinator.rhythm.listening = self._ear.hears
        self._housekeeper.listening = self._ear.hears_of_stops
        if self._orphaned() and not self._stop_count:
            logger.warning("The supervisor of %s is gone; it stops.", self.name)
            self.request_stop()

    def _card(self) -> WorkerCard:
        return WorkerCard(
            name=self.name,
            boot=self.options.boot,
            queues=self.options.queues,
            threads=self.options.threads,
            version=os.environ.get("DJANGO_JOBS_VERSION", __version__)[:64],
        )

    def _services(self, cells: Sequence[int]) -> list[Service]:
        if not self._alone:
            # They hear of work, which the supervisor does not.
            return [Relayer(), BulkWorker(), self._tallier]
        services = [*all_services(), self._tallier]
        if on_terminal():
            services.append(Idling(self.options.queues, [cells]))
        return services


def _jobs(count: int) -> str:
    return f"{count} running job" + ("s" if count > 1 else "")


def keep_connections() -> None:
    """Let the connections of this process outlive a job, as long as they work.

    With Django's default, `CONN_MAX_AGE = 0`, every job would open a connection of its own; and
    without health checks the first job after a restart of the database would fail. A pool does
    both by itself, and allows neither.
    """
    for values in connections.settings.values():
        if values.get("OPTIONS", {}).get("pool"):
            continue
        if values.get("CONN_MAX_AGE") == 0:
            values["CONN_MAX_AGE"] = None
        values["CONN_HEALTH_CHECKS"] = True
