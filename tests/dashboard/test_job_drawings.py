"""Tracebacks divided, spans placed: pure functions behind the page of a job."""

import traceback
from datetime import timedelta

import pytest

from django_jobs.admin.job.spans import in_turn, on_scale, percent
from django_jobs.admin.job.tracebacks import own_frames
from tests.conftest import NOON

LIBRARY = "/usr/lib/python3.11/smtplib.py"
SECOND = timedelta(seconds=1)


def trace(*files, error="ValueError: no"):
    frames = [f'  File "{file}", line 7, in f\n    call()\n    ^^^^^^' for file in files]
    return "\n".join(["Traceback (most recent call last):", *frames, error])


def test_frames_of_libraries_are_left_out_and_the_gaps_said():
    text = own_frames(trace("/srv/a.py", LIBRARY, "/x/site-packages/y.py", "/srv/b.py", LIBRARY))
    assert [line for line in text.splitlines() if "File" in line or "…" in line] == [
        '  File "/srv/a.py", line 7, in f',
        "  … 2 frames of libraries …",
        '  File "/srv/b.py", line 7, in f',
        "  … 1 frame of a library …",
    ]
    assert text.count("call()") == 2
    assert text.endswith("ValueError: no")


@pytest.mark.parametrize(
    "text", ["", "no traceback", trace("/srv/a.py"), trace(LIBRARY), trace("/a.py", "/b.py")]
)
def test_where_there_is_nothing_to_divide_nothing_is(text):
    assert own_frames(text) == ""


def test_a_message_of_several_lines_stays_whole():
    text = own_frames(trace("/srv/a.py", LIBRARY, error="ValueError: no\n    indented\n  more"))
    assert text.endswith("ValueError: no\n    indented\n  more")


def test_the_frames_of_exception_groups_are_divided_too():
    group = ExceptionGroup("several", [ValueError("one")])
    text = "".join(traceback.format_exception(group))
    own = f'  |   File "{LIBRARY}", line 1, in f\n  |     hidden()\n'
    text = text.replace(
        "    | ValueError: one", f'{own}  |   File "/srv/a.py", line 2\n    | ValueError: one'
    )
    found = own_frames(text)
    assert "/srv/a.py" in found
    assert "hidden()" not in found
    assert "ValueError: one" in found


def test_a_span_lies_on_its_scale_and_is_never_too_thin_to_see():
    end = NOON + 100 * SECOND
    assert on_scale(NOON, NOON + 50 * SECOND, NOON, end) == ("0.00%", "50.00%")
    assert on_scale(end, end, NOON, end) == ("99.60%", "0.40%")
    assert on_scale(NOON, NOON, NOON, NOON) == ("0.00%", "0.40%")
    assert percent(-1) == "0.00%"
    assert percent(7) == "100.00%"


def test_spans_in_turn_fill_the_width_and_longer_ones_are_wider():
    places = in_turn([SECOND, timedelta(days=3), timedelta()])
    widths = [width for _, width in places]
    assert sum(widths) == pytest.approx(1)
    assert widths[1] > widths[0] > widths[2] > 0.05
    assert [place for place, _ in places] == pytest.approx([0, widths[0], widths[0] + widths[1]])
    assert in_turn([]) == []
