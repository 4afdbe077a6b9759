"""Figures: `add_tallies`. One statement however many rows there are: parsing is what would cost."""

import json
from collections.abc import Sequence

from django_jobs.engines.postgresql.sessions import Session
from django_jobs.engines.tallies import INTO, NAMES, ON_CONFLICT, in_order
from django_jobs.tallies import Counted


class Tallying(Session):
    """The verb that adds."""

    # Rows come out of the function in their order, and so they are locked.
    ADD_TALLIES = f"""
        INSERT INTO {INTO}
        SELECT {", ".join(NAMES)}
        FROM jsonb_populate_recordset(NULL::django_jobs_tally, %(rows)s::jsonb)
        {ON_CONFLICT}
        RETURNING span
    """  # noqa: S608 - names of our own columns

    def add_tallies(self, counted: Sequence[Counted]) -> None:
        """Add figures to the rows of their minutes and hours."""
        rows = [
            {name: value for name, value in zip(NAMES, row, strict=True) if value is not None}
            for row in in_order(counted)
        ]
        self.rows(self.ADD_TALLIES, {"rows": json.dumps(rows)})
