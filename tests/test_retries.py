from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.retries import Backoff, as_seconds

ERROR = ValueError("no")


def test_the_default_waits_double_from_15_seconds_up_to_an_hour():
    waits = [Backoff().base(attempt) for attempt in range(1, 11)]
    assert waits == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


@given(st.integers(1, 100), st.floats(0, 1))
def test_jitter_only_adds_and_never_more_than_its_share(attempt, jitter):
    backoff = Backoff(jitter=jitter)
    base = backoff.base(attempt)
    assert base <= backoff(ERROR, attempt) <= base * (1 + jitter) + 1e-6


def test_without_jitter_the_wait_is_exact():
    assert Backoff(first=2, factor=3, jitter=0)(ERROR, 3) == 18


def test_waits_may_be_given_as_timedeltas():
    backoff = Backoff(first=timedelta(minutes=1), cap=timedelta(minutes=3), jitter=0)
    assert [backoff(ERROR, attempt) for attempt in (1, 2, 3)] == [60, 120, 180]


def test_a_huge_attempt_number_ends_at_the_cap():
    assert Backoff(factor=1e10).base(10**6) == 3600


@pytest.mark.parametrize(
    "wrong", [{"first": -1}, {"cap": -1}, {"factor": 0.5}, {"jitter": -0.1}, {"jitter": 1.5}]
)
def test_impossible_rules_are_refused_when_they_are_made(wrong):
    with pytest.raises(ValueError, match="Backoff"):
        Backoff(**wrong)


def test_seconds_and_timedeltas_mean_the_same():
    assert as_seconds(90) == as_seconds(timedelta(minutes=1, seconds=30)) == 90.0
