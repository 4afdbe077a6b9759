"""What `cron` and `every` refuse at once, and in which words."""

from datetime import timedelta

import pytest

from django_jobs import cron, every
from django_jobs.exceptions import InvalidSchedule


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"args": "full"}, "args", "args must be a list, got 'full'"),
        ({"args": None}, "args", "args must be a list"),
        ({"kwargs": [1]}, "kwargs", "kwargs must be an object with names"),
        ({"kwargs": {1: 2}}, "kwargs", "kwargs must be an object with names"),
        ({"name": "a\x00b"}, "name", "NUL"),
        ({"name": "a\ud800"}, "name", "lone surrogate"),
        ({"missed": "last"}, "missed", '"skip", "one", "all", got \'last\''),
        ({"overlap": None}, "overlap", "overlap is one of"),
        ({"jitter": "10m"}, "jitter", "takes a timedelta or seconds, got '10m'"),
        ({"missed_within": float("nan")}, "missed_within", "out of range"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(options, field, words):
    with pytest.raises(InvalidSchedule, match=words) as refused:
        cron("0 2 * * *", **options)
    assert refused.value.field == field


def test_a_span_of_time_takes_no_time_zone():
    with pytest.raises(InvalidSchedule, match="takes no timezone"):
        every(timedelta(hours=1), timezone="Europe/Paris")


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match=r"no option tz\. Known: .*timezone"):
        cron("0 2 * * *", tz="Europe/Paris")
