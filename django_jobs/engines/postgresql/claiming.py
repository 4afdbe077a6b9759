"""Claims and their leases: `claim`, `extend`, `release`, `close`, `sweep`.

Nothing here ever waits for a lock, but `release`. A claim's id is drawn in a subselect of its
own, since a volatile function elsewhere is called once per row.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django_jobs import clock
from django_jobs.engines.base import Answer, ClaimedJob, Extension, Hold, Only
from django_jobs.engines.lanes import LANES, Lane, in_turn
from django_jobs.engines.postgresql.ends import heard, telling
from django_jobs.engines.postgresql.literals import numbers, texts
from django_jobs.engines.postgresql.sessions import Session
from django_jobs.states import State

LANES_AGE = 1.0
"""Seconds for which lanes are remembered while every claim comes back full."""


class Claiming(Session):
    """The verbs about claims."""

    _lanes: tuple[Lane, ...] = ()
    _lanes_of: frozenset[str] | None = None
    _lanes_until: float | None = None

    CLAIM = """
        WITH lane AS (
            SELECT * FROM unnest(%(queues)s::text[], %(priorities)s::smallint[])
                WITH ORDINALITY AS l(queue, priority, turn)
            WHERE l.queue <> ALL (ARRAY(
                SELECT name FROM django_jobs_queue
                WHERE paused_at IS NOT NULL AND (paused_until IS NULL
                    OR paused_until > coalesce(%(now)s::timestamptz, statement_timestamp()))))
        ), candidate AS MATERIALIZED (
            SELECT ready.id, ready.lost_count, ready.run_at, lane.turn
            FROM lane CROSS JOIN LATERAL (
                SELECT id, lost_count, run_at FROM django_jobs_job
                WHERE state = 'READY' AND queue = lane.queue AND priority = lane.priority
                    AND (%(solo)s::boolean OR lost_count = 0)
                ORDER BY run_at, id
                LIMIT %(limit)s::bigint
                FOR NO KEY UPDATE SKIP LOCKED) AS ready
            LIMIT %(limit)s::bigint
        ), leader AS MATERIALIZED (
            SELECT id, lost_count FROM candidate ORDER BY turn, run_at, id LIMIT 1
        ), number AS MATERIALIZED (
            SELECT nextval(pg_get_serial_sequence('django_jobs_claim', 'id')) AS id
        ), taken AS (
            UPDATE django_jobs_job AS job
            SET state = 'RUNNING', attempt = job.attempt + 1, claim_id = number.id,
                started_at = coalesce(%(now)s::timestamptz, statement_timestamp())
            FROM candidate, leader, number
            WHERE job.id = candidate.id AND CASE WHEN leader.lost_count > 0
                THEN candidate.id = leader.id ELSE candidate.lost_count = 0 END
            RETURNING job.id, job.claim_id, job.name, job.queue, job.priority, job.args::text,
                job.kwargs::text, job.attempt, job.max_attempts, job.lost_count,
                job.planned_at, job.has_steps, candidate.turn, candidate.run_at
        ), claim AS (
            INSERT INTO django_jobs_claim (id, worker, expires_at, job_ids, cancel_ids)
            SELECT number.id, %(worker)s,
                coalesce(%(now)s::timestamptz, statement_timestamp())
                    + %(lease)s::float8 * interval '1 second', held.ids, '{}'
            FROM number, (SELECT array_agg(id ORDER BY id) AS ids FROM taken) AS held
            WHERE held.ids IS NOT NULL
        )
        SELECT id, claim_id, name, queue, priority, args, kwargs, attempt, max_attempts,
            lost_count, planned_at, has_steps,
            extract(epoch FROM
                coalesce(%(now)s::timestamptz, statement_timestamp()) - run_at)::float8
        FROM taken ORDER BY turn, run_at, id
    """

    CLAIM_ONLY = CLAIM.replace(
        """SELECT id, lost_count, run_at FROM django_jobs_job
                WHERE state = 'READY' AND queue = lane.queue AND priority = lane.priority
                    AND (%(solo)s::boolean OR lost_count = 0)
                ORDER BY run_at, id
                LIMIT %(limit)s::bigint
                FOR NO KEY UPDATE SKIP LOCKED""",
        """SELECT free.id, free.lost_count, free.run_at
                FROM (
                    SELECT id FROM django_jobs_job
                    WHERE state = 'READY' AND queue = lane.queue AND priority = lane.priority
                        AND (%(solo)s::boolean OR lost_count = 0)
                    ORDER BY run_at, id
                    LIMIT %(window)s::bigint) AS near
                CROSS JOIN LATERAL (
                    SELECT id, lost_count, run_at FROM django_jobs_job AS job
                    WHERE job.id = near.id AND job.state = 'READY'
                        AND (job.name = ANY(%(names)s::text[])) <> %(but)s::boolean
                    LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS free
                LIMIT %(limit)s::bigint""",
    )

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
        """Take ready jobs of the remembered lanes, or of new ones when those give nothing."""
        params = {"limit": limit, "worker": worker, "lease": lease, "solo": solo, "now": now}
        if only is not None:
            params |= {"window": self.WINDOW, "names": texts(only.names), "but": only.but}
        wanted = None if queues is None else frozenset(queues)
        remembered = self._remembers(wanted)
        if not remembered:
            self._look_for_lanes(wanted)
        claimed = self._claim(params)
        if remembered and not claimed and self._look_for_lanes(wanted):
            claimed = self._claim(params)
        if len(claimed) < limit:
            self._lanes_until = None
        return claimed

    def _claim(self, params: dict[str, Any]) -> list[ClaimedJob]:
        if not self._lanes:
            return []
        self.turn += 1
        lanes = in_turn(self._lanes, self.turn)
        params["queues"] = texts(queue for queue, _ in lanes)
        params["priorities"] = numbers(priority for _, priority in lanes)
        statement = self.CLAIM_ONLY if "names" in params else self.CLAIM
        return [ClaimedJob(*row) for row in self.rows(statement, params)]

    def _remembers(self, queues: frozenset[str] | None) -> bool:
        until = self._lanes_until
        return until is not None and clock.monotonic() < until and queues == self._lanes_of

    def _look_for_lanes(self, queues: frozenset[str] | None) -> bool:
        """Read the lanes of `queues`; say whether there are others than before."""
        rows: list[Any] = self.rows(LANES, {})
        lanes = tuple(row for row in rows if queues is None or row[0] in queues)
        changed = lanes != self._lanes
        self._lanes, self._lanes_of = lanes, queues
        self._lanes_until = clock.monotonic() + LANES_AGE
        return changed

    EXTEND = """
        WITH held AS MATERIALIZED (
            SELECT id FROM django_jobs_claim WHERE id = ANY(%(claims)s::bigint[])
            ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
        ), extended AS (
            UPDATE django_jobs_claim AS claim
            SET expires_at = coalesce(%(now)s::timestamptz, statement_timestamp())
                + %(lease)s::float8 * interval '1 second'
            FROM held WHERE claim.id = held.id
            RETURNING claim.id, claim.job_ids, claim.cancel_ids
        )
        SELECT claim.id, extended.id IS NOT NULL, extended.job_ids, extended.cancel_ids
        FROM django_jobs_claim AS claim LEFT JOIN extended ON extended.id = claim.id
        WHERE claim.id = ANY(%(claims)s::bigint[])
    """

    def extend(
        self, claim_ids: Sequence[int], lease: float, now: datetime | None = None
    ) -> dict[int, Extension]:
        """Push the deadline of the claims that nobody has locked."""
        params = {"claims": numbers(claim_ids), "lease": lease, "now": now}
        answers = {claim_id: Extension(Answer.MISSING) for claim_id in claim_ids}
        for claim_id, extended, job_ids, cancel_ids in self.rows(self.EXTEND, params):
            answers[claim_id] = (
                Extension(Answer.EXTENDED, frozenset(job_ids), frozenset(cancel_ids))
                if extended
                else Extension(Answer.BUSY)
            )
        return answers

    RELEASE = telling(
        "released",
        """
        WITH asked AS (
            SELECT * FROM unnest(%(ids)s::bigint[], %(claims)s::bigint[]) AS a(id, claim_id)
        ), released AS (
        UPDATE django_jobs_job AS job
        SET state = CASE WHEN job.cancel_requested_at IS NOT NULL THEN 'CANCELLED'
                WHEN %(delay)s::float8 > 0 THEN 'SCHEDULED' ELSE 'READY' END,
            claim_id = NULL,
            attempt = job.attempt - 1,
            run_at = CASE WHEN %(delay)s::float8 > 0
                THEN coalesce(%(now)s::timestamptz, statement_timestamp())
                    + %(delay)s::float8 * interval '1 second'
                ELSE job.run_at END,
            finished_at = CASE WHEN job.cancel_requested_at IS NOT NULL
                THEN coalesce(%(now)s::timestamptz, statement_timestamp()) END,
            unknown_since = CASE WHEN %(unknown)s::boolean
                THEN coalesce(job.unknown_since, %(now)s::timestamptz, statement_timestamp())
                ELSE job.unknown_since END
        FROM asked
        WHERE job.id = asked.id AND job.claim_id = asked.claim_id
        RETURNING job.id, asked.claim_id, job.name, job.state, job.watched
        ), TOLD
        SELECT id, claim_id FROM released
    """,
    )
    RELEASE_SKIPPING = RELEASE.replace(
        "FROM asked\n",
        """FROM asked CROSS JOIN LATERAL (
            SELECT id FROM django_jobs_job AS free
            WHERE free.id = asked.id AND free.claim_id = asked.claim_id
            LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS free\n""",
    )

    def release(
        self,
        holds: Sequence[Hold],
        *,
        delay: float = 0.0,
        unknown: bool = False,
        patient: bool = True,
        now: datetime | None = None,
    ) -> set[Hold]:
        """Hand back jobs that never started; their place in line is kept unless delayed."""
        ordered = sorted(holds)
        params = {
            "ids": numbers(hold.job_id for hold in ordered),
            "claims": numbers(hold.claim_id for hold in ordered),
            "delay": delay,
            "unknown": unknown,
            **heard((State.CANCELLED,)),
            "now": now,
        }
        rows = self.patient_rows(self.RELEASE if patient else None, self.RELEASE_SKIPPING, params)
        return {Hold(*row) for row in rows}

    CLOSE = """
        DELETE FROM django_jobs_claim AS claim
        WHERE claim.id = ANY(%(claims)s::bigint[]) AND NOT EXISTS (
            SELECT 1 FROM unnest(claim.job_ids) AS held(id)
            JOIN django_jobs_job AS job ON job.id = held.id
            WHERE job.claim_id = claim.id)
        RETURNING claim.id
    """

    def close(self, claim_ids: Sequence[int]) -> int:
        """Delete those of `claim_ids` under which no job runs any more."""
        return len(self.rows(self.CLOSE, {"claims": numbers(sorted(claim_ids))}))

    SWEEP = """
        DELETE FROM django_jobs_claim WHERE id = ANY(ARRAY(
            SELECT claim.id FROM django_jobs_claim AS claim
            WHERE claim.expires_at < coalesce(%(now)s::timestamptz, statement_timestamp())
                AND NOT EXISTS (
                    SELECT 1 FROM unnest(claim.job_ids) AS held(id)
                    JOIN django_jobs_job AS job ON job.id = held.id
                    WHERE job.claim_id = claim.id)
            ORDER BY claim.id
            LIMIT %(limit)s::bigint
            FOR NO KEY UPDATE OF claim SKIP LOCKED))
        RETURNING id
    """

    def sweep(self, limit: int, now: datetime | None = None) -> int:
        """Delete expired claims under which no job runs any more."""
        return len(self.rows(self.SWEEP, {"limit": limit, "now": now}))
