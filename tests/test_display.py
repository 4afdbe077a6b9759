from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs import job
from django_jobs.display import LONGEST_CALL, ago, call_text, duration, json_text, masked_arguments
from django_jobs.masking import MASK
from tests.conftest import NOON


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.254, "0.25 s"),
        (9.5, "9.5 s"),
        (12.4, "12 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (5 * 3600 + 12 * 60 + 30, "5 h 12 min"),
        (90_000, "1 d 1 h"),
        (-30, "30 s"),
    ],
)
def test_a_span_is_told_in_its_two_biggest_units(seconds, text):
    assert duration(seconds) == duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-300, "5 min ago"), (7200, "in 2 h"), (0.4, "just now"), (-0.4, "just now"), (-3, "3 s ago")],
)
def test_an_instant_is_told_by_its_distance(seconds, text):
    assert ago(NOON + timedelta(seconds=seconds), NOON) == text


def test_no_instant_is_no_text():
    assert ago(None, NOON) == ""


@given(st.floats(0, 1e9))
def test_every_span_has_a_unit(seconds):
    assert duration(seconds).endswith((" s", " min", " h", " d"))


def test_a_call_reads_as_it_would_be_typed():
    text = call_text("tests.jobs.send", ["ana"], {"subject": "hi"})
    assert text == 'send("ana", subject="hi")'


def test_sensitive_arguments_are_masked_by_place_and_by_name():
    assert masked_arguments("tests.jobs.charge", [1, "4111"], {"api_key": "k"}) == (
        [1, MASK],
        {"api_key": MASK},
    )
    assert masked_arguments("tests.jobs.charge", [], {"card": {"number": "4111"}}) == (
        [],
        {"card": {"number": MASK}},
    )


def test_arguments_beyond_the_known_parameters_are_shown():
    assert masked_arguments("tests.jobs.add", [1, 2, 3], {}) == ([1, 2, 3], {})


def test_a_job_that_nobody_declares_is_masked_whole():
    assert masked_arguments("gone.job", [1, [2]], {"to": "ana"}) == ([MASK, MASK], {"to": MASK})


def test_credentials_inside_texts_are_masked():
    assert "hunter2" not in call_text("tests.jobs.send", ["postgres://a:hunter2@db/x"], {})
    assert "hunter2" not in json_text({"url": "https://x.test/?token=hunter2"})


def test_a_long_call_is_cut():
    text = call_text("tests.jobs.send", ["x" * 500], {})
    assert len(text) == LONGEST_CALL
    assert text.endswith("…)")


def test_collected_arguments_are_masked_by_their_own_name_and_by_their_groups():
    @job(name="tests.pay", sensitive=("pin_code", "parts"))
    def pay(to, *parts, **options):
        """Do nothing."""

    @job(name="tests.hush", sensitive="options")
    def hush(**options):
        """Do nothing."""

    assert masked_arguments("tests.pay", ["Ana", "4111"], {"pin_code": "1", "note": "x"}) == (
        ["Ana", MASK],
        {"pin_code": MASK, "note": "x"},
    )
    assert masked_arguments("tests.hush", [], {"note": "x"}) == ([], {"note": MASK})


def test_half_a_character_of_two_can_be_sent():
    assert json_text({"a": "x\ud800"}) == '{"a": "x\\ud800"}'
    assert json_text("\U0001f600") == '"\U0001f600"'
