"""The floors: what plain SQL does with the same tables, without a worker and without jobs.

Draining is the cheapest shape that keeps every promise about a job's record: claim a batch of
100 (one UPDATE, rows that others hold are skipped), then finish it (one UPDATE of the jobs, one
INSERT of their runs), each committed. Nothing runs in between. As a program this is a client
that says "ready", waits for a line on its input, and reports in JSON.
"""

import json
import os
import sqlite3
import sys
import time
from datetime import UTC, datetime
from typing import Any

BATCH = 100

RUN_COLUMNS = """
    job_id, claim_id, attempt, outcome, started_at, finished_at, worker,
    error_type, error, error_text, traceback, fingerprint, log"""

PG_CLAIM = """
    WITH ready AS MATERIALIZED (
        SELECT id FROM django_jobs_job
        WHERE state = 'READY' AND queue = 'default' AND priority = 0
        ORDER BY run_at, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE django_jobs_job AS job
    SET state = 'RUNNING', attempt = attempt + 1, claim_id = %s, started_at = now()
    FROM ready WHERE job.id = ready.id
    RETURNING job.id, job.name, job.args::text, job.kwargs::text, job.attempt
"""
PG_FINISH = f"""
    WITH ended AS (
        UPDATE django_jobs_job AS job
        SET state = 'SUCCESSFUL', claim_id = NULL, finished_at = now()
        FROM unnest(%s::bigint[]) AS t(id) WHERE job.id = t.id AND job.claim_id = %s
        RETURNING job.id, job.attempt, job.started_at, job.finished_at)
    INSERT INTO django_jobs_job_run ({RUN_COLUMNS})
    SELECT id, %s, attempt, 'successful', started_at, finished_at, 'floor', '', '', '', '', '', ''
    FROM ended
"""
PG_OPTIONS = "-c jit=off -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"

SQLITE_CLAIM = """
    UPDATE django_jobs_job
    SET state = 'RUNNING', attempt = attempt + 1, claim_id = ?, started_at = ?
    WHERE id IN (
        SELECT id FROM django_jobs_job
        WHERE state = 'READY' AND queue = 'default' AND priority = 0
        ORDER BY run_at, id LIMIT ?)
    RETURNING id, name, args, kwargs, attempt
"""
SQLITE_FINISH = """
    UPDATE django_jobs_job SET state = 'SUCCESSFUL', claim_id = NULL, finished_at = ?
    WHERE id = ? AND claim_id = ?
"""
SQLITE_RECORD = f"""
    INSERT INTO django_jobs_job_run ({RUN_COLUMNS})
    VALUES (?, ?, ?, 'successful', ?, ?, 'floor', '', '', '', '', '', '')
"""


class PostgreSQLClient:
    """Claims and finishes on a PostgreSQL connection."""

    def __init__(self, entry: dict[str, Any]) -> None:
        import psycopg  # noqa: PLC0415 - the run on SQLite alone needs no driver

        self.connection = psycopg.connect(
            dbname=entry["NAME"],
            user=entry["USER"],
            password=entry["PASSWORD"],
            host=entry["HOST"],
            port=entry["PORT"],
            options=PG_OPTIONS,
            autocommit=True,
            prepare_threshold=0,
        )
        self._claim_id = os.getpid()

    def claim(self, limit: int) -> list[int]:
        """Take at most `limit` jobs."""
        rows = self.connection.execute(PG_CLAIM, (limit, self._claim_id)).fetchall()
        return [row[0] for row in rows]

    def finish(self, ids: list[int]) -> None:
        """Write that they were successful."""
        array = f"{{{','.join(map(str, ids))}}}"
        self.connection.execute(PG_FINISH, (array, self._claim_id, self._claim_id))

    def listen(self) -> None:
        """Hear of new jobs from now on."""
        self.connection.execute("LISTEN django_jobs")

    def wait(self) -> None:
        """Wait until somebody tells of new jobs, at most a second."""
        for _ in self.connection.notifies(timeout=1.0, stop_after=1):
            return


class SQLiteClient:
    """Claims and finishes on a SQLite connection."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.connection = sqlite3.connect(entry["NAME"], timeout=5, isolation_level=None)
        self.connection.executescript(entry["OPTIONS"]["init_command"])
        self._claim_id = os.getpid()
        self._attempts: dict[int, int] = {}

    def claim(self, limit: int) -> list[int]:
        """Take at most `limit` jobs."""
        now = _now()
        self.connection.execute("BEGIN IMMEDIATE")
        rows = self.connection.execute(SQLITE_CLAIM, (self._claim_id, now, limit)).fetchall()
        self.connection.execute("COMMIT")
        self._attempts = {row[0]: row[4] for row in rows}
        return list(self._attempts)

    def finish(self, ids: list[int]) -> None:
        """Write that they were successful."""
        now, claim_id = _now(), self._claim_id
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(SQLITE_FINISH, [(now, job_id, claim_id) for job_id in ids])
        self.connection.executemany(
            SQLITE_RECORD, [(i, claim_id, self._attempts[i], now, now) for i in ids]
        )
        self.connection.execute("COMMIT")


def _now() -> str:
    return str(datetime.now(UTC).replace(tzinfo=None))


def drain(client: Any) -> dict[str, Any]:
    """Work until nothing is left; return when it began and ended, and how many jobs it did."""
    began, count = time.time(), 0
    while ids := client.claim(BATCH):
        client.finish(ids)
        count += len(ids)
    return {"began": began, "ended": time.time(), "count": count}


def pick_up(client: Any, count: float, poll: float) -> dict[str, Any]:
    """Wait for `count` jobs, one at a time; return when each was taken.

    Looks when a notification says so, or every `poll` seconds when that is not 0.
    """
    if not poll:
        client.listen()
    taken: dict[int, float] = {}
    while len(taken) < count:
        if poll:
            time.sleep(poll)
        else:
            client.wait()
        if ids := client.claim(10):
            now = time.time()
            taken |= dict.fromkeys(ids, now)
            client.finish(ids)
    return {"taken": list(taken.items())}


def main() -> None:
    """Be one client: `python -m benchmarks.floors drain`, or `pick-up COUNT POLL`."""
    entry = json.loads(os.environ["BENCH_DATABASE"])
    client: Any = (SQLiteClient if "sqlite" in entry["ENGINE"] else PostgreSQLClient)(entry)
    print("ready", flush=True)
    sys.stdin.readline()
    task, *numbers = sys.argv[1:]
    answer = drain(client) if task == "drain" else pick_up(client, *map(float, numbers))
    print(json.dumps(answer))
    client.connection.close()


if __name__ == "__main__":
    main()
