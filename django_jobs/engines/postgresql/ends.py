"""The same in SQL: a part of each statement that can end a job, so that it stays one statement."""

from django_jobs import registry
from django_jobs.engines.postgresql.literals import texts

TOLD = """told AS (
            INSERT INTO django_jobs_event (
                name, data, sent_at, job_id, is_repeated, is_heard, started, woken, problem)
            SELECT 'django_jobs/job.' || lower(state), '{{}}',
                coalesce(%(now)s::timestamptz, statement_timestamp()), id, false, false, '[]', 0, ''
            FROM {ended}
            WHERE state IN ('SUCCESSFUL', 'FAILED', 'CANCELLED') AND (watched
                OR state || ' ' || name = ANY(%(heard)s::text[])
                OR state || ' *' = ANY(%(heard)s::text[]))
            RETURNING id
        )"""


def telling(ended: str, statement: str) -> str:
    """Return `statement` with the part TOLD, about the ends in its part `ended`.

    That one has the columns id, name, state and watched.
    """
    return statement.replace("TOLD", TOLD.format(ended=ended))


def heard() -> str:
    """Return the parameter `heard`: whose ends somebody listens to."""
    return texts(sorted(registry.heard()))
