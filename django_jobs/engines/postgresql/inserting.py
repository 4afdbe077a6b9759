"""Inserting new jobs: `insert`. One statement for one job, one for each thousand."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError

from django_jobs.engines.base import Inserted, NewJob
from django_jobs.engines.orm.inserting import TRIES
from django_jobs.engines.postgresql.literals import numbers, texts
from django_jobs.engines.postgresql.sessions import Session

BLOCK = 1000
"""Jobs per statement: more of them gain nothing."""


class Inserting(Session):
    """The verb that writes new jobs."""

    INSERT = """
        INSERT INTO django_jobs_job (
            name, queue, priority, args, kwargs, state, run_at, max_attempts, max_lost,
            enqueued_at, about, enqueued_by)
        VALUES (
            %s, %s, %s, %s, %s, 'READY', statement_timestamp(), %s, %s, statement_timestamp(), %s,
            %s)
        RETURNING id
    """

    def insert(self, jobs: Sequence[NewJob], now: datetime | None = None) -> list[Inserted]:
        """Write `jobs` on the caller's connection, in order."""
        if len(jobs) == 1 and now is None:
            job = jobs[0]
            if job.later is None and job.unique_key is None and not job.watched:
                return [self._insert_plain(job)]
        if len(jobs) <= BLOCK:
            return self._insert_block(jobs, now)
        inserted: list[Inserted] = []
        with self.transaction():
            for start in range(0, len(jobs), BLOCK):
                inserted += self._insert_block(jobs[start : start + BLOCK], now)
        return inserted

    def _insert_plain(self, job: NewJob) -> Inserted:
        with self.connection.cursor() as cursor:
            cursor.execute(
                self.INSERT,
                (
                    job.name,
                    job.queue,
                    job.priority,
                    job.args,
                    job.kwargs,
                    job.max_attempts,
                    job.max_lost,
                    job.about,
                    job.enqueued_by,
                ),
            )
            return Inserted(cursor.fetchone()[0], True)

    INSERT_MANY = """
        WITH asked AS MATERIALIZED (
            SELECT nextval(pg_get_serial_sequence('django_jobs_job', 'id')) AS id, a.*,
                coalesce(%(now)s::timestamptz, statement_timestamp()) AS now
            FROM unnest(
                %(names)s::text[], %(queues)s::text[], %(priorities)s::smallint[],
                %(args)s::text[], %(kwargs)s::text[], %(instants)s::timestamptz[],
                %(delays)s::float8[], %(max_attempts)s::smallint[], %(max_lost)s::smallint[],
                %(keys)s::text[], %(watched)s::boolean[], %(abouts)s::text[],
                %(origins)s::text[]) WITH ORDINALITY AS a(
                name, queue, priority, args, kwargs, instant, delay, max_attempts, max_lost,
                unique_key, watched, about, enqueued_by, place)
        ), due AS (
            SELECT *, coalesce(instant, now + delay * interval '1 second', now) AS run_at
            FROM asked
        ), inserted AS (
            INSERT INTO django_jobs_job (
                id, name, queue, priority, args, kwargs, state, run_at, max_attempts, max_lost,
                enqueued_at, unique_key, watched, about, enqueued_by)
            SELECT id, name, queue, priority, args::jsonb, kwargs::jsonb,
                CASE WHEN run_at > now THEN 'SCHEDULED' ELSE 'READY' END, run_at,
                max_attempts, max_lost, now, unique_key, watched, about, enqueued_by
            FROM due ORDER BY place
            ON CONFLICT (unique_key)
            WHERE state IN ('READY', 'RUNNING', 'SCHEDULED', 'WAITING')
                AND unique_key IS NOT NULL
            DO NOTHING
            RETURNING id
        )
        SELECT asked.place, asked.id FROM asked JOIN inserted ON inserted.id = asked.id
    """
    LIVE_JOBS = """
        SELECT unique_key, id FROM django_jobs_job
        WHERE unique_key = ANY(%(keys)s::text[]) AND unique_key IS NOT NULL
            AND state IN ('READY', 'RUNNING', 'SCHEDULED', 'WAITING')
    """

    def _insert_block(self, jobs: Sequence[NewJob], now: datetime | None) -> list[Inserted]:
        found: dict[int, Inserted] = {}
        for _ in range(TRIES):
            missing = [place for place in range(len(jobs)) if place not in found]
            if not missing:
                return [found[place] for place in range(len(jobs))]
            params = _columns([jobs[place] for place in missing], now)
            with self.connection.cursor() as cursor:
                cursor.execute(self.INSERT_MANY, params)
                for place, job_id in cursor.fetchall():
                    found[missing[place - 1]] = Inserted(job_id, True)
            self._find_taken(jobs, found)
        raise IntegrityError("Some unique_key is taken and free by turns")

    def _find_taken(self, jobs: Sequence[NewJob], found: dict[int, Inserted]) -> None:
        missing = {
            place: jobs[place].unique_key for place in range(len(jobs)) if place not in found
        }
        if not missing:
            return
        with self.connection.cursor() as cursor:
            cursor.execute(self.LIVE_JOBS, {"keys": texts(missing.values())})
            live = dict(cursor.fetchall())
        for place, key in missing.items():
            if key in live:
                found[place] = Inserted(live[key], False)


def _columns(jobs: Sequence[NewJob], now: datetime | None) -> dict[str, Any]:
    later = [job.later for job in jobs]
    instants = [each.instant.isoformat() if each and each.instant else None for each in later]
    delays = [each.seconds if each and not each.instant else None for each in later]
    return {
        "now": now,
        "names": texts(job.name for job in jobs),
        "queues": texts(job.queue for job in jobs),
        "priorities": numbers(job.priority for job in jobs),
        "args": texts(job.args for job in jobs),
        "kwargs": texts(job.kwargs for job in jobs),
        "instants": texts(instants),
        "delays": numbers(delays),
        "max_attempts": numbers(job.max_attempts for job in jobs),
        "max_lost": numbers(job.max_lost for job in jobs),
        "keys": texts(job.unique_key for job in jobs),
        "watched": numbers(job.watched for job in jobs),
        "abouts": texts(job.about for job in jobs),
        "origins": _few(job.enqueued_by for job in jobs),
    }


def _few(values: Iterable[str | None]) -> str:
    """Return the literal of an array of texts that most blocks have none of.

    An array that is too short is filled up with NULL: an empty one costs nothing.
    """
    found = list(values)
    return texts(found) if any(found) else "{}"
