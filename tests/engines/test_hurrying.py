"""Promises of `hasty`: people who wait for a page do not wait for long."""

import copy

import pytest
from django.db import OperationalError, connection, connections, transaction

from django_jobs.engines import engine_class, get_engine
from django_jobs.models import Queue
from django_jobs.reports.reading import Reading, within_limit
from tests.factories import QueueFactory


def limit(name="statement_timeout"):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return cursor.fetchone()[0]


def sleep(seconds):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s), 7", [seconds])
        return cursor.fetchone()[1]


@pytest.fixture
def native(transactional_db):
    return engine_class(connection)(connection)


def test_what_is_read_in_haste_is_what_there_is(engine):
    QueueFactory(name="mail")
    with engine.hasty(5.0):
        assert [row.name for row in Queue.objects.filter(name="mail")] == ["mail"]
        assert not Queue.objects.filter(name="nope").exists()
    assert not engine.is_too_slow(OperationalError("database is locked"))


def test_a_part_that_fails_for_another_reason_is_not_called_slow(db):
    def fail():
        raise OperationalError("disk full")

    with pytest.raises(OperationalError, match="disk full"):
        within_limit("default", fail)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_statement_that_takes_too_long_is_ended_and_the_limit_goes_with_the_transaction(native):
    before = limit()
    with pytest.raises(OperationalError) as caught, native.hasty(0.05):
        sleep(30)
    assert native.is_too_slow(caught.value)
    with native.hasty(1.5):
        assert sleep(0) == 7
        assert limit() == "1500ms"
        assert limit("jit") == "off"
    assert limit() == before
    assert limit("jit") == "on"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_the_limit_costs_no_statement_of_its_own(native, django_assert_num_queries):
    with django_assert_num_queries(4) as seen, native.hasty(1.0):  # BEGIN and COMMIT
        assert Queue.objects.filter(name="a'; %s b").first() is None
        assert Queue.objects.count() == 0
    before = "SET LOCAL statement_timeout = 1000; SET LOCAL jit = off; SELECT"
    assert seen.captured_queries[1]["sql"].startswith(before)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_where_a_session_binds_on_the_server_the_limit_is_a_statement_of_its_own(transactional_db):
    before = connections["default"]
    other = before.copy()
    other.settings_dict = copy.deepcopy(before.settings_dict)
    other.settings_dict["OPTIONS"] = {
        **before.settings_dict["OPTIONS"],
        "server_side_binding": True,
    }
    connections["default"] = other
    try:
        with get_engine("default").hasty(1.0):
            assert Queue.objects.filter(name="mail").first() is None
            with other.cursor() as cursor:
                cursor.execute("SHOW statement_timeout")
                assert cursor.fetchone()[0] == "1s"
    finally:
        other.close()
        connections["default"] = before


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_inside_the_callers_transaction_there_is_no_limit(native):
    with transaction.atomic(), native.hasty(0.001):
        assert sleep(0.05) == 7
        assert limit() != "1ms"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_after_a_part_that_is_too_slow_the_others_are_read(transactional_db, monkeypatch):
    monkeypatch.setattr("django_jobs.reports.reading.LIMIT", 0.05)
    QueueFactory(name="mail")
    with Reading("default") as reading:
        assert reading.part("first", lambda: sleep(0)) == 7
        assert reading.part("second", lambda: sleep(30)) is None
        assert reading.part("third", Queue.objects.count) == 1
        assert reading.part("fourth", lambda: sleep(30)) is None
    assert reading.slow == {"second", "fourth"}
    assert not connection.in_atomic_block
