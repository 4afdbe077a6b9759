"""The same in SQL: a part of each statement that can end a job, so that it stays one statement."""

from collections.abc import Iterable

from django_jobs import listeners
from django_jobs.engines.postgresql.literals import texts
from django_jobs.states import State

TOLD = """told AS (
            INSERT INTO django_jobs_event (
                name, data, sent_at, job_id, is_repeated, is_heard, started, woken, problem)
            SELECT 'django_jobs/job.' || lower(state), coalesce(listeners, '{{}}'),
                coalesce(%(now)s::timestamptz, statement_timestamp()), id, false, false, '[]', 0, ''
            FROM (
                SELECT id, state, watched, (%(listeners)s::text[])[coalesce(
                    array_position(%(heard)s::text[], state || ' ' || name),
                    array_position(%(heard)s::text[], state || ' *'))] AS listeners
                FROM {ended}
                WHERE state IN ('SUCCESSFUL', 'FAILED', 'CANCELLED')
            ) AS ends
            WHERE watched OR listeners <> '{{}}'
            RETURNING id
        )"""


def telling(ended: str, statement: str) -> str:
    """Return `statement` with the part TOLD, about the ends in its part `ended`.

    That one has the columns id, name, state and watched.
    """
    return statement.replace("TOLD", TOLD.format(ended=ended))


def heard(states: Iterable[State]) -> dict[str, str]:
    """Return the parameters of the part: whose ends somebody listens to, and who does.

    `states`: in which the statement may leave a job. What else is heard is not sent: five hundred
    jobs with `on_failure` would make the end of each success take twice as long.
    """
    found = listeners.heard(states)
    return {"heard": texts(found), "listeners": texts(found.values())}
