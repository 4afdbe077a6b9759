"""Writing an event: `insert_event` in one statement, its key included."""

from datetime import datetime

from django_jobs.engines.events import NewEvent, Sent
from django_jobs.engines.orm.eventing import REMEMBERED
from django_jobs.engines.postgresql.sessions import Session


class Eventing(Session):
    """The verb that writes events."""

    INSERT_EVENT = """
        WITH moment AS (
            SELECT coalesce(%(now)s::timestamptz, statement_timestamp()) AS now
        ), counted AS (
            INSERT INTO django_jobs_event_key AS known (name, key, seen_at)
            SELECT %(name)s, %(key)s::text, now FROM moment WHERE %(key)s::text IS NOT NULL
            ON CONFLICT (name, key) DO UPDATE SET seen_at = excluded.seen_at
            WHERE known.seen_at <= excluded.seen_at - %(remembered)s::interval
            RETURNING id
        ), verdict AS (
            SELECT now, %(key)s::text IS NULL OR EXISTS (SELECT FROM counted) AS fresh FROM moment
        )
        INSERT INTO django_jobs_event (
            name, data, key, sent_at, is_heard, is_repeated, handed_out_at, started, woken, problem)
        SELECT %(name)s, %(data)s, %(key)s::text, now, true, NOT fresh,
            CASE WHEN NOT fresh THEN now END, '[]', 0, ''
        FROM verdict
        RETURNING id, NOT is_repeated, sent_at
    """

    def insert_event(self, event: NewEvent, now: datetime | None = None) -> Sent:
        """Write an event on the caller's connection."""
        params = {**event._asdict(), "remembered": REMEMBERED, "now": now}
        # Not rows(): behind a pooler that would make four round trips of one.
        with self.connection.cursor() as cursor:
            cursor.execute(self.INSERT_EVENT, params)
            return Sent._make(cursor.fetchone())
