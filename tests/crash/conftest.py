"""What the crash tests stand on: a database of their own, a ledger, workers that surely end."""

import itertools
import json
import os
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connections

from django_jobs.conf import get_settings
from example_project import postgres
from tests.crash.conditions import say
from tests.crash.ledger import VARIABLE, Ledger
from tests.crash.processes import PROCESSES, WorkerTree

SHORT_LEASE = 2.0
NUMBERS = itertools.count(1)
PROFILE = {"LEASE": SHORT_LEASE, "AUTODISCOVER": ["jobs", "crash.jobs"], "LOG_JOBS": "all"}


def pytest_collection_modifyitems(items):
    """Mark every test of this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.crash)
            if not PROCESSES.exists():
                item.add_marker(pytest.mark.skip(reason="needs a process table in /proc"))


@pytest.fixture
def profile(settings):
    """Return how to change `DJANGO_JOBS`, here and for the workers started afterwards."""

    def change(**values):
        settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, **values}

    settings.DJANGO_JOBS = dict(PROFILE)
    return change


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """Return the ledger that all jobs of this test write to."""
    ledger = Ledger(tmp_path / "ledger")
    monkeypatch.setenv(VARIABLE, str(ledger.path))
    return ledger


@pytest.fixture
def gate(tmp_path):
    """Return the file that jobs which hold on wait for."""
    return tmp_path / "gate"


@pytest.fixture(scope="session")
def postgresql_to_crash():
    """Start a PostgreSQL server that tests may crash; what it has acknowledged survives that."""
    if django_settings.ENGINE != "postgresql":
        pytest.skip("only on PostgreSQL")
    server = postgres.start(durable=True, source=os.environ.get("TEST_POSTGRES", "auto"))
    yield server
    server.stop()


@pytest.fixture
def own_server(transactional_db, postgresql_to_crash):
    """Return a server that this test may halt; "default" is a fresh database on it."""
    usual, name = connections["default"], f"crash_{next(NUMBERS)}"
    for database in ("postgres", name):
        connection = connections.create_connection("default")
        own = postgresql_to_crash.settings(database)
        connection.settings_dict = {**connection.settings_dict, **own}
        connections["default"] = connection
        if database == "postgres":
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name}")
            connection.close()
    call_command("migrate", "django_jobs", verbosity=0)
    yield postgresql_to_crash
    connection.close()
    connections["default"] = usual


@pytest.fixture
def worker_variables(worker_environment, ledger, profile):
    """Return a function that gives the environment of a worker process."""

    def variables():
        database = connections["default"].settings_dict
        own = {
            VARIABLE: str(ledger.path),
            "TEST_DJANGO_JOBS": json.dumps(django_settings.DJANGO_JOBS),
            "TEST_DATABASE_NAME": str(database["NAME"]),
            "PYTHONDEVMODE": "",
        }
        return {**worker_environment, **own, **_address(database)}

    return variables


@pytest.fixture
def workers(worker_variables, tmp_path):
    """Return a function that starts a worker; all of them are dead when the test is over."""
    trees = []

    def start(*options, **how):
        log = tmp_path / f"worker-{len(trees)}.log"
        tree = WorkerTree(worker_variables(), log, *options, **how)
        trees.append(tree)
        return tree

    yield start
    for tree in trees:
        tree.kill_all()
        say(f"---- {tree.output.name}\n{tree.text()}")


@pytest.fixture
def lease(profile):
    """Return the length of a lease in this test."""
    return get_settings().LEASE


def _address(database):
    if database["ENGINE"].endswith("sqlite3"):
        return {}
    host = database["HOST"]
    return {
        "TEST_DATABASE_URL": f"postgresql://{database['USER']}@/postgres?host={host}"
        f"&port={database['PORT']}"
    }
