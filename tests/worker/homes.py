"""A housekeeper for tests."""

from django_jobs import clock
from django_jobs.worker.execution import make_context
from django_jobs.worker.holdings import Held, Holdings
from django_jobs.worker.housekeeper import Housekeeper
from django_jobs.worker.links import Link
from django_jobs.worker.orders import Orders, SignOfLife
from django_jobs.worker.outages import Outage

LEASE = 60.0


class Home:
    """A housekeeper whose ticks a test counts by hand."""

    def __init__(self, services=(), card=None):
        self.holdings = Holdings(LEASE)
        self.link = Link("django_jobs test", Outage(LEASE))
        self.ready, self.ticks = [], []
        self.orders = Orders()
        self.keeper = Housekeeper(
            self.link,
            self.holdings,
            SignOfLife(card, self.orders) if card else None,
            list(services),
            on_ready=lambda: self.ready.append(1),
            every_tick=lambda: self.ticks.append(1),
        )

    def hold(self, claimed):
        helds = [Held(item, make_context(item)) for item in claimed]
        self.holdings.add(helds, clock.monotonic())
        return helds

    def tick(self):
        self.keeper._tick()
