"""What operators do to jobs: `move`, `ask_to_stop`, `take`.

Locks: jobs in the order of their ids, then claims in theirs. Who waits for a claim row sees
the newest one only through columns that are joined, hence the sums by claim before it.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from django.db import transaction

from django_jobs.engines.endings import TAKEN_AWAY, TAKEN_TEXTS
from django_jobs.engines.postgresql.ends import heard, telling
from django_jobs.engines.postgresql.literals import numbers, texts
from django_jobs.engines.postgresql.sessions import Session
from django_jobs.states import RunOutcome, State


class Operating(Session):
    """The operators' verbs."""

    MOVE = telling(
        "moved",
        """
        WITH found AS MATERIALIZED (
            SELECT id, state IN ('SUCCESSFUL', 'FAILED', 'CANCELLED') AND %(to)s = 'READY'
                AS retried
            FROM django_jobs_job
            WHERE id = ANY(%(ids)s::bigint[]) AND state = ANY(%(allowed)s::text[])
                AND claim_id IS NULL
            ORDER BY id FOR NO KEY UPDATE
        ), moved AS (
        UPDATE django_jobs_job AS job
        SET state = %(to)s,
            waiting_for = NULL,
            run_at = CASE WHEN %(final)s::boolean THEN job.run_at
                ELSE coalesce(%(now)s::timestamptz, statement_timestamp()) END,
            finished_at = CASE WHEN %(final)s::boolean
                THEN coalesce(%(now)s::timestamptz, statement_timestamp()) END,
            attempt = CASE WHEN found.retried THEN 0 ELSE job.attempt END,
            lost_count = CASE WHEN found.retried THEN 0 ELSE job.lost_count END,
            fingerprint = CASE WHEN found.retried THEN '' ELSE job.fingerprint END,
            cancel_requested_at = CASE WHEN NOT found.retried THEN job.cancel_requested_at END,
            unknown_since = CASE WHEN NOT found.retried THEN job.unknown_since END
        FROM found WHERE job.id = found.id
        RETURNING job.id, job.name, job.state, job.watched
        ), TOLD
        SELECT id FROM moved
    """,
    )

    def move(
        self,
        job_ids: Collection[int],
        to: State,
        allowed_from: Iterable[State],
        now: datetime | None = None,
    ) -> set[int]:
        """Move jobs that do not run; of those that changed meanwhile nothing is written."""
        params = {
            "ids": numbers(sorted(job_ids)),
            "to": to.value,
            "final": to is State.CANCELLED,
            "allowed": texts(state.value for state in allowed_from),
            **heard((to,)),
            "now": now,
        }
        with transaction.atomic(using=self.alias):  # the caller may go on after IntegrityError
            return {job_id for (job_id,) in self.rows(self.MOVE, params)}

    CANCEL = """
        WITH found AS MATERIALIZED (
            SELECT id FROM django_jobs_job
            WHERE id = ANY(%(ids)s::bigint[]) AND state = 'RUNNING'
            ORDER BY id FOR NO KEY UPDATE
        ), asked AS (
            UPDATE django_jobs_job AS job
            SET cancel_requested_at = coalesce(
                job.cancel_requested_at, %(now)s::timestamptz, statement_timestamp())
            FROM found WHERE job.id = found.id
            RETURNING job.id, job.claim_id
        ), message AS MATERIALIZED (
            SELECT claim_id, array_agg(id) AS ids FROM asked GROUP BY claim_id
        ), locked AS MATERIALIZED (
            SELECT id FROM django_jobs_claim
            WHERE id = ANY(ARRAY(SELECT claim_id FROM message))
            ORDER BY id FOR NO KEY UPDATE
        ), told AS (
            UPDATE django_jobs_claim AS claim
            SET cancel_ids = ARRAY(
                SELECT DISTINCT id FROM unnest(claim.cancel_ids || message.ids) AS asked(id)
                ORDER BY id)
            FROM message, locked WHERE claim.id = message.claim_id AND claim.id = locked.id
        )
        SELECT id FROM asked
    """

    def ask_to_stop(self, job_ids: Collection[int], now: datetime | None = None) -> set[int]:
        """Record the request on the jobs, where it survives, and on the claims, as a message."""
        params = {"ids": numbers(sorted(job_ids)), "now": now}
        return {job_id for (job_id,) in self.rows(self.CANCEL, params)}

    FORCE = telling(
        "taken",
        """
        WITH found AS MATERIALIZED (
            SELECT id, claim_id FROM django_jobs_job
            WHERE id = ANY(%(ids)s::bigint[]) AND state = 'RUNNING'
            ORDER BY id FOR NO KEY UPDATE
        ), taken AS (
            UPDATE django_jobs_job AS job
            SET state = %(to)s,
                claim_id = NULL,
                attempt = job.attempt - CASE WHEN %(final)s::boolean THEN 0 ELSE 1 END,
                run_at = CASE WHEN %(final)s::boolean THEN job.run_at
                    ELSE coalesce(%(now)s::timestamptz, statement_timestamp()) END,
                finished_at = CASE WHEN %(final)s::boolean
                    THEN coalesce(%(now)s::timestamptz, statement_timestamp()) END,
                cancel_requested_at = CASE WHEN %(final)s::boolean
                    THEN job.cancel_requested_at END
            FROM found WHERE job.id = found.id
            RETURNING job.id, found.claim_id, job.started_at, job.name, job.state, job.watched,
                job.attempt + CASE WHEN %(final)s::boolean THEN 0 ELSE 1 END AS attempt
        ), gone AS MATERIALIZED (
            SELECT claim_id, array_agg(id) AS ids FROM taken GROUP BY claim_id
        ), locked AS MATERIALIZED (
            SELECT id FROM django_jobs_claim
            WHERE id = ANY(ARRAY(SELECT claim_id FROM gone))
            ORDER BY id FOR NO KEY UPDATE
        ), shrunk AS (
            UPDATE django_jobs_claim AS claim
            SET job_ids = ARRAY(
                SELECT id FROM unnest(claim.job_ids) AS left_over(id)
                WHERE id <> ALL (gone.ids) ORDER BY id)
            FROM gone, locked WHERE claim.id = gone.claim_id AND claim.id = locked.id
            RETURNING claim.id, claim.worker
        ), recorded AS (
            INSERT INTO django_jobs_job_run (
                job_id, claim_id, attempt, outcome, started_at, finished_at, worker,
                error_type, error, error_text, traceback, fingerprint, log)
            SELECT taken.id, taken.claim_id, taken.attempt, %(outcome)s, taken.started_at,
                coalesce(%(now)s::timestamptz, statement_timestamp()),
                coalesce(shrunk.worker, ''), %(error_type)s, left(said.text, 255), said.text,
                '', '', ''
            FROM taken LEFT JOIN shrunk ON shrunk.id = taken.claim_id
            CROSS JOIN LATERAL (
                SELECT replace(%(text)s, '{worker}', coalesce(shrunk.worker, '')) AS text) AS said
        ), TOLD
        SELECT id FROM taken
    """,
    )

    def take(
        self,
        job_ids: Collection[int],
        to: State,
        outcome: RunOutcome,
        now: datetime | None = None,
    ) -> set[int]:
        """Take running jobs away, end their runs, and take them off their claims."""
        params = {
            "ids": numbers(sorted(job_ids)),
            "to": to.value,
            "final": to is State.CANCELLED,
            "outcome": outcome.value,
            "error_type": TAKEN_AWAY,
            "text": TAKEN_TEXTS[to],
            **heard((to,)),
            "now": now,
        }
        return {job_id for (job_id,) in self.rows(self.FORCE, params)}
