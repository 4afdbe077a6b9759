"""A sign of life and its answer in one statement, where an UPDATE returns what it wrote."""

import json
from datetime import datetime
from typing import Any

from django_jobs.engines.orm.reporting import Reporting
from django_jobs.engines.workers import WorkerCard
from django_jobs.states import Wish


class Beating(Reporting):
    """The verb `beat` for PostgreSQL and SQLite, which differ in how they write an instant."""

    BEAT = """
        UPDATE django_jobs_worker
        SET boot = %(boot)s, queues = %(queues)s, processes = %(processes)s,
            threads = %(threads)s, version = %(version)s, beat_at = {instant}
        WHERE name = %(name)s AND left_at IS NULL
        RETURNING wish
    """
    INSTANT = "%(now)s"

    def beat(self, card: WorkerCard, now: datetime | None = None) -> Wish:
        """Write a worker's sign of life; the first one makes its row."""
        params = {
            "name": card.name,
            "boot": card.boot,
            "queues": json.dumps(list(card.queues)),
            "processes": card.processes,
            "threads": card.threads,
            "version": card.version,
            "now": self.beat_instant(now),
        }
        with self.connection.cursor() as cursor:
            cursor.execute(self.BEAT.format(instant=self.INSTANT), params)
            found = cursor.fetchone()
        return self.first_beat(card, now) if found is None else Wish(found[0])

    def beat_instant(self, now: datetime | None) -> Any:
        """Return what stands for `now` in the statement."""
        return self.connection.ops.adapt_datetimefield_value(self.at(now))
