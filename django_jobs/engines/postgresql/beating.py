"""A sign of life by the server's clock, which no statement is needed for to ask."""

from datetime import datetime

from django_jobs.engines import beating
from django_jobs.engines.postgresql.sessions import Session


class Beating(beating.Beating, Session):
    """The verb `beat`."""

    INSTANT = "coalesce(%(now)s::timestamptz, statement_timestamp())"

    def beat_instant(self, now: datetime | None) -> datetime | None:
        """Return `now` as it is: without one the server knows."""
        return now
