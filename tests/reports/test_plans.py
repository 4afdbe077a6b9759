"""What the dashboard counts, thousands of jobs, it counts in an index: no row of them is read."""

import re

import pytest
from django.db import connection

from django_jobs.reports.overview import look
from tests.conftest import NOON
from tests.factories import JobFactory

ALONE = {
    "postgresql": r"Index Only Scan (?:Backward )?using {}",
    "sqlite": r"USING COVERING INDEX {}",
}


@pytest.fixture
def lines(db):
    """Return what the database says of how it reads what the dashboard shows."""
    for trait in ("scheduled", "waiting", "failed"):
        JobFactory.create_batch(3, **{trait: True})
    found = []
    is_sqlite = connection.vendor == "sqlite"

    def explain(execute, sql, params, many, context):
        # A few jobs of note are read whole, by their numbers.
        counts = "django_jobs_job" in sql and '."id" IN (' not in sql
        if sql.startswith("SELECT") and counts:
            asked = f"EXPLAIN {sql}"
            if is_sqlite:
                asked = f"EXPLAIN QUERY PLAN {sql.replace('%s', '?').replace('%%', '%')}"
            rows = context["connection"].connection.execute(asked, params).fetchall()
            found.extend(row[-1] for row in rows)
        return execute(sql, params, many, context)

    if not is_sqlite:
        with connection.cursor() as cursor:  # a handful of rows is read faster in other ways
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
    with connection.execute_wrapper(explain):
        look("default", NOON)
    return found


@pytest.mark.parametrize("index", ["django_jobs_job_due", "django_jobs_job_failed"])
def test_the_dashboard_counts_jobs_without_reading_them(lines, index):
    uses = [line for line in lines if re.search(rf"{index}\b", line)]
    assert uses
    alone = re.compile(ALONE[connection.vendor].format(index))
    assert [line for line in uses if not alone.search(line)] == []
