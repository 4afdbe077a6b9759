import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from django_jobs import enqueue, job
from django_jobs.exceptions import ArgumentsTooLarge, ResultNotStorable, ResultTooLarge
from django_jobs.models import Job
from django_jobs.serializers import (
    NotReadable,
    clean_text,
    dump_arguments,
    dump_result,
    load,
    load_stored,
)
from django_jobs.testing import run_jobs

LIMIT = 64 * 1024

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def dump(*args, **kwargs):
    return dump_arguments("send", args, kwargs, ("when", "rows"), LIMIT)


@pytest.fixture
def give_back():
    @job(name="tests.serializers.give_back")
    def give_back(number: float) -> float:
        return number

    return give_back


@given(st.lists(values, max_size=3), st.dictionaries(texts, values, max_size=3))
def test_arguments_come_back_as_they_went_in(args, kwargs):
    args_text, kwargs_text = dump_arguments("send", tuple(args), kwargs, (), LIMIT)
    assert load(args_text) == args
    assert load(kwargs_text) == kwargs


@given(values.filter(lambda value: value is not None))
def test_results_come_back_as_they_went_in(value):
    assert load(dump_result("send", value, LIMIT)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e16, "10000000000000000.0"),
        (-1.5e16, "-15000000000000000.0"),
        (1e23, "99999999999999991611392.0"),
        (1e15, "1000000000000000.0"),
        (1e-7, "1e-07"),
        (10**23, "1" + "0" * 23),
        ('1e+16 "age+12" \\', '"1e+16 \\"age+12\\" \\\\"'),
    ],
)
def test_big_floats_are_spelt_out_and_nothing_else_is(value, text):
    assert dump_result("send", value, LIMIT) == text
    assert dump_result("send", {"1e+16": [value]}, LIMIT) == '{"1e+16":[' + text + "]}"


@pytest.mark.django_db
@pytest.mark.parametrize("value", [1e16, -1e16, 1e23, 1.7976931348623157e308, 5e-324, 10**23, 0.1])
def test_numbers_come_back_from_the_database_as_they_went_in(give_back, value):
    handle = enqueue(give_back, value)
    (run,) = run_jobs(raise_errors=True)
    given = Job.objects.get().args[0]
    for number in (given, handle.result):
        assert (number, type(number)) == (value, type(value)), run


@pytest.mark.django_db
def test_a_negative_zero_comes_back_from_postgresql_without_its_sign(give_back):
    handle = enqueue(give_back, -0.0)
    run_jobs(raise_errors=True)
    assert (handle.result, type(handle.result)) == (0.0, float)
    assert math.copysign(1, handle.result) == (1 if connection.vendor == "postgresql" else -1)


@given(st.text())
def test_cleaned_text_can_be_stored_anywhere(text):
    cleaned = clean_text(text)
    assert "\x00" not in cleaned
    cleaned.encode("utf-8")


def test_text_that_can_be_stored_stays_as_it_is():
    assert clean_text("naïve \N{SNOWMAN}\n") == "naïve \N{SNOWMAN}\n"


def test_no_result_is_no_text():
    assert dump_result("send", None, LIMIT) is None
    assert load(None) is None


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (datetime(2030, 1, 1, tzinfo=UTC), "Pass when.isoformat()."),
        (timedelta(1), "Pass when.total_seconds()."),
        (Decimal(1), "Pass str(when)."),
        (UUID(int=1), "is a UUID, which JSON cannot hold. Pass str(when)."),
        (b"x", "Pass text"),
        ({1}, "Pass sorted(when)."),
        ((1, 2), "Pass list(when)."),
        (User(pk=1), "User instance. Pass when.pk and load it in the job."),
        (float("nan"), "nan, which JSON cannot hold"),
        ("a\x00b", "NUL"),
        ("\ud800", "lone surrogate"),
        (object(), "an object, which JSON cannot hold"),
        ({1: 2}, "JSON has text keys only"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_what_to_pass_instead(value, hint):
    with pytest.raises(TypeError) as caught:
        dump(value)
    assert 'argument "when" of send' in str(caught.value)
    assert hint in str(caught.value)
    assert str(caught.value).endswith("Nothing was enqueued.")


def test_a_nested_value_is_named_by_its_path():
    with pytest.raises(TypeError, match=r'argument "rows\[3\]\[\'due\'\]" of send is a datetime'):
        dump("x", [0, 1, 2, {"due": datetime(2030, 1, 1, tzinfo=UTC)}])


def test_keyword_arguments_and_surplus_places_are_named_too():
    with pytest.raises(TypeError, match=r'argument "note\[0\]" of send'):
        dump(note=[b""])
    with pytest.raises(TypeError, match='argument "#3" of send'):
        dump(1, 2, b"")


def test_a_list_that_contains_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(TypeError, match="nested deeper than 100 levels"):
        dump(endless)


def test_an_integer_too_long_for_text_is_refused():
    with pytest.raises(TypeError, match="too long"):
        dump(10**5000)


def test_arguments_are_limited_in_bytes_not_in_characters():
    size = len(json.dumps(["é" * 50], ensure_ascii=False, separators=(",", ":")).encode()) + 2
    assert dump_arguments("send", ("é" * 50,), {}, (), size)
    with pytest.raises(
        ArgumentsTooLarge, match=r"limit is 105 .*MAX_ARGUMENTS.*Nothing was enqueued"
    ):
        dump_arguments("send", ("é" * 50,), {}, (), size - 1)


def test_a_result_that_cannot_be_stored_says_what_to_return():
    with pytest.raises(ResultNotStorable, match=r"a datetime.* at result\['at'\]. Return a string"):
        dump_result("send", {"at": datetime(2030, 1, 1, tzinfo=UTC)}, LIMIT)


def test_a_result_that_is_too_large_names_the_limit():
    with pytest.raises(ResultTooLarge, match="102 bytes; the limit is 100 "):
        dump_result("send", "x" * 100, 100)


@pytest.mark.parametrize("text", ["", "{", "7,", "[" * 5_000, "[" * 200 + "]" * 200, "7" * 5_000])
def test_what_is_no_json_of_ours_is_said_to_be_none(text):
    with pytest.raises(NotReadable):
        load_stored(text)


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, [{"a": [None]}], [[[]]] * 3])
def test_what_was_stored_is_read(value):
    assert load_stored(json.dumps(value)) == value
