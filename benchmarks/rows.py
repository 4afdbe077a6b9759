"""The jobs table by plain SQL through Django's cursor: filling, emptying, the raw INSERT."""

from datetime import UTC, datetime
from typing import Any

from django.db import connection

from benchmarks.jobs import nothing
from django_jobs import enqueue_many

TABLES = ("job_run", "job", "claim", "worker", "job_log", "job_progress")
NAME = "benchmarks.jobs.nothing"

INSERT = """
    INSERT INTO django_jobs_job (
        name, queue, priority, args, kwargs, state, run_at, max_attempts, max_lost,
        enqueued_at, attempt, lost_count, fingerprint, version)
    VALUES (%s, 'default', 0, %s, '{}', 'READY', %s, 4, 3, %s, 0, 0, '', '')
"""
INSERT_RETURNING = f"{INSERT} RETURNING id"


def empty() -> None:
    """Delete everything."""
    with connection.cursor() as cursor:
        for table in TABLES:
            if connection.vendor == "postgresql":
                cursor.execute(f"TRUNCATE django_jobs_{table}")
            else:
                cursor.execute(f"DELETE FROM django_jobs_{table}")


def fill(count: int) -> None:
    """Enqueue `count` jobs into an empty table, and let the database know its statistics."""
    empty()
    enqueue_many(nothing, [(number,) for number in range(count)])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM (ANALYZE) django_jobs_job, django_jobs_job_run")
        else:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def row(number: int) -> tuple[Any, ...]:
    """Return the parameters of one INSERT, made as simply as possible."""
    now: Any = datetime.now(UTC)
    if connection.vendor == "sqlite":
        now = str(now)[:26]
    return (NAME, f"[{number}]", now, now)


def insert(number: int) -> int:
    """Insert one job and return its id."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT_RETURNING, row(number))
        job_id: int = cursor.fetchone()[0]
        return job_id


def insert_many(count: int) -> None:
    """Insert `count` jobs by `executemany`."""
    with connection.cursor() as cursor:
        cursor.executemany(INSERT, [row(number) for number in range(count)])
