"""What a worker counts of the runs it has ended, and when it writes it."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, OperationalError

from django_jobs import clock, enqueue
from django_jobs.engines import get_engine
from django_jobs.models import Tally
from django_jobs.states import (
    ErrorRecord,
    Interrupted,
    Later,
    Raised,
    Snoozed,
    Stopped,
    Succeeded,
    TimedOut,
    after_run,
)
from django_jobs.worker import tallying
from django_jobs.worker.journal import End, Journal, Start
from django_jobs.worker.tallying import SPREAD, Tallier
from tests.conftest import NOON
from tests.jobs import add
from tests.worker.making import claimed

MINUTE = int(NOON.timestamp()) // 60
ERROR = ErrorRecord("ValueError", "no", "no", "", "f1")
OVER = timedelta(seconds=60 + SPREAD)


@pytest.fixture
def engine(db, frozen_clock):
    return get_engine("default")


@pytest.fixture
def tallier(engine):
    made = Tallier()
    made.run(engine)
    return made


def end(outcome=None, *, seconds=0.3, waited=2.0, fenced=False, queue="mail"):
    transition = after_run(outcome or Succeeded())
    job = claimed(name="shop.send", queue=queue)
    return End(job, transition, seconds, fenced, "", waited, clock.monotonic())


def counts():
    rows = Tally.objects.filter(span=1).exclude(name="")
    columns = ("minute", "succeeded", "failed", "retried", "cancelled", "put_off")
    return list(rows.order_by("minute").values_list(*columns))


def test_a_minute_is_written_when_it_is_over_and_once(tallier, engine, frozen_clock):
    tallier.count([Start(claimed()), end(), end()])
    frozen_clock.advance(timedelta(seconds=30))
    tallier.run(engine)
    assert counts() == []
    frozen_clock.advance(OVER - timedelta(seconds=30))
    tallier.run(engine)
    tallier.run(engine)
    assert counts() == [(MINUTE, 2, 0, 0, 0, 0)]
    row = Tally.objects.exclude(name="").get(span=1)
    assert (row.queue, row.name, row.wait_sum, row.wait_8, row.run_5) == (
        "mail",
        "shop.send",
        4.0,
        2,
        2,
    )


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Raised(ERROR), (0, 1, 0, 0, 0)),
        (Raised(ERROR, Later(5)), (0, 0, 1, 0, 0)),
        (TimedOut(ERROR), (0, 1, 0, 0, 0)),
        (TimedOut(ERROR, Later(5)), (0, 0, 1, 0, 0)),
        (Stopped(), (0, 0, 0, 1, 0)),
        (Snoozed(Later(5)), (0, 0, 0, 0, 1)),
        (Interrupted(), (0, 0, 0, 0, 1)),
    ],
)
def test_each_end_counts_as_what_it_was(tallier, engine, outcome, expected):
    tallier.count([end(outcome)])
    tallier.write_all(engine)
    assert counts() == [(MINUTE, *expected)]


def test_an_end_that_was_refused_counts_elsewhere(tallier, engine):
    tallier.count([end(fenced=True)])
    tallier.write_all(engine)
    assert counts() == []


def test_a_run_that_never_began_has_no_times(tallier, engine):
    tallier.count([end(Interrupted(), waited=None)])
    tallier.write_all(engine)
    row = Tally.objects.exclude(name="").get(span=1)
    assert (row.put_off, row.wait_sum, row.wait_0, row.run_0) == (1, 0.0, None, None)


def test_where_nothing_has_run_nothing_is_asked_or_written(
    tallier, engine, frozen_clock, django_assert_num_queries
):
    frozen_clock.advance(OVER)
    with django_assert_num_queries(0):
        tallier.run(engine)
        tallier.write_all(engine)


def test_what_the_database_refuses_is_written_later(tallier, engine, frozen_clock, monkeypatch):
    def refuse(_counted):
        raise OperationalError("lock timeout")

    tallier.count([end()])
    frozen_clock.advance(OVER)
    monkeypatch.setattr(engine, "add_tallies", refuse)
    with pytest.raises(OperationalError):
        tallier.run(engine)
    monkeypatch.undo()
    tallier.count([end()])
    tallier.write_all(engine)
    assert [row[:2] for row in counts()] == [(MINUTE, 1), (MINUTE + 1, 1)]


def test_what_may_have_been_written_is_never_written_twice(
    tallier, engine, frozen_clock, monkeypatch
):
    """The reply to a commit is lost with the connection."""
    add_tallies = engine.add_tallies

    def write_and_break(counted):
        add_tallies(counted)
        monkeypatch.setattr(engine.connection, "is_usable", lambda: False)
        raise OperationalError("server closed the connection")

    tallier.count([end()])
    frozen_clock.advance(OVER)
    monkeypatch.setattr(engine, "add_tallies", write_and_break)
    with pytest.raises(OperationalError):
        tallier.run(engine)
    monkeypatch.undo()
    tallier.write_all(engine)
    assert counts() == [(MINUTE, 1, 0, 0, 0, 0)]


def test_a_database_that_refuses_for_long_fills_no_memory(tallier, engine, monkeypatch):
    def refuse(_counted):
        raise DatabaseError("no such table")

    monkeypatch.setattr(tallying, "MOST_KEPT", 3)
    monkeypatch.setattr(engine, "add_tallies", refuse)
    tallier.count([end(queue=f"q{number}") for number in range(5)])
    assert tallier.write_all(engine)
    monkeypatch.undo()
    tallier.write_all(engine)
    assert len(counts()) == 3


def test_the_database_s_clock_decides_which_minute_it_is(engine, frozen_clock, monkeypatch):
    tallier = Tallier()
    monkeypatch.setattr(engine, "at", lambda _now: NOON + timedelta(minutes=10))
    tallier.run(engine)
    tallier.count([end()])
    tallier.write_all(engine)
    assert counts()[0][0] == MINUTE + 10


def test_an_end_that_could_not_be_written_for_long_counts_when_it_was(
    tallier, engine, frozen_clock
):
    late = end()
    frozen_clock.advance(timedelta(minutes=4))
    tallier.count([late, end()])
    tallier.write_all(engine)
    assert [row[0] for row in counts()] == [MINUTE, MINUTE + 4]


def test_the_journal_hands_on_what_it_is_told(frozen_clock):
    taken = []
    Journal(taken.extend).write([end()])
    assert len(taken) == 1


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_ends_in_good_order_has_counted_everything(worker_environment):
    import subprocess
    import sys

    for number in range(7):
        enqueue(add, number)
    command = [sys.executable, "-m", "django", "runworker", "--burst"]
    subprocess.run(command, env=worker_environment, check=True, timeout=60, capture_output=True)
    assert (
        sum(Tally.objects.filter(span=60).exclude(name="").values_list("succeeded", flat=True)) == 7
    )
    assert sum(Tally.objects.filter(span=1, name="").values_list("succeeded", flat=True)) == 7
