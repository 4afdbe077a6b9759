"""The thread that keeps house: extends leases, shows that the worker lives, runs the services.

Has a connection of its own, so that a coordinator that waits for a lock loses no lease.
"""

import logging
import random
import threading
from collections.abc import Callable

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.context import Ask
from django_jobs.engines.base import Engine, Report
from django_jobs.services import Service
from django_jobs.worker.holdings import Holdings
from django_jobs.worker.links import Link, Unreachable
from django_jobs.worker.orders import SignOfLife

logger = logging.getLogger("django_jobs")

TICK = 0.5
BUSY_TICK = 0.2
REPORT_INTERVAL = 1.0
BEAT_INTERVAL = 15.0
DEAF_INTERVAL = 5.0
LOOK_INTERVAL = 1.0
"""So often at most the worker's row is read when others have written; what they wrote, nobody says."""


Errand = Callable[[Engine], bool]
"""A piece of work for the housekeeper's connection; returns whether it is done with."""


class Housekeeper:
    """Does small duties again and again until it is stopped."""

    def __init__(
        self,
        link: Link,
        holdings: Holdings,
        sign: SignOfLife | None,
        services: list[Service],
        *,
        on_ready: Callable[[], None],
        every_tick: Callable[[], None],
    ) -> None:
        self._link = link
        self._holdings = holdings
        self._sign = sign
        self._services = services
        self._on_ready = on_ready
        self._every_tick = every_tick
        self._errands: list[Errand] = []
        self._wake = threading.Event()
        self._stopping = False
        self._extend_at = 0.0
        self._beat_at = 0.0
        self._report_at = 0.0
        self._look_at = 0.0
        self._may_have_orders = False
        self.listening = False
        self.crash: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="housekeeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop_services(self) -> None:
        """Run no service any more; leases are still extended."""
        self._services = []

    def stop(self, timeout: float) -> None:
        """Say good-bye and end; waits at most `timeout` seconds."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout)

    def run_soon(self, errand: Errand) -> None:
        """Do `errand` at once, and again each tick until it returns true."""
        self._errands.append(errand)
        self._wake.set()

    def hear(self, word: str) -> None:
        """Tell the services a word that workers tell each other, or that somebody has written."""
        if word == Engine.WRITTEN:
            self._may_have_orders = True
        for service in self._services:
            service.hear(word)
        self._wake.set()

    def hurry(self) -> None:
        """Extend at once: somebody was asked to stop."""
        self._extend_at = 0.0
        self._wake.set()

    def beat_soon(self) -> None:
        """Give a sign of life at once: somebody wants something of a worker."""
        self._beat_at = 0.0
        self._wake.set()

    def _work(self) -> None:
        try:
            while not self._stopping:
                self._tick()
                self._wake.wait(TICK)
                self._wake.clear()
            self._leave()
        except Exception as error:  # noqa: BLE001 - the process must not go on without its leases
            self.crash = error
        finally:
            self._link.close()

    def _tick(self) -> None:
        self._tell_late_jobs()
        self._every_tick()
        try:
            self._run_errands()
            self._extend()
            self._report()
            self._beat()
            self._look()
            for service in self._services:
                if service.due:
                    self._attend(service)
        except Unreachable:
            pass  # the link has told whom it concerns; everything stays due

    def _extend(self) -> None:
        now = clock.monotonic()
        if now < self._extend_at:
            return
        # The answers bring requests to stop; a listener would hear of them at once.
        interval = get_settings().extend_interval
        self._extend_at = now + (interval if self.listening else min(interval, DEAF_INTERVAL))
        claim_ids = self._holdings.claim_ids()
        if not claim_ids:
            return
        lease = get_settings().LEASE
        try:
            answers = self._link.ask(
                lambda engine: engine.extend(claim_ids, lease, clock.now_or_none())
            )
        except Unreachable:
            self._extend_at = 0.0
            raise
        if self._holdings.apply(answers, now):
            self._extend_at = clock.monotonic() + BUSY_TICK

    def _report(self) -> None:
        now = clock.monotonic()
        if now < self._report_at:
            return
        self._report_at = now + REPORT_INTERVAL
        talkers = [held for held in self._holdings.helds() if held.context.has_news]
        news = [(held, *held.context.take_news()) for held in talkers if not held.context.settled]
        if not news:
            return
        reports = []
        for held, progress, lines in news:
            done, total, note = progress or (None, None, "")
            reports.append(Report(held.hold, done, total, note, lines))
        try:
            self._link.ask(lambda engine: engine.report(reports, clock.now_or_none()))
        except Unreachable:
            for held, progress, lines in news:
                held.context.put_back(progress, lines)
            raise

    def _beat(self) -> None:
        sign, now = self._sign, clock.monotonic()
        if sign is None or now < self._beat_at:
            return
        self._link.ask(sign.give)
        self._beat_at = now + BEAT_INTERVAL * random.uniform(0.8, 1.2)  # noqa: S311 - no secret

    def _look(self) -> None:
        """See whether somebody wants something of this worker, where no word tells of that."""
        sign, now = self._sign, clock.monotonic()
        if sign is None or not self._may_have_orders or now < self._look_at:
            return
        self._look_at = now + LOOK_INTERVAL
        self._may_have_orders = False
        try:
            self._link.ask(sign.look)
        except Unreachable:
            self._may_have_orders = True
            raise

    def _attend(self, service: Service) -> None:
        def work(engine: Engine) -> set[str]:
            queues = service.attend(engine)
            if queues:
                engine.notify(queues)
            return queues

        try:
            if self._link.ask(work):
                self._on_ready()
            if service.due:  # it has left something undone, for the leases' sake
                self._wake.set()
        except Unreachable:
            service.hurry()
            raise
        except Exception:
            # Leases, and with them all running jobs, must not hang on a maintenance duty.
            name = type(service).__name__
            logger.exception("The service %s failed; it is tried again later.", name)

    def _run_errands(self) -> None:
        for errand in list(self._errands):
            if self._link.ask(errand):
                self._errands.remove(errand)
                self._on_ready()

    def _tell_late_jobs(self) -> None:
        now = clock.monotonic()
        for held in self._holdings.helds():
            deadline = held.deadline
            if deadline is not None and now >= deadline:
                held.context.tell(Ask.TIMEOUT)
        for held in self._holdings.doubtful():
            held.context.tell(Ask.LOST)

    def _leave(self) -> None:
        sign = self._sign
        try:
            self._run_errands()
            if sign is not None:
                self._link.ask(lambda engine: engine.leave(sign.name, clock.now_or_none()))
        except Unreachable:
            logger.debug("Could not say good-bye; the worker's row will show that it is silent.")
