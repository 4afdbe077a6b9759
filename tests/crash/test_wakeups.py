"""NOTIFY shortens the wait for a job; without it the job comes all the same."""

import pytest
from django.db import connection

from django_jobs import enqueue
from tests.crash.conditions import say, until
from tests.crash.jobs import effect

pytestmark = pytest.mark.postgresql

NEVER = 300.0
LISTENERS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'django_jobs listener'
"""
HEARD = "query LIKE '%%pg_notify%%' AND state = 'idle'"


def listeners():
    """Return the database's processes behind listeners that have heard themselves."""
    with connection.cursor() as cursor:
        cursor.execute(f"{LISTENERS} AND {HEARD}")
        return {pid for (pid,) in cursor.fetchall()}


def end_listeners():
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS listener")
        return len(cursor.fetchall())


def run_one(ledger, tree):
    job = enqueue(effect)
    return until(lambda: ledger.ends(job.id), what=tree.text)


@pytest.fixture
def tree(workers, profile):
    """Return a worker that would look for jobs once in five minutes if nobody told it."""
    profile(POLL_INTERVAL=NEVER, LEASE=60.0)
    tree = workers().ready()
    until(listeners, what=tree.text)
    return tree


def test_a_worker_is_told_of_a_new_job(workers, ledger, tree):
    for _ in range(3):
        run_one(ledger, tree)
    assert tree.stop() == 0


def test_a_worker_whose_listener_was_killed_still_gets_jobs_and_listens_again(ledger, tree):
    before = listeners()
    assert end_listeners() == 1
    run_one(ledger, tree)
    again = until(lambda: listeners() - before, what=tree.text)
    say(f"listens again: {again}")
    run_one(ledger, tree)
    assert tree.stop() == 0
    assert "Traceback" not in tree.text()
