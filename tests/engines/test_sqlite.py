"""What only SQLite does: the schema that forbids reused ids, and the write lock."""

import re

import pytest
from django.db import connection, connections, transaction
from django.db.utils import OperationalError

from django_jobs.engines import own_engine
from django_jobs.engines.base import Engine, NewJob
from django_jobs.engines.orm import ORMEngine
from django_jobs.engines.sqlite import SQLiteEngine
from django_jobs.models import Job
from django_jobs.reports import closeup
from django_jobs.reports.overview import look
from django_jobs.reports.queues import report
from tests.engines.rivals import Rival
from tests.engines.scenes import NOON, Scene
from tests.factories import JobFactory

pytestmark = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="only on SQLite")


def test_the_schema_never_gives_an_id_twice(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE name IN (%s, %s)",
            ["django_jobs_claim", "django_jobs_job"],
        )
        tables = dict(cursor.fetchall())
    assert len(tables) == 2
    assert all("AUTOINCREMENT" in statement for statement in tables.values())


@pytest.fixture
def hasty_rival(transactional_db):
    """Return a connection that does not wait for the write lock."""
    other = connections.create_connection("default")
    other.settings_dict = {**other.settings_dict, "OPTIONS": {"timeout": 0}}
    yield other
    other.close()


def writes(connection):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_jobs_queue")
    return True


@pytest.mark.django_db(transaction=True)
def test_a_transaction_holds_the_write_lock_from_its_start(hasty_rival):
    connection.ensure_connection()
    mode, connection.transaction_mode = connection.transaction_mode, None
    try:
        with SQLiteEngine(connection).transaction(), pytest.raises(OperationalError):
            writes(hasty_rival)
        assert connection.transaction_mode is None
        assert writes(hasty_rival)
    finally:
        connection.transaction_mode = mode


@pytest.mark.django_db(transaction=True)
def test_a_transaction_joins_the_caller_s(hasty_rival):
    scene = Scene(SQLiteEngine(connection))
    with transaction.atomic():
        with scene.engine.transaction():
            scene.enqueue(3)
        assert len(scene.claim()) == 3
        transaction.set_rollback(True)
    assert scene.claim() == []
    assert writes(hasty_rival)


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_finds_nothing_does_not_wait_for_the_write_lock():
    worker = Rival(SQLiteEngine)
    try:
        worker.sql("PRAGMA busy_timeout = 0")
        with SQLiteEngine(connection).transaction():
            assert worker.verb("claim", None, 10, "w1", 60.0) == []
    finally:
        worker.close()


@pytest.mark.django_db(transaction=True)
def test_a_worker_s_own_connection_is_set_right_whatever_the_project_says(monkeypatch):
    options = {"timeout": 1, "init_command": "PRAGMA cache_size=-4000"}
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", options)
    before = connections["default"]
    engine = own_engine("default", "test", 60.0)
    try:
        assert connections["default"] is engine.connection
        with engine.connection.cursor() as cursor:
            found = [
                cursor.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "cache_size", "busy_timeout")
            ]
        assert found == ["wal", 1, -4000, 5000]
        assert engine.connection.transaction_mode == "IMMEDIATE"
    finally:
        engine.connection.close()
        connections["default"] = before


@pytest.fixture
def listener(transactional_db):
    """Return a listener."""
    heard = SQLiteEngine(connection).listener()
    yield heard
    heard.close()


WRITTEN = {Engine.ANY_QUEUE, Engine.WRITTEN}


def test_a_listener_hears_every_commit_and_not_what_it_was_about(listener):
    assert listener.wait(0.01) == set()
    Scene(SQLiteEngine(connection)).enqueue(1)
    assert listener.wait(5) == WRITTEN
    assert listener.wait(0.1) == set()


def test_a_listener_does_not_hear_what_is_not_committed_yet(listener):
    with transaction.atomic():
        Scene(SQLiteEngine(connection)).enqueue(1)
        assert listener.wait(0.1) == set()
    assert listener.wait(5) == WRITTEN


def test_a_listener_hears_what_it_says_itself(listener):
    listener.say("echo")
    assert listener.wait(0.01) == {"echo"}
    assert listener.wait(0.01) == set()


def test_looks_in_vain_are_no_commits(listener):
    scene = Scene(SQLiteEngine(connection))
    assert scene.claim() == []
    assert scene.engine.promote(10) == set()
    assert scene.engine.take_events(10) == []
    assert listener.wait(0.1) == set()


def test_without_listen_nobody_listens(settings, db):
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, "LISTEN": False}
    assert SQLiteEngine(connection).listener() is None


def test_a_database_in_memory_cannot_be_listened_to(monkeypatch, db):
    monkeypatch.setattr(connection, "is_in_memory_db", lambda: True)
    assert SQLiteEngine(connection).listener() is None


@pytest.fixture
def steps_of(db):
    """Return a function that tells how SQLite looks for jobs when something is done."""

    def found(act, *arguments, table=r"\S*job", **keywords):
        plans = []

        def explain(execute, sql, params, many, context):
            if sql.startswith("SELECT") and "django_jobs_job" in sql:
                statement = f"EXPLAIN QUERY PLAN {sql.replace('%s', '?').replace('%%', '%')}"
                plan = context["connection"].connection.execute(statement, params)
                plans.extend(row[3] for row in plan.fetchall())
            return execute(sql, params, many, context)

        with connection.execute_wrapper(explain):
            act(*arguments, **keywords)
        return [step for step in plans if re.match(rf"(SCAN|SEARCH) {table}\b", step)]

    return found


ALIAS = r"[UV]\d+"
"""What Django calls a table inside of another query."""


def scans(steps):
    return [step for step in steps if step.startswith("SCAN") and "INDEX" not in step]


def test_the_promoter_and_the_dashboard_walk_the_index_of_due_jobs_only(steps_of, engine):
    steps = [*steps_of(engine.promote, 100, NOON), *steps_of(look, "default", NOON)]
    assert any("django_jobs_job_due" in step for step in steps)
    assert not scans(steps)


def test_the_page_of_queues_walks_the_index_of_due_jobs_only(steps_of):
    JobFactory(running=True)
    steps = steps_of(report, "default", NOON, table=ALIAS)
    assert any("django_jobs_job_due" in step for step in steps)
    assert not scans(steps)


def test_the_page_of_a_job_scans_no_jobs(steps_of):
    job = JobFactory(failed=True, unique_key="one")
    steps = steps_of(closeup.read, Job.objects.all(), job.pk, payload=True, table=ALIAS)
    assert any("django_jobs_job_unique_live" in step for step in steps)
    assert not scans(steps)


def test_a_job_whose_key_is_taken_is_found_by_the_index_of_keys(steps_of):
    portable = ORMEngine(connection)
    job = NewJob(name="tests.jobs.nothing", queue="default", unique_key="one")
    portable.insert([job], NOON)
    steps = steps_of(portable.insert, [job], NOON)
    assert any("django_jobs_job_unique_live" in step for step in steps)
    assert not scans(steps)
