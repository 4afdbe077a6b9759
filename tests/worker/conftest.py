"""A coordinator that a test drives by hand, on the test's own thread and the real database."""

import threading

import pytest
from django.db import connections

from django_jobs import JobContext, clock, job
from django_jobs.engines import get_engine
from django_jobs.worker.holdings import Holdings
from django_jobs.worker.links import Link, Unreachable
from django_jobs.worker.loop import Coordinator
from django_jobs.worker.options import WorkerOptions
from django_jobs.worker.outages import Outage
from django_jobs.worker.pools import Board
from tests.worker.homes import Home
from tests.worker.making import until


@pytest.fixture
def own_connections(transactional_db):
    """Give the test's connection back to it after a worker's part has taken its place."""
    before = connections["default"]
    settings = {alias: dict(values) for alias, values in connections.settings.items()}
    yield
    if connections["default"] is not before:
        connections["default"].close()
        connections["default"] = before
    for alias, values in settings.items():
        connections.settings[alias].clear()
        connections.settings[alias].update(values)


@pytest.fixture
def gate():
    """What jobs wait at; open when the test is over."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def gated(gate):
    """A job that waits at the gate."""

    @job(name="tests.loop.gated")
    def gated(context: JobContext, *, obey=False):
        gate.wait(20)
        return obey and context.should_stop()

    return gated


class Log:
    """A journal that remembers."""

    def __init__(self):
        self.events = []

    def write(self, events):
        self.events += events


class Bench:
    """One coordinator and what it works with."""

    def __init__(self, options):
        self.log, self.holdings = Log(), Holdings(60.0)
        slots = options.threads + options.async_slots
        self.cells = [0] * Board.size(slots)
        self.link = Link("django_jobs test", Outage(60.0))
        self.coordinator = Coordinator(
            options, self.link, self.holdings, Board(self.cells, slots), self.log
        )
        self.coordinator.start()

    def drive(self, condition, what="the coordinator"):
        """Let the coordinator work until `condition()` is true."""

        def turn_and_look():
            self.coordinator.rhythm.wake()  # no clock need run
            self.coordinator.turn()
            if condition():
                return True
            self.coordinator.wait()
            return condition()

        until(turn_and_look, what)

    def drain(self):
        """Let it work until nothing is in hand and nothing was found."""
        self.coordinator.drained = False
        self.drive(lambda: self.coordinator.idle and self.coordinator.drained)


@pytest.fixture
def bench(own_connections):
    """Return a function that makes a coordinator; `options` are those of the worker."""
    made = []

    def make(**options):
        values = {"threads": 2, "async_slots": 4, "host": "test", "token": "1", **options}
        made.append(Bench(WorkerOptions(**values)))
        return made[-1]

    yield make
    for one in made:
        one.coordinator.stop(10)
        one.link.close()


@pytest.fixture
def engine(own_connections):
    """An engine on the test's own connection."""
    return get_engine("default")


@pytest.fixture
def claim(engine):
    """Return a function that claims ready jobs, as a worker called `worker` would."""

    def claim(limit=10, worker="test:1", lease=60.0):
        return engine.claim(None, limit, worker, lease, now=clock.now_or_none())

    return claim


@pytest.fixture
def home(own_connections):
    made = []

    def make(*services, card=None):
        made.append(Home(services, card))
        return made[-1]

    yield make
    for one in made:
        one.link.close()


@pytest.fixture
def unreachable(monkeypatch):
    """Return a function that takes the database away from a home, or gives it back."""

    def switch(home, *, away):
        def ask(_question):
            raise Unreachable

        if away:
            monkeypatch.setattr(home.link, "ask", ask)
        else:
            monkeypatch.undo()

    return switch
