"""Charts as plain values: scales, words, what a bar is made of."""

from datetime import timedelta

import pytest

from django_jobs.admin.charts import (
    HEIGHT,
    LEAST,
    Frame,
    Layer,
    about,
    count,
    nested,
    nice,
    percent,
    stacked,
)
from tests.conftest import NOON


def frame(points=2, minutes=5, events=()):
    step = timedelta(minutes=minutes)
    times = [(NOON + step * place, NOON + step * (place + 1)) for place in range(points)]
    return Frame(times, events)


@pytest.mark.parametrize(
    ("number", "top"),
    [
        (0, 1),
        (1, 1),
        (3, 5),
        (7, 10),
        (61, 100),
        (195, 200),
        (5001, 10_000),
        (0.4, 0.5),
        (0.03, 0.05),
    ],
)
def test_a_scale_ends_at_a_round_number_that_is_not_less(number, top):
    assert nice(number) == pytest.approx(top)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0041, "0 s"), (0.1234, "0.12 s"), (2.345, "2.3 s"), (41.4, "41 s"), (4000, "1 h 6 min")],
)
def test_an_estimated_time_has_two_digits_that_count(seconds, words):
    assert about(seconds) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0%"), (0.004, "0.4%"), (0.12, "12%"), (0.9992, "99.9%"), (0.9999, "99.9%"), (1, "100%")],
)
def test_a_share_is_told_in_per_cent(share, words):
    assert percent(share) == words


def test_a_number_is_grouped():
    assert count(12345) == "12,345"


def chart(*numbers, make=stacked):
    layers = [Layer(f"l{place}", "ok", values) for place, values in enumerate(numbers)]
    return make("c", "Title", "Words.", frame(len(numbers[0])), layers)


def test_stacked_layers_stand_on_each_other():
    [bar] = chart([6], [4]).bars
    assert [(shape.y, shape.height) for shape in bar.shapes] == [("40.0", "60.0"), ("0.0", "40.0")]
    assert bar.text == "12:00–12:05: l0 6, l1 4"


def test_nested_layers_stand_behind_each_other():
    [bar] = chart([10.0], [2.0], make=nested).bars
    assert [(shape.y, shape.height) for shape in bar.shapes] == [("0.0", "100.0"), ("80.0", "20.0")]
    assert bar.text == "12:00–12:05: l0 10 s, l1 2 s"


def test_one_failure_among_thousands_is_seen():
    [bar] = chart([9_000], [1]).bars
    assert bar.shapes[1].height == f"{LEAST:.1f}"
    assert float(bar.shapes[1].y) + float(bar.shapes[0].height) <= HEIGHT


def test_where_nothing_is_no_bar_stands_but_a_row_does():
    drawn = chart([0, 3], [0, 0])
    assert [bar.x for bar in drawn.bars] == ["10"]
    assert drawn.rows == (("12:00–12:05", "0", "0"), ("12:05–12:10", "3", "0"))
    assert chart([None], make=nested).rows == (("12:00–12:05", "–"),)


def test_without_any_bar_the_words_say_so():
    assert chart([0]).text == "Nothing in this time."
    assert chart([1]).text == "Words."


def test_over_more_than_a_day_moments_have_a_date():
    assert frame(96, 15).ticks() == ("12:00", "00:00", "12:00")
    assert frame(84, 120).ticks() == ("15 Jan 12:00", "19 Jan 00:00", "22 Jan 12:00")
    assert frame(84, 120).spans[0] == "15 Jan 12:00–14:00"


def test_a_mark_stands_where_its_instant_is():
    [mark] = frame(4, 15, [(NOON + timedelta(minutes=30), "version 2")]).marks()
    assert (mark.x, mark.text) == ("20.0", "12:30 version 2")
