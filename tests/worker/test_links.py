"""A worker's own connection: replaced in silence when it breaks, missed in words when it cannot be."""

import logging
from datetime import timedelta

import pytest
from django.db import DataError, InternalError, OperationalError, connections

from django_jobs import clock
from django_jobs.worker import links
from django_jobs.worker.links import LAST_PAUSE, Link, Unreachable
from django_jobs.worker.outages import Outage
from tests.worker.making import until


@pytest.fixture
def link(own_connections):
    link = Link("django_jobs links", Outage(60.0))
    yield link
    link.close()


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "django_jobs")
    return lambda: [record.getMessage() for record in caplog.records]


def one(engine):
    with engine.connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


def terminate_own_session(engine):
    with engine.connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def ask_until_it_answers(link):
    """Ask as a loop does: again, after the pause."""
    answers = []

    def answered():
        try:
            answers.append(link.ask(one))
        except Unreachable:
            return False
        return True

    until(answered, "an answer")
    return answers[-1]


def sit_out(link, standing):
    """Let the pause go by, on a frozen clock."""
    standing.advance(timedelta(seconds=link.wait + 0.001))


def refuse(*_):
    raise OperationalError("connection refused")


def test_a_question_is_answered_on_a_connection_of_its_own(link):
    before = connections["default"]
    assert link.ask(one) == 1
    assert connections["default"] is not before
    assert link.wait == 0


def test_the_connection_is_kept_between_questions(link):
    assert link.ask(lambda engine: engine.connection) is link.ask(lambda engine: engine.connection)


@pytest.mark.postgresql
def test_a_broken_connection_is_replaced_without_a_word(link, said):
    old = link.ask(lambda engine: engine.connection)
    with pytest.raises(Unreachable):
        link.ask(terminate_own_session)
    assert ask_until_it_answers(link) == 1
    assert link.ask(lambda engine: engine.connection) is not old
    assert said() == []


@pytest.mark.postgresql
def test_a_connection_that_breaks_inside_a_transaction_is_replaced_too(link, said):
    def broken(engine):
        with engine.transaction():
            terminate_own_session(engine)

    with pytest.raises(Unreachable):
        link.ask(broken)
    assert ask_until_it_answers(link) == 1
    assert said() == []


@pytest.mark.postgresql
def test_its_session_goes_by_the_name_of_its_purpose(link):
    def name(engine):
        with engine.connection.cursor() as cursor:
            cursor.execute("SHOW application_name")
            return cursor.fetchone()[0]

    assert link.ask(name) == "django_jobs links"


def test_an_outage_is_told_only_when_the_replacement_fails(link, said, monkeypatch):
    link.ask(one)
    monkeypatch.setattr(links, "own_engine", refuse)
    monkeypatch.setattr(type(link._engine.connection), "is_usable", lambda _: False)
    with pytest.raises(Unreachable):
        link.ask(refuse)
    assert [text.partition(" (")[0] for text in said()] == ["Lost the database"]
    monkeypatch.undo()
    assert ask_until_it_answers(link) == 1
    assert said()[-1].startswith("Database is back after")


def test_a_database_that_was_never_there_is_an_outage(link, said, monkeypatch):
    monkeypatch.setattr(links, "own_engine", refuse)
    with pytest.raises(Unreachable):
        link.ask(one)
    assert "connection refused" in said()[0]


def test_it_pauses_longer_with_each_failure_and_forgets_when_it_works(link, frozen_clock):
    waits = []
    for _ in range(8):
        with pytest.raises(Unreachable):
            link.ask(refuse)
        waits.append(link.wait)
        sit_out(link, frozen_clock)
    assert waits[:5] == sorted(waits[:5])
    assert 0.1 <= waits[0] <= 0.12
    assert LAST_PAUSE <= waits[-1] <= LAST_PAUSE * 1.2
    link.ask(one)
    with pytest.raises(Unreachable):
        link.ask(refuse)
    assert link.wait <= 0.12


def test_nothing_is_asked_during_the_pause(link, frozen_clock):
    with pytest.raises(Unreachable):
        link.ask(refuse)
    asked = []
    with pytest.raises(Unreachable):
        link.ask(asked.append)
    assert asked == []


def test_a_database_that_refuses_but_lives_is_not_an_outage(link, said, frozen_clock):
    for _ in range(100):
        with pytest.raises(Unreachable):
            link.ask(refuse)
        sit_out(link, frozen_clock)
    assert {text.partition(":")[0] for text in said()} == {"The database refused, trying again"}
    assert 2 <= len(said()) <= 1 + clock.monotonic() / 30


@pytest.mark.postgresql
def test_a_server_that_takes_no_writes_is_waited_for(link, said):
    def write(engine):
        with engine.connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
        engine.see_queues(["mail"])

    with pytest.raises(Unreachable):
        link.ask(write)
    assert "read-only" in said()[0]


@pytest.mark.parametrize("error", [DataError, ValueError])
def test_other_errors_are_the_askers(link, error):
    def fail(_engine):
        raise error("no")

    with pytest.raises(error):
        link.ask(fail)
    assert link.wait == 0


def test_internal_errors_of_the_server_are_waited_out(link):
    def fail(_engine):
        raise InternalError("no")

    with pytest.raises(Unreachable):
        link.ask(fail)


def test_a_closed_link_opens_anew(link):
    link.ask(one)
    link.close()
    assert link.ask(one) == 1
