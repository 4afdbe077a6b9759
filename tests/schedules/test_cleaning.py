"""`Schedule.full_clean()` says what the decorator says, beside the field."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from django_jobs.declarations import cron
from django_jobs.exceptions import InvalidSchedule, JobError
from django_jobs.models import Schedule
from django_jobs.schedules.operating import check
from tests.conftest import NOON
from tests.factories import ScheduleFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def made(**fields):
    given = {"job_name": "tests.jobs.add", "args": [1, 2], "cron": "@daily", **fields}
    return Schedule(name="wrong", created_at=NOON, **given)


def complaints(row):
    with pytest.raises(ValidationError) as caught:
        row.full_clean()
    return caught.value.message_dict


def test_a_schedule_that_makes_sense_is_clean():
    made().full_clean()
    made(
        cron="", every=timedelta(minutes=5), starts_at=NOON, args=[], kwargs={"left": 1}
    ).full_clean()
    ScheduleFactory(paused=True).full_clean()


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"cron": "0 25 * * *"}, "cron", "25"),
        ({"cron": ""}, "cron", "Give either cron or every, got neither."),
        ({"every": timedelta(hours=1)}, "cron", "Give either cron or every, got both."),
        ({"cron": "", "every": timedelta(0)}, "every", "every must be a timedelta of 1 s"),
        ({"timezone": "Europe/Pariss"}, "timezone", 'Did you mean "Europe/Paris"?'),
        ({"jitter": timedelta(days=2)}, "jitter", "jitter must be less than"),
        ({"starts_at": NOON, "ends_at": NOON - timedelta(1)}, "ends_at", "is before starts_at"),
        ({"missed_within": timedelta(-1)}, "missed_within", "between 0 and 366 days"),
        ({"job_name": "tests.jobs.ad"}, "job_name", 'Did you mean "tests.jobs.add"?'),
        ({"args": []}, "args", 'is missing "left".'),
        ({"kwargs": {"wrong": 1}}, "args", 'has no parameter "wrong".'),
        ({"args": {"left": 1}}, "args", "args must be a list"),
        ({"kwargs": ["left"]}, "kwargs", "kwargs must be an object"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_in_the_words_of_code(fields, field, words):
    row = made(**fields)
    messages = complaints(row)
    assert list(messages) == [field]
    assert words in messages[field][0]
    with pytest.raises(JobError) as caught:
        check(row)
    assert messages[field] == [str(caught.value)]


def test_the_decorator_says_the_same():
    with pytest.raises(InvalidSchedule) as caught:
        cron("0 25 * * *")
    assert complaints(made(cron="0 25 * * *")) == {"cron": [str(caught.value)]}


def test_everything_that_is_wrong_is_said_at_once():
    messages = complaints(made(cron="x", missed_within=timedelta(-1), job_name="nobody"))
    assert set(messages) == {"cron", "missed_within", "job_name"}


@pytest.mark.parametrize("field", ["missed_within", "jitter", "timezone", "args", "job_name"])
def test_a_field_without_a_value_is_an_error_and_no_crash(field):
    assert field in complaints(made(**{field: None}))
