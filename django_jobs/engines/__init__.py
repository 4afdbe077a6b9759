"""The only way to an engine. The concrete ones are private, and so is all SQL in them."""

from collections import deque
from functools import cache
from importlib import import_module
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_jobs.engines.base import Engine

ENGINES = {
    "postgresql": "django_jobs.engines.postgresql.PostgreSQLEngine",
    "sqlite": "django_jobs.engines.sqlite.SQLiteEngine",
}
PORTABLE = "django_jobs.engines.orm.ORMEngine"


def engine_class(connection: BaseDatabaseWrapper) -> type[Engine]:
    """Return the engine for the database behind `connection`."""
    return _load(ENGINES.get(connection.vendor, PORTABLE))


@cache
def _load(path: str) -> type[Engine]:
    module, _, name = path.rpartition(".")
    found: type[Engine] = getattr(import_module(module), name)
    return found


def get_engine(alias: str) -> Engine:
    """Return an engine on this thread's Django connection `alias`: it joins its transaction."""
    connection = connections[alias]
    return engine_class(connection)(connection)


def own_engine(alias: str, purpose: str, lease: float) -> Engine:
    """Return an engine on a new connection, tuned for a worker, that this thread keeps.

    The connection takes the place of Django's for `alias` in this thread, so that the ORM uses
    it, too. `purpose` is shown by the database (`application_name`).
    """
    connection: Any = connections.create_connection(alias)
    cls = engine_class(connection)
    options = cls.own_options(dict(connection.settings_dict["OPTIONS"]), purpose, lease)
    connection.settings_dict = {
        **connection.settings_dict,
        "OPTIONS": options,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": False,
    }
    connection.queries_log = deque(maxlen=0)  # with DEBUG it would keep 9,000 long statements
    connections[alias].close()
    connections[alias] = connection
    return cls(connection)
