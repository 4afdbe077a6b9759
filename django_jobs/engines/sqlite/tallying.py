"""Adding figures row by row, for a database that knows ON CONFLICT and parses for nothing."""

from collections.abc import Sequence

from django_jobs.engines.orm import ORMEngine
from django_jobs.engines.tallies import INTO, NAMES, ON_CONFLICT, in_order
from django_jobs.tallies import Counted


class Upserting(ORMEngine):
    """The verb that adds."""

    ADD_TALLY = f"INSERT INTO {INTO} VALUES ({', '.join(['%s'] * len(NAMES))}) {ON_CONFLICT}"  # noqa: S608

    def add_tallies(self, counted: Sequence[Counted]) -> None:
        """Add figures to the rows of their minutes and hours."""
        with self.transaction(), self.connection.cursor() as cursor:
            cursor.executemany(self.ADD_TALLY, in_order(counted))
