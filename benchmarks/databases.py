"""The databases that are measured: made for the run, with an application's durability, deleted."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from example_project import postgres

Entry = dict[str, Any]
ENGINES = ("postgresql", "sqlite")


@contextmanager
def database(engine: str) -> Iterator[Entry]:
    """Give an entry of `DATABASES` for a new, empty database; delete it in the end."""
    with sqlite() if engine == "sqlite" else postgresql() as entry:
        yield entry


@contextmanager
def sqlite() -> Iterator[Entry]:
    """Give a file with the options that docs/guide/sqlite.md recommends."""
    with tempfile.TemporaryDirectory(prefix="djbench-") as folder:
        yield {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(folder) / "jobs.sqlite3"),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 5,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }


@contextmanager
def postgresql() -> Iterator[Entry]:
    """Give a database on the server `BENCH_DATABASE_URL`, or on a durable one of our own."""
    if url := os.environ.get("BENCH_DATABASE_URL"):
        with _created(postgres.settings_from_url(url)) as entry:
            yield entry
        return
    server = postgres.start(durable=True)
    try:
        with _created(server.settings()) as entry:
            yield entry
    finally:
        server.stop()


@contextmanager
def _created(server: Entry) -> Iterator[Entry]:
    import psycopg  # noqa: PLC0415 - the run on SQLite alone needs no driver

    name = f"jobs_bench_{os.getpid()}"
    places = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST"}
    given = {place: server[key] for place, key in {**places, "port": "PORT"}.items()}
    with psycopg.connect(**given, autocommit=True, **server["OPTIONS"]) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield {**server, "NAME": name, "CONN_MAX_AGE": None}
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
