"""Events that rows of the tests' models give rise to."""

from collections import defaultdict

import pytest
from django.db import IntegrityError, connection

from django_jobs import emit_on
from django_jobs.engines import engine_class
from django_jobs.events import emitting
from tests.models import Purchase


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch):
    """Forget what the shop and other tests have declared."""
    monkeypatch.setattr(emitting, "_declared", defaultdict(dict))


@pytest.fixture
def placed():
    """A purchase gives rise to an event when it is made."""
    emit_on(Purchase, "purchase/placed", created=True)


@pytest.fixture
def paid():
    """A purchase gives rise to an event when it is paid."""
    emit_on(Purchase, "purchase/paid", changed="state", when=lambda row: row.state == "paid")


@pytest.fixture
def moved():
    """A purchase gives rise to an event whenever its state changes."""
    emit_on(Purchase, "purchase/moved", changed=["state"])


@pytest.fixture
def gone():
    """A purchase gives rise to an event when it is deleted."""
    emit_on(Purchase, "purchase/gone", deleted=True)


@pytest.fixture
def connect():
    """Return how to have a function called at a signal until the test is over."""
    connected = []

    def connect(signal, function, sender=Purchase):
        signal.connect(function, sender=sender)
        connected.append((signal, function, sender))

    yield connect
    for signal, function, sender in connected:
        signal.disconnect(function, sender=sender)


@pytest.fixture
def break_events(monkeypatch):
    """Let no event be written any more."""

    def refuse(*_):
        raise IntegrityError("no room for events")

    def now():
        monkeypatch.setattr(engine_class(connection), "insert_event", refuse)

    return now
