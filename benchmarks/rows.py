"""The jobs table by plain SQL through Django's cursor: filling, emptying, the raw INSERT."""

from datetime import UTC, datetime
from typing import Any

from django.db import connection

from benchmarks.jobs import nothing
from django_jobs import enqueue_many

TABLES = (
    "tick",
    "schedule",
    "job_run",
    "job",
    "claim",
    "worker",
    "job_log",
    "job_progress",
    "job_step",
    "event",
    "event_key",
    "wait",
    "tally",
    "release",
)

INSERT = """
    INSERT INTO django_jobs_job (
        name, queue, priority, args, kwargs, max_attempts, max_lost, run_at, enqueued_at,
        state, attempt, lost_count, fingerprint, version)
    VALUES (%s, %s, %s, %s, %s, %s, %s, {now}, {now}, 'READY', 0, 0, '', '')
"""


def empty() -> None:
    """Delete everything."""
    with connection.cursor() as cursor:
        for table in TABLES:
            if connection.vendor == "postgresql":
                cursor.execute(f"TRUNCATE django_jobs_{table} CASCADE")
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


def statement() -> str:
    """Return the INSERT, with the database's clock where it has one."""
    has_clock = connection.vendor == "postgresql"
    return INSERT.format(now="statement_timestamp()" if has_clock else "%s")


def row(number: int) -> tuple[Any, ...]:
    """Return the parameters of one INSERT, made as simply as possible."""
    values = ("benchmarks.jobs.nothing", "default", 0, f"[{number}]", "{}", 4, 3)
    if connection.vendor == "postgresql":
        return values
    now = str(datetime.now(UTC))[:26]
    return (*values, now, now)


def insert(number: int) -> int:
    """Insert one job and return its id."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT_RETURNING, row(number))
        job_id: int = cursor.fetchone()[0]
        return job_id


def insert_many(count: int) -> None:
    """Insert `count` jobs by `executemany`."""
    with connection.cursor() as cursor:
        cursor.executemany(statement(), [row(number) for number in range(count)])


INSERT_RETURNING = f"{statement()} RETURNING id"
