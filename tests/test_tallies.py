"""Figures and their histograms, without a database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.tallies import BUCKETS, COLUMNS, Figures, bucket, floor, quantile, total

TIMES = st.floats(min_value=0, max_value=5000)


@given(TIMES)
def test_a_time_lies_within_its_bucket(seconds):
    number = bucket(seconds)
    assert floor(number) <= seconds + 1e-9
    assert seconds < floor(number + 1) + 1e-9


@pytest.mark.parametrize(("seconds", "number"), [(-3.0, 0), (0.0, 0), (0.01, 1), (1e9, 20)])
def test_what_is_too_short_or_too_long_has_a_bucket_too(seconds, number):
    assert bucket(seconds) == number


@given(st.lists(TIMES, min_size=1, max_size=200), st.sampled_from([0.5, 0.95]))
def test_a_percentile_is_off_by_a_factor_of_two_at_most(times, share):
    counts = [0] * BUCKETS
    for seconds in times:
        counts[bucket(seconds)] += 1
    place = max(-(-len(times) * share // 1), 1)
    exact = sorted(times)[int(place) - 1]
    found = quantile(counts, share)
    assert exact / 2 - 0.01 <= found <= max(exact * 2, 0.01) + 1e-9


def test_of_nothing_there_is_no_percentile():
    assert quantile([0] * BUCKETS, 0.95) is None


def test_the_last_bucket_has_no_end_so_its_begin_is_told():
    assert quantile([0] * (BUCKETS - 1) + [7], 0.95) == floor(BUCKETS - 1)


def made(**values):
    figures = Figures()
    for name, value in values.items():
        setattr(figures, name, value)
    return figures


def test_figures_add_up_and_survive_their_row():
    one = made(succeeded=3, failed=1, run_sum=1.5, runs=[1, 2] + [0] * 19)
    other = made(succeeded=1, retried=2, put_off=4, runs=[0, 1] + [0] * 18 + [5])
    both = total([one, other])
    assert (both.succeeded, both.failed, both.finished, both.ended) == (4, 1, 5, 11)
    assert both.runs == [1, 3] + [0] * 18 + [5]
    row = both.as_row()
    assert len(row) == len(COLUMNS)
    assert row.count(None) == 2 * BUCKETS - 3
    again = Figures.from_row(row)
    assert (again.as_row(), again.run_sum) == (row, 1.5)


def test_where_nothing_finished_there_is_no_rate():
    assert Figures().failure_rate is None
    assert made(succeeded=3, failed=1).failure_rate == 0.25
