"""Steps: reading and writing them, each in one statement, which is one round trip."""

from datetime import datetime
from typing import Any

from django_jobs.engines.base import Hold
from django_jobs.engines.postgresql.sessions import Session
from django_jobs.engines.steps import Memo, StepRecord
from django_jobs.serializers import clean_text, load
from django_jobs.states import StepState


class Stepping(Session):
    """The verbs that read and write steps."""

    LOAD_STEPS = """
        SELECT key, state, position, result, attempts, error_type, error, wake_at,
            coalesce(wake_at <= coalesce(%(now)s::timestamptz, statement_timestamp()), false)
        FROM django_jobs_job_step WHERE job_id = %(job)s
    """

    def load_steps(self, job_id: int, now: datetime | None = None) -> dict[str, Memo]:
        """Return what is on record of all steps of a job, by key."""
        # Not rows(): behind a pooler that would make four round trips of one.
        with self.connection.cursor() as cursor:
            cursor.execute(self.LOAD_STEPS, {"job": job_id, "now": now})
            return {
                key: Memo._make((StepState(state), position, load(result), *rest))
                for key, state, position, result, *rest in cursor.fetchall()
            }

    FENCE = """SELECT id FROM django_jobs_job
            WHERE id = %(job)s AND claim_id = %(claim)s FOR NO KEY UPDATE"""
    FENCE_FIRST = """UPDATE django_jobs_job SET has_steps = true,
                lost_count = CASE %(state)s WHEN 'done' THEN 0 ELSE lost_count END
            WHERE id = %(job)s AND claim_id = %(claim)s RETURNING id"""
    SAVE_STEP = """
        WITH fence AS (
            {fence}
        ), moment AS (
            SELECT coalesce(%(now)s::timestamptz, statement_timestamp()) AS now
        )
        INSERT INTO django_jobs_job_step AS step (
            job_id, key, position, state, result, attempts, error_type, error, wake_at,
            started_at, finished_at, claim_id)
        SELECT fence.id, %(key)s, %(position)s, %(state)s, %(result)s, %(attempts)s,
            %(error_type)s, %(error)s,
            coalesce(%(wake_at)s::timestamptz, now + %(delay)s::float8 * interval '1 second'),
            now - %(began_ago)s::float8 * interval '1 second', now, %(claim)s
        FROM fence, moment
        ON CONFLICT (job_id, key) DO UPDATE
        SET position = excluded.position, state = excluded.state, result = excluded.result,
            attempts = excluded.attempts, error_type = excluded.error_type,
            error = excluded.error, wake_at = excluded.wake_at,
            started_at = excluded.started_at, finished_at = excluded.finished_at,
            claim_id = excluded.claim_id
        WHERE step.state <> 'done'
        RETURNING coalesce(step.wake_at, step.finished_at)
    """

    def save_step(
        self, hold: Hold, step: StepRecord, *, first: bool, now: datetime | None = None
    ) -> datetime | None:
        """Write a step while the job runs under the claim."""
        wake = step.wake
        params: dict[str, Any] = {
            "job": hold.job_id,
            "claim": hold.claim_id,
            "key": step.key,
            "position": step.position,
            "state": step.state.value,
            "result": step.result,
            "attempts": step.attempts,
            "error_type": clean_text(step.error_type)[:255],
            "error": clean_text(step.error)[:255],
            "wake_at": wake.instant if wake else None,
            "delay": wake.seconds if wake and not wake.instant else None,
            "began_ago": step.began_ago,
            "now": now,
        }
        fence = self.FENCE_FIRST if first else self.FENCE
        # Not rows(): behind a pooler that would make four round trips of one.
        with self.connection.cursor() as cursor:
            cursor.execute(self.SAVE_STEP.format(fence=fence), params)
            row = cursor.fetchone()
        return row[0] if row else None
