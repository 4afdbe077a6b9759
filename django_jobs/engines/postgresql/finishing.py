"""The end of a run: `finish`. A plain success travels as four numbers and costs as little.

The arrays are sorted by job, and a worker's session knows nested loops only: so the jobs are
found by their primary key and locked in the order of their ids, whatever the statistics say.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django_jobs.engines.base import Finish, Finished, Hold
from django_jobs.engines.endings import NEVER, error_texts
from django_jobs.engines.postgresql.ends import heard, telling
from django_jobs.engines.postgresql.literals import numbers, texts
from django_jobs.engines.postgresql.sessions import Session
from django_jobs.serializers import clean_text
from django_jobs.states import FINAL, State


class Finishing(Session):
    """The verb that ends runs."""

    FINISH = telling(
        "ended",
        """
        WITH ending AS MATERIALIZED (
            SELECT f.id, f.claim_id, f.detail::jsonb AS detail,
                coalesce(%(now)s::timestamptz, statement_timestamp()) AS now,
                coalesce(%(now)s::timestamptz, statement_timestamp())
                    - f.began_ago * interval '1 second' AS started_at,
                coalesce(%(now)s::timestamptz, statement_timestamp())
                    - f.ended_ago * interval '1 second' AS finished_at,
                coalesce(f.detail::jsonb ->> 'to', 'SUCCESSFUL') AS target,
                coalesce(f.detail::jsonb ->> 'outcome', 'successful') AS outcome,
                coalesce((f.detail::jsonb ->> 'given_back')::smallint, 0::smallint) AS given_back
            FROM unnest(
                %(ids)s::bigint[], %(claims)s::bigint[], %(began)s::float8[],
                %(ended)s::float8[], %(details)s::text[])
                AS f(id, claim_id, began_ago, ended_ago, detail)
        ), ended AS (
            UPDATE django_jobs_job AS job
            SET state = CASE WHEN job.cancel_requested_at IS NOT NULL
                    AND ending.target NOT IN ('SUCCESSFUL', 'FAILED', 'CANCELLED')
                    THEN 'CANCELLED'
                    WHEN job.woken AND ending.target = 'WAITING' THEN 'READY'
                    ELSE ending.target END,
                claim_id = NULL,
                attempt = job.attempt - ending.given_back,
                lost_count = CASE ending.target WHEN 'SUCCESSFUL' THEN 0
                    ELSE job.lost_count END,
                run_at = CASE WHEN ending.target IN ('SUCCESSFUL', 'FAILED', 'CANCELLED')
                    THEN job.run_at
                    WHEN job.woken AND ending.target = 'WAITING' THEN ending.now
                    ELSE coalesce((ending.detail ->> 'at')::timestamptz, ending.now
                        + (ending.detail ->> 'delay')::float8 * interval '1 second',
                        ending.now) END,
                finished_at = CASE WHEN job.cancel_requested_at IS NOT NULL
                    OR ending.target IN ('SUCCESSFUL', 'FAILED', 'CANCELLED')
                    THEN ending.finished_at END,
                fingerprint = CASE ending.target WHEN 'SUCCESSFUL' THEN ''
                    ELSE coalesce(ending.detail ->> 'fingerprint', job.fingerprint) END,
                unknown_since = NULL,
                waiting_for = CASE WHEN job.cancel_requested_at IS NULL AND NOT
                        (job.woken AND ending.target = 'WAITING')
                    THEN ending.detail ->> 'waits_for' END,
                woken = false
            FROM ending
            WHERE job.id = ending.id AND job.claim_id = ending.claim_id
            RETURNING job.id, ending.claim_id, job.attempt + ending.given_back AS attempt,
                CASE WHEN job.state = 'CANCELLED' THEN 'cancelled' ELSE ending.outcome END
                    AS outcome,
                ending.started_at, ending.finished_at, ending.detail,
                job.name, job.state, job.watched
        ), recorded AS (
            INSERT INTO django_jobs_job_run (
                job_id, claim_id, attempt, outcome, started_at, finished_at, worker, result,
                error_type, error, error_text, traceback, fingerprint, log)
            SELECT id, claim_id, attempt, outcome, started_at, finished_at, %(worker)s,
                detail -> 'result',
                coalesce(detail ->> 'error_type', ''), coalesce(detail ->> 'error', ''),
                coalesce(detail ->> 'error_text', ''), coalesce(detail ->> 'traceback', ''),
                coalesce(detail ->> 'fingerprint', ''), coalesce(detail ->> 'log', '')
            FROM ended WHERE outcome <> 'suspended' OR detail ->> 'log' IS NOT NULL
        ), TOLD
        SELECT id, claim_id, EXISTS (SELECT FROM told) FROM ended
    """,
    )
    FINISH_SKIPPING = FINISH.replace(
        "FROM ending\n",
        """FROM ending CROSS JOIN LATERAL (
                SELECT id FROM django_jobs_job AS free
                WHERE free.id = ending.id AND free.claim_id = ending.claim_id
                LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS free\n""",
    )

    def finish(
        self,
        finishes: Sequence[Finish],
        worker: str,
        now: datetime | None = None,
        *,
        patient: bool = True,
    ) -> Finished:
        """Write how runs ended. Waits for locked jobs, but not for ever, and not in vain."""
        ordered = sorted(finishes, key=_hold)
        details = [_detail(finish) for finish in ordered]
        params = {
            "ids": numbers([finish.hold.job_id for finish in ordered]),
            "claims": numbers([finish.hold.claim_id for finish in ordered]),
            "began": numbers([finish.began_ago for finish in ordered]),
            "ended": numbers([finish.ended_ago for finish in ordered]),
            "details": texts(details) if any(details) else "{}",
            "worker": worker,
            **heard(_last_states(ordered)),
            "now": now,
        }
        rows = self.patient_rows(self.FINISH if patient else None, self.FINISH_SKIPPING, params)
        applied = frozenset(Hold(*row[:2]) for row in rows)
        told = bool(rows) and rows[0][2]
        self.forget_lines(finish for finish in ordered if finish.hold in applied)
        if len(applied) == len(ordered):
            return Finished(applied, told=told)
        return self.account(ordered, applied, now, told=told)


def _last_states(finishes: Iterable[Finish]) -> set[State]:
    """Return the final states that these can lead to; what was asked to stop goes on nowhere."""
    states = {finish.transition.to for finish in finishes}
    return {state if state in FINAL else State.CANCELLED for state in states}


def _hold(finish: Finish) -> Hold:
    return finish.hold


def _detail(finish: Finish) -> str | None:
    """Return what is more than a plain success as JSON text, else `None`."""
    transition = finish.transition
    if transition.to is State.SUCCESSFUL and not finish.log:
        return None if transition.result is None else f'{{"result":{transition.result}}}'
    detail: dict[str, Any] = {
        "to": transition.to,
        "outcome": transition.outcome,
        "given_back": 0 if transition.counts else 1,
        **{name: text for name, text in error_texts(finish)._asdict().items() if text},
    }
    if finish.log:
        detail["log"] = clean_text(finish.log)
    if transition.to not in FINAL:
        detail |= _later(finish)
    if transition.result is not None:
        detail["result"] = json.loads(transition.result)
    return json.dumps(detail, ensure_ascii=False)


def _later(finish: Finish) -> dict[str, Any]:
    again, text = finish.transition.again, finish.transition.waits_for
    waits_for = {"waits_for": text[:255]} if text else {}
    if again is None:
        return (
            {"at": NEVER.isoformat(), **waits_for} if finish.transition.to is State.WAITING else {}
        )
    if again.instant is not None:
        return {"at": again.instant.isoformat(), **waits_for}
    return {"delay": max(again.seconds, 0.0), **waits_for}
