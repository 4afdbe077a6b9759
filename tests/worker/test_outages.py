"""Few lines about a database that is away."""

import logging
from datetime import timedelta

import pytest

from django_jobs.worker.outages import Outage

REFUSED = OSError("connection\nrefused")


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "django_jobs")
    return lambda: [record.getMessage() for record in caplog.records]


def fail_for(outage, clock, seconds, step=1):
    for _ in range(0, seconds, step):
        outage.failed(REFUSED)
        clock.advance(timedelta(seconds=step))


def test_an_outage_of_8_seconds_makes_two_lines(frozen_clock, said):
    outage = Outage(lease=60)
    fail_for(outage, frozen_clock, 8)
    outage.over()
    assert said() == [
        "Lost the database (connection refused). Retrying; running jobs keep their lease for 60 s.",
        "Database is back after 8 s.",
    ]


def test_a_long_outage_is_mentioned_every_30_seconds(frozen_clock, said):
    outage = Outage(lease=60)
    fail_for(outage, frozen_clock, 100)
    assert [text.partition(" (")[0] for text in said()] == [
        "Lost the database",
        "The database is still away after 30 s",
        "The database is still away after 60 s",
        "The database is still away after 90 s",
    ]


def test_being_back_is_said_once(frozen_clock, said):
    outage = Outage(lease=60)
    outage.over()
    fail_for(outage, frozen_clock, 2)
    outage.over()
    outage.over()
    assert len(said()) == 2


def test_a_second_outage_is_a_new_one(frozen_clock, said):
    outage = Outage(lease=60)
    for _ in range(2):
        fail_for(outage, frozen_clock, 3)
        outage.over()
    assert [text.partition(" (")[0] for text in said()] == [
        "Lost the database",
        "Database is back after 3 s.",
    ] * 2


def test_with_patience_a_short_outage_is_not_mentioned(frozen_clock, said):
    outage = Outage(lease=60, patience=30)
    fail_for(outage, frozen_clock, 30)
    outage.over()
    assert said() == []


def test_with_patience_a_long_outage_is_mentioned_in_the_end(frozen_clock, said):
    outage = Outage(lease=60, patience=30)
    fail_for(outage, frozen_clock, 31)
    outage.over()
    assert [text.partition(" (")[0] for text in said()] == [
        "Lost the database",
        "Database is back after 31 s.",
    ]


def test_an_error_without_a_text_is_named_by_its_class(frozen_clock, said):
    Outage(lease=60).failed(TimeoutError())
    assert "(TimeoutError)" in said()[0]
