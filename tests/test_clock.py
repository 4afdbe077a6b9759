from datetime import UTC, datetime, timedelta, timezone

import pytest

from django_jobs import clock
from tests.conftest import NOON


def test_the_real_clock_is_aware_and_leaves_the_database_its_own():
    assert clock.now().tzinfo is UTC
    assert clock.now_or_none() is None


def test_the_real_clock_moves_forward():
    assert clock.monotonic() <= clock.monotonic()


def test_a_frozen_clock_stands_still_until_it_is_moved():
    with clock.frozen(NOON) as standing:
        assert clock.now() == clock.now_or_none() == NOON
        standing.advance(timedelta(minutes=5))
        assert clock.now() == NOON + timedelta(minutes=5)
        assert clock.monotonic() == 300


def test_sleeping_on_a_frozen_clock_moves_it():
    with clock.frozen(NOON):
        clock.sleep(2.5)
        assert clock.now() == NOON + timedelta(seconds=2.5)
        assert clock.monotonic() == 2.5


def test_turning_a_clock_back_does_not_turn_back_the_monotonic_one():
    with clock.frozen(NOON) as standing:
        standing.advance(timedelta(seconds=10))
        standing.advance(timedelta(seconds=-5))
        assert clock.now() == NOON + timedelta(seconds=5)
        assert clock.monotonic() >= 10


def test_the_clock_before_comes_back_after_an_error():
    with pytest.raises(RuntimeError), clock.frozen(NOON):
        raise RuntimeError
    assert clock.now_or_none() is None


def test_other_zones_are_kept_as_the_same_instant_in_utc():
    tokyo = timezone(timedelta(hours=9))
    with clock.frozen(datetime(2030, 1, 15, 21, tzinfo=tokyo)):
        assert clock.now() == NOON
        assert clock.now().tzinfo is UTC


def test_a_clock_cannot_be_frozen_at_a_naive_instant():
    with pytest.raises(ValueError, match="aware"):
        clock.FrozenClock(datetime(2030, 1, 15))  # noqa: DTZ001
