"""The engine for SQLite: one write lock, so every verb reads, decides and writes under it.

Only the hot verbs are written anew; the rest is the portable engine's.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from django_jobs.engines.base import (
    ClaimedJob,
    Finish,
    Finished,
    Hold,
    Inserted,
    NewJob,
    Only,
)
from django_jobs.engines.beating import Beating
from django_jobs.engines.endings import JobEnding, RunEnding, job_ending, run_ending
from django_jobs.engines.lanes import LANES, Lane, in_turn
from django_jobs.engines.orm.claiming import Candidate, chosen
from django_jobs.engines.orm.ends import Ended
from django_jobs.engines.orm.inserting import first_run_at
from django_jobs.engines.orm.stepping import step_row, wake_at
from django_jobs.engines.sqlite.listening import Listening
from django_jobs.engines.sqlite.tallying import Upserting
from django_jobs.engines.steps import Memo, StepRecord
from django_jobs.serializers import load
from django_jobs.states import StepState

PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"


class SQLiteEngine(Listening, Beating, Upserting):
    """All verbs on SQLite (3.37 or newer)."""

    # Its lock is not fair: without a pause a web request waits for a third of a second.
    breather = 0.002

    @staticmethod
    def own_options(options: dict[str, Any], purpose: str, lease: float) -> dict[str, Any]:
        """Return `options` with write transactions from their start, and patience for the lock."""
        del purpose, lease
        commands = f"{options.get('init_command', '')}; {PRAGMAS}"
        return {
            **options,
            "transaction_mode": "IMMEDIATE",
            "timeout": max(options.get("timeout", 0), 5),
            "init_command": commands,
        }

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a write transaction from its start, or join the caller's."""
        connection: Any = self.connection
        if connection.in_atomic_block:
            with transaction.atomic(using=self.alias, savepoint=False):
                yield
            return
        connection.ensure_connection()  # which sets the mode that is changed here
        mode, connection.transaction_mode = connection.transaction_mode, "IMMEDIATE"
        try:
            with transaction.atomic(using=self.alias):
                yield
        finally:
            connection.transaction_mode = mode

    INSERT = """
        INSERT INTO django_jobs_job (
            name, queue, priority, args, kwargs, state, run_at, max_attempts, max_lost,
            enqueued_at, watched, about, enqueued_by, unique_key, attempt, lost_count, fingerprint,
            version)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, '', '')
    """
    INSERT_UNIQUE = f"""{INSERT}
        ON CONFLICT (unique_key)
        WHERE state IN ('READY', 'RUNNING', 'SCHEDULED', 'WAITING') AND unique_key IS NOT NULL
        DO NOTHING
        RETURNING id
    """
    LIVE_JOB = """
        SELECT id FROM django_jobs_job
        WHERE unique_key = %s AND unique_key IS NOT NULL
            AND state IN ('READY', 'RUNNING', 'SCHEDULED', 'WAITING')
    """

    def insert(self, jobs: Sequence[NewJob], now: datetime | None = None) -> list[Inserted]:
        """Write `jobs` on the caller's connection, in order."""
        now = self.at(now)
        rows = [self._new_row(job, now) for job in jobs]
        if len(rows) == 1 and rows[0][-1] is None:
            with self.connection.cursor() as cursor:
                cursor.execute(f"{self.INSERT} RETURNING id", rows[0])
                return [Inserted(cursor.fetchone()[0], True)]
        with self.transaction():
            if any(row[-1] is not None for row in rows):
                return [self._insert_unique(row) for row in rows]
            return self._insert_many(rows)

    def _insert_many(self, rows: list[tuple[Any, ...]]) -> list[Inserted]:
        if not rows:
            return []
        with self.connection.cursor() as cursor:
            cursor.executemany(self.INSERT, rows)
            cursor.execute("SELECT last_insert_rowid()")
            last: int = cursor.fetchone()[0]
        # AUTOINCREMENT under the write lock: the ids of one batch follow each other.
        return [Inserted(job_id, True) for job_id in range(last - len(rows) + 1, last + 1)]

    def _insert_unique(self, row: tuple[Any, ...]) -> Inserted:
        statements = ((self.INSERT_UNIQUE, row, True), (self.LIVE_JOB, row[-1:], False))
        with self.connection.cursor() as cursor:
            for statement, params, created in statements:
                cursor.execute(statement, params)
                if found := cursor.fetchone():
                    return Inserted(found[0], created)
        raise IntegrityError(f"unique_key {row[-1]!r} is taken by no live job")

    def _new_row(self, job: NewJob, now: datetime) -> tuple[Any, ...]:
        run_at = first_run_at(job, now)
        enqueued = self.stored(now)
        return (
            job.name,
            job.queue,
            job.priority,
            job.args,
            job.kwargs,
            "SCHEDULED" if run_at > now else "READY",
            enqueued if run_at is now else self.stored(run_at),
            job.max_attempts,
            job.max_lost,
            enqueued,
            job.watched,
            job.about,
            job.enqueued_by,
            job.unique_key,
        )

    CANDIDATES = """
        SELECT id, lost_count FROM django_jobs_job
        WHERE state = 'READY' AND queue = %s AND priority = %s AND lost_count <= %s
        ORDER BY run_at, id
        LIMIT %s
    """
    NEAR_CANDIDATES = """
        SELECT id, lost_count FROM (
            SELECT id, lost_count, run_at, name FROM django_jobs_job
            WHERE state = 'READY' AND queue = %s AND priority = %s AND lost_count <= %s
            ORDER BY run_at, id
            LIMIT %s)
        WHERE (name IN (SELECT value FROM json_each(%s))) <> %s
        ORDER BY run_at, id
        LIMIT %s
    """
    NEW_CLAIM = """
        INSERT INTO django_jobs_claim (worker, expires_at, job_ids, cancel_ids)
        VALUES (%s, %s, %s, '[]')
        RETURNING id
    """
    CLAIM = """
        UPDATE django_jobs_job
        SET state = 'RUNNING', attempt = attempt + 1, claim_id = %s, started_at = %s
        WHERE id IN (SELECT value FROM json_each(%s)) AND state = 'READY'
        RETURNING id, claim_id, name, queue, priority, args, kwargs, attempt, max_attempts,
            lost_count, planned_at, has_steps, (julianday(started_at) - julianday(run_at)) * 86400
    """

    def claim(  # noqa: PLR0913 - most of them by name only
        self,
        queues: Collection[str] | None,
        limit: int,
        worker: str,
        lease: float,
        *,
        solo: bool = True,
        only: Only | None = None,
        now: datetime | None = None,
    ) -> list[ClaimedJob]:
        """Take ready jobs lane by lane; nobody else can write meanwhile."""
        if not (self.connection.in_atomic_block or self._lanes()):
            return []  # without the write lock, which an idle worker would take again and again
        with self.transaction():
            now = self.at(now)  # after the wait for the lock: nothing has begun before it was had
            ids = chosen(self._candidates(queues, limit, now, solo=solo, only=only))
            if not ids:
                return []
            until = self.stored(now + timedelta(seconds=lease))
            with self.connection.cursor() as cursor:
                cursor.execute(self.NEW_CLAIM, (worker, until, json.dumps(sorted(ids))))
                claim_id = cursor.fetchone()[0]
                cursor.execute(self.CLAIM, (claim_id, self.stored(now), json.dumps(ids)))
                rows = {row[0]: self._claimed(row) for row in cursor.fetchall()}
        return [rows[job_id] for job_id in ids]

    def _claimed(self, row: tuple[Any, ...]) -> ClaimedJob:
        job = ClaimedJob(*row)
        if not job.has_steps and job.planned_at is None:
            return job
        job = job._replace(has_steps=bool(job.has_steps))
        return job._replace(planned_at=self.read(job.planned_at))

    def _candidates(
        self,
        queues: Collection[str] | None,
        limit: int,
        now: datetime,
        *,
        solo: bool,
        only: Only | None,
    ) -> list[Candidate]:
        self.turn += 1
        losses = 32767 if solo else 0
        found: list[Candidate] = []
        lanes = self._lanes()
        paused = self.paused(now) if lanes else set()
        open_lanes = [
            (queue, priority)
            for queue, priority in lanes
            if queue not in paused and (queues is None or queue in queues)
        ]
        for lane in in_turn(open_lanes, self.turn):
            if len(found) < limit:
                found += self._in_lane((*lane, losses), limit - len(found), only)
        return found

    def _in_lane(
        self, lane: tuple[str, int, int], limit: int, only: Only | None
    ) -> list[Candidate]:
        with self.connection.cursor() as cursor:
            if only is None:
                cursor.execute(self.CANDIDATES, (*lane, limit))
            else:
                names = json.dumps(only.names)
                params = (*lane, self.WINDOW, names, only.but, limit)
                cursor.execute(self.NEAR_CANDIDATES, params)
            return list(cursor.fetchall())

    def _lanes(self) -> list[Lane]:
        with self.connection.cursor() as cursor:
            cursor.execute(LANES)
            return list(cursor.fetchall())

    HELD = """
        SELECT id, claim_id, attempt, cancel_requested_at, woken, name, watched FROM django_jobs_job
        WHERE id IN (SELECT value FROM json_each(%s)) AND claim_id IS NOT NULL
    """
    FINISH = """
        UPDATE django_jobs_job
        SET state = %s, attempt = %s, lost_count = coalesce(%s, lost_count),
            run_at = coalesce(%s, run_at), finished_at = %s,
            fingerprint = coalesce(%s, fingerprint), waiting_for = %s,
            claim_id = NULL, unknown_since = NULL, woken = 0
        WHERE id = %s AND claim_id = %s
    """
    RECORD = """
        INSERT INTO django_jobs_job_run (
            job_id, claim_id, attempt, outcome, started_at, finished_at, worker, result,
            error_type, error, error_text, traceback, fingerprint, log)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    """

    def finish(
        self,
        finishes: Sequence[Finish],
        worker: str,
        now: datetime | None = None,
        *,
        patient: bool = True,
    ) -> Finished:
        """Write how runs ended: read what is still held, decide, write it in two batches."""
        del patient
        now = self.at(now)
        with self.transaction():
            with self.connection.cursor() as cursor:
                ids = json.dumps([finish.hold.job_id for finish in finishes])
                cursor.execute(self.HELD, (ids,))
                held = {Hold(row[0], row[1]): row[2:] for row in cursor.fetchall()}
                jobs, runs, ends = self._endings(finishes, held, worker, now)
                cursor.executemany(self.FINISH, jobs)
                cursor.executemany(self.RECORD, runs)
            told = self.tell_ends(ends.values(), now)
            self.forget_lines(finish for finish in finishes if finish.hold in ends)
            return self.account(finishes, ends, now, told=told)

    def _endings(
        self,
        finishes: Sequence[Finish],
        held: dict[Hold, tuple[Any, ...]],
        worker: str,
        now: datetime,
    ) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], dict[Hold, Ended]]:
        jobs, runs = [], []
        ends: dict[Hold, Ended] = {}
        for finish in finishes:
            hold = finish.hold
            if hold not in held or hold in ends:
                continue
            attempt, asked_at, woken, name, watched = held[hold]
            asked = asked_at is not None
            ending = job_ending(finish, attempt, now, asked_to_stop=asked, woken=woken)
            jobs.append((*self._in_store(ending), *hold))
            if run := run_ending(finish, attempt, worker, now, asked_to_stop=asked):
                runs.append(self._in_store(run))
            ends[hold] = Ended(hold.job_id, name, ending.state, watched)
        return jobs, runs, ends

    def _in_store(self, ending: JobEnding | RunEnding) -> tuple[Any, ...]:
        stored = self.stored
        if isinstance(ending, JobEnding):
            state, attempt, lost_count, run_at, finished_at, *rest = ending
            return state.value, attempt, lost_count, stored(run_at), stored(finished_at), *rest
        job_id, claim_id, attempt, outcome, started_at, ended_at, *rest = ending
        ids = job_id, claim_id, attempt
        return *ids, outcome.value, stored(started_at), stored(ended_at), *rest

    CLOSE = """
        DELETE FROM django_jobs_claim
        WHERE id IN (SELECT value FROM json_each(%s)) AND NOT EXISTS (
            SELECT 1 FROM json_each(django_jobs_claim.job_ids) AS held
            JOIN django_jobs_job AS job ON job.id = held.value
            WHERE job.claim_id = django_jobs_claim.id)
    """

    def close(self, claim_ids: Sequence[int]) -> int:
        """Delete those of `claim_ids` under which no job runs any more."""
        with self.transaction(), self.connection.cursor() as cursor:
            cursor.execute(self.CLOSE, (json.dumps(list(claim_ids)),))
            return int(cursor.rowcount)

    LOAD_STEPS = """
        SELECT key, state, position, result, attempts, error_type, error, wake_at
        FROM django_jobs_job_step WHERE job_id = %s
    """

    def load_steps(self, job_id: int, now: datetime | None = None) -> dict[str, Memo]:
        """Return what is on record of all steps of a job, by key."""
        now = self.at(now)
        with self.connection.cursor() as cursor:
            cursor.execute(self.LOAD_STEPS, (job_id,))
            return {key: self._memo(row, now) for key, *row in cursor.fetchall()}

    def _memo(self, row: list[Any], now: datetime) -> Memo:
        state, position, result, *rest, text = row
        wake_at = self.read(text)
        due = wake_at is not None and wake_at <= now
        return Memo._make((StepState(state), position, load(result), *rest, wake_at, due))

    MARK = """
        UPDATE django_jobs_job
        SET has_steps = 1, lost_count = CASE %s WHEN 'done' THEN 0 ELSE lost_count END
        WHERE id = %s AND claim_id = %s
    """
    SAVE_STEP = """
        INSERT INTO django_jobs_job_step (
            job_id, key, position, state, result, attempts, error_type, error, wake_at,
            started_at, finished_at, claim_id)
        SELECT id, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, claim_id FROM django_jobs_job
        WHERE id = %s AND claim_id = %s
        ON CONFLICT (job_id, key) DO UPDATE
        SET position = excluded.position, state = excluded.state, result = excluded.result,
            attempts = excluded.attempts, error_type = excluded.error_type,
            error = excluded.error, wake_at = excluded.wake_at,
            started_at = excluded.started_at, finished_at = excluded.finished_at,
            claim_id = excluded.claim_id
        WHERE state <> 'done'
    """

    def save_step(
        self, hold: Hold, step: StepRecord, *, first: bool, now: datetime | None = None
    ) -> datetime | None:
        """Write a step while the job runs under the claim."""
        now = self.at(now)
        row = step_row(step, now)
        row[7:10] = [self.stored(instant) for instant in row[7:10]]
        around = self.transaction() if first else nullcontext()
        with around, self.connection.cursor() as cursor:
            if first:
                cursor.execute(self.MARK, (step.state.value, *hold))
            cursor.execute(self.SAVE_STEP, (*row, *hold))
            return (wake_at(step, now) or now) if cursor.rowcount else None

    def read(self, text: Any) -> datetime | None:
        """Return the instant that `stored` gave `text` of."""
        if text is None:
            return None
        naive = datetime.fromisoformat(str(text))
        return naive.replace(tzinfo=self.connection.timezone).astimezone(UTC)

    def stored(self, instant: datetime | None) -> str | None:
        """Return `instant` as Django stores it here: a naive text in the connection's zone."""
        if instant is None:
            return None
        # What adapt_datetimefield_value() does, in a third of its time; a run needs it thrice.
        return str(instant.astimezone(self.connection.timezone).replace(tzinfo=None))
