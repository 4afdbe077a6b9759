"""Duties that every worker does for all: `promote` and `rescue`. They never wait for a lock."""

from datetime import datetime
from typing import Any

from django_jobs.engines.base import Rescued
from django_jobs.engines.endings import LOST_FINGERPRINT, LOST_TEXTS, WORKER_LOST
from django_jobs.engines.postgresql.ends import heard, telling
from django_jobs.engines.postgresql.sessions import Session
from django_jobs.states import State


class Rescuing(Session):
    """The verbs of the maintenance duties."""

    PROMOTE = """
        WITH due AS MATERIALIZED (
            SELECT id FROM django_jobs_job
            WHERE state IN ('SCHEDULED', 'WAITING')
                AND run_at <= coalesce(%(now)s::timestamptz, statement_timestamp())
            ORDER BY run_at
            LIMIT %(limit)s::bigint
            FOR NO KEY UPDATE SKIP LOCKED
        ), promoted AS (
            UPDATE django_jobs_job AS job SET state = 'READY', waiting_for = NULL
            FROM due WHERE job.id = due.id
            RETURNING job.queue
        )
        SELECT queue FROM promoted
        UNION SELECT %(events)s WHERE EXISTS (
            SELECT FROM django_jobs_event WHERE handed_out_at IS NULL)
    """

    def promote(self, limit: int, now: datetime | None = None) -> set[str]:
        """Make due jobs READY; they keep `run_at` as their place in line."""
        rows = self.rows(self.PROMOTE, {"limit": limit, "now": now, "events": self.EVENTS})
        return {queue for (queue,) in rows}

    RESCUE = telling(
        "rescued",
        """
        WITH dead AS MATERIALIZED (
            SELECT id, expires_at, worker, job_ids FROM django_jobs_claim
            WHERE expires_at < coalesce(%(now)s::timestamptz, statement_timestamp())
                AND (expires_at, id) > (%(after)s::timestamptz, %(after_id)s::bigint)
            ORDER BY expires_at, id
            LIMIT %(limit)s::bigint
            FOR NO KEY UPDATE SKIP LOCKED
        ), found AS MATERIALIZED (
            SELECT dead.id AS claim_id, dead.worker, dead.expires_at, free.id
            FROM dead CROSS JOIN LATERAL unnest(dead.job_ids) AS held(id)
            CROSS JOIN LATERAL (
                SELECT id FROM django_jobs_job AS job
                WHERE job.id = held.id AND job.claim_id = dead.id
                LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS free
        ), rescued AS (
            UPDATE django_jobs_job AS job
            SET state = CASE WHEN job.cancel_requested_at IS NOT NULL THEN 'CANCELLED'
                    WHEN job.lost_count + 1 > job.max_lost THEN 'FAILED' ELSE 'READY' END,
                claim_id = NULL,
                attempt = job.attempt - 1,
                lost_count = job.lost_count + 1,
                run_at = CASE WHEN job.cancel_requested_at IS NOT NULL
                    OR job.lost_count + 1 > job.max_lost THEN job.run_at
                    ELSE coalesce(%(now)s::timestamptz, statement_timestamp()) END,
                finished_at = CASE WHEN job.cancel_requested_at IS NOT NULL
                    OR job.lost_count + 1 > job.max_lost
                    THEN coalesce(%(now)s::timestamptz, statement_timestamp()) END,
                fingerprint = CASE WHEN job.cancel_requested_at IS NULL
                    AND job.lost_count + 1 > job.max_lost THEN %(fingerprint)s
                    ELSE job.fingerprint END
            FROM found WHERE job.id = found.id
            RETURNING job.id, found.claim_id, found.worker, found.expires_at, job.queue,
                job.state, job.attempt + 1 AS attempt, job.started_at, job.name, job.watched
        ), recorded AS (
            INSERT INTO django_jobs_job_run (
                job_id, claim_id, attempt, outcome, started_at, finished_at, worker,
                error_type, error, error_text, traceback, fingerprint, log)
            SELECT id, claim_id, attempt, 'lost', started_at,
                coalesce(%(now)s::timestamptz, statement_timestamp()), worker,
                %(error_type)s, left(said.text, 255), said.text, '', %(fingerprint)s, ''
            FROM rescued CROSS JOIN LATERAL (SELECT replace(replace(
                CASE state WHEN 'READY' THEN %(ready)s WHEN 'FAILED' THEN %(failed)s
                    ELSE %(cancelled)s END,
                '{deadline}', to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')),
                '{worker}', worker) AS text) AS said
        ), gone AS MATERIALIZED (
            SELECT claim_id, array_agg(id) AS ids FROM rescued GROUP BY claim_id
        ), shrunk AS (
            UPDATE django_jobs_claim AS claim
            SET job_ids = ARRAY(
                SELECT id FROM unnest(claim.job_ids) AS left_over(id)
                WHERE id <> ALL (gone.ids) ORDER BY id)
            FROM gone WHERE claim.id = gone.claim_id
        ), TOLD
        SELECT dead.id, dead.expires_at, dead.worker, rescued.id, rescued.queue, rescued.state,
            rescued.name
        FROM dead LEFT JOIN rescued ON rescued.claim_id = dead.id
        ORDER BY dead.expires_at, dead.id, rescued.id
    """,
    )

    def rescue(self, limit: int, now: datetime | None = None) -> list[Rescued]:
        """Take the jobs of expired claims, page by page, each page in its own statement."""
        params: dict[str, Any] = {
            "limit": limit,
            "now": now,
            "after": "-infinity",
            "after_id": 0,
            "error_type": WORKER_LOST,
            "fingerprint": LOST_FINGERPRINT,
            **heard((State.FAILED, State.CANCELLED)),
            "ready": LOST_TEXTS[State.READY],
            "failed": LOST_TEXTS[State.FAILED],
            "cancelled": LOST_TEXTS[State.CANCELLED],
        }
        rescued: list[Rescued] = []
        while True:
            page = self.rows(self.RESCUE, params)
            rescued += [
                Rescued(job_id, claim_id, queue, State(state), worker, name)
                for claim_id, _, worker, job_id, queue, state, name in page
                if job_id is not None
            ]
            if len({row[0] for row in page}) < limit:
                return rescued
            params["after_id"], params["after"] = page[-1][:2]
