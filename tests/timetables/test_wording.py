"""Words are right when they can be read back: here is a reader that knows only English."""

import calendar
import re
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_jobs.timetables.cron import parse
from django_jobs.timetables.timetable import Timetable
from django_jobs.timetables.wording import in_words
from tests.cron_texts import nightly, texts

MONTH_NAMES = tuple(calendar.month_name)[1:]
DAY_NAMES = (calendar.day_name[6], *calendar.day_name[:6])
ORDINALS = ("first", "second", "third", "fourth", "fifth")
CLOCK = r"\d\d:\d\d"
EVERY_MINUTE, EVERY_HOUR = set(range(60)), set(range(24))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("0,30 * * * *", "every 30 minutes"),
        ("0 * * * *", "every hour"),
        ("@hourly", "every hour"),
        ("30 * * * *", "at minute 30 of every hour"),
        ("7/15 * * * *", "at minutes 7, 22, 37 and 52 of every hour"),
        ("*/45 * * * *", "at minutes 0 and 45 of every hour"),
        ("1,2,3,7 * * * *", "at minutes 1–3 and 7 of every hour"),
        ("* 9-17 * * *", "every minute from 09:00 to 17:59"),
        ("*/15 9-17 * * *", "every 15 minutes from 09:00 to 17:59"),
        ("*/10 2 * * *", "every 10 minutes from 02:00 to 02:59"),
        ("* 9,11 * * *", "every minute of hours 9 and 11"),
        ("*/10 22-2 * * *", "at minutes 0, 10, 20, 30, 40 and 50 of hours 0–2, 22 and 23"),
        ("0-29 3 * * *", "at minutes 0–29 of hour 3"),
        ("0 9-17 * * *", "every hour from 09:00 to 17:00"),
        ("0 */4 * * *", "every 4 hours from 00:00"),
        ("5 1/2 * * *", "every 2 hours from 01:05"),
        ("0 4,8,12,16,20 * * *", "at minute 0 of hours 4, 8, 12, 16 and 20"),
        ("0 */5 * * *", "at minute 0 of hours 0, 5, 10, 15 and 20"),
        ("0 2 * * *", "at 02:00 every day"),
        ("0 */6 * * *", "at 00:00, 06:00, 12:00 and 18:00 every day"),
        ("0 9,17 * * 1-5", "at 09:00 and 17:00 on weekdays"),
        ("0 0 * * sat,sun", "at 00:00 on weekends"),
        ("30 8 * * mon", "every Monday at 08:30"),
        ("30 8 * 6-8 mon,wed", "every Monday and Wednesday in June, July and August at 08:30"),
        ("* * * * mon", "every minute on Mondays"),
        ("*/5 * * 1 *", "every 5 minutes in January"),
        ("0 0 * 1 *", "at 00:00 every day in January"),
        ("@monthly", "at 00:00 on day 1 of every month"),
        ("@yearly", "at 00:00 on day 1 of January"),
        ("0 0 1,15 * *", "at 00:00 on days 1 and 15 of every month"),
        ("0 0 L * *", "at 00:00 on the last day of every month"),
        ("0 9 * * fri#2", "at 09:00 on the second Friday of every month"),
        ("0 9 * 3 mon#1,sun#5", "at 09:00 on the fifth Sunday and the first Monday of March"),
        ("0 0 13 * fri", "at 00:00 on day 13 of every month and also on Fridays"),
        ("0 0 L 2 1-5", "at 00:00 on the last day of February and also on weekdays in February"),
    ],
)
def test_a_cron_text_in_words(text, words):
    assert in_words(parse(text, "nightly")) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "every second"),
        (90, "every 90 s"),
        (60, "every minute"),
        (300, "every 5 minutes"),
        (3600, "every hour"),
        (5400, "every 90 minutes"),
        (86_400, "every day"),
        (7 * 86_400, "every 7 days"),
        (86_461, "every 86461 s"),
    ],
)
def test_a_span_in_words(seconds, words):
    assert in_words(timedelta(seconds=seconds)) == words


def test_a_timetable_in_words():
    assert in_words(Timetable(name="x", every=timedelta(hours=2))) == "every 2 hours"
    assert in_words(Timetable(name="x", cron="@daily")) == "at 00:00 every day"


def test_h_is_said_as_it_was_drawn():
    assert in_words(parse("H H * * *", "nightly")) == "at 00:39 every day"


@given(st.integers(1, 10**8))
def test_a_span_can_be_read_back(seconds):
    number, unit = re.fullmatch(
        r"every (?:(\d+) )?(s|second|minute|hour|day)s?", in_words(timedelta(seconds=seconds))
    ).groups()
    sizes = {"s": 1, "second": 1, "minute": 60, "hour": 3600, "day": 86_400}
    assert int(number or 1) * sizes[unit] == seconds


def items(text):
    return re.split(r", | and ", text)


def numbers(text):
    found = set()
    for item in items(re.sub(r"^\D+", "", text)):
        first, _, last = item.partition("–")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def clock(text):
    return int(text[:2]), int(text[3:])


def read_time(words):
    """The times of the day, as (hour, minute), that the beginning of `words` names."""
    if match := re.match(rf"(?:at|.* at) ({CLOCK}(?:(?:, | and ){CLOCK})*)", words):
        return {clock(item) for item in items(match[1])}
    if match := re.match(rf"every (\d+) hours from ({CLOCK})", words):
        (hour, minute), step = clock(match[2]), int(match[1])
        assert hour < step  # or it would not be every so many hours
        return {(one, minute) for one in range(hour, 24, step)}
    if match := re.match(rf"every hour from ({CLOCK}) to ({CLOCK})", words):
        (first, minute), (last, _) = clock(match[1]), clock(match[2])
        return {(hour, minute) for hour in range(first, last + 1)}
    if match := re.match(
        rf"every (?:(\d+) )?minutes?(?: from ({CLOCK}) to ({CLOCK}))?(?! of)", words
    ):
        first, last = clock(match[2] or "00:00"), clock(match[3] or "23:59")
        pace = range(0, 60, int(match[1] or 1))
        return {(h, m) for h in EVERY_HOUR for m in pace if first <= (h, m) <= last}
    if words.startswith("every hour"):
        return {(hour, 0) for hour in EVERY_HOUR}
    minutes, _, hours = words.partition(" of ")
    found = EVERY_MINUTE if minutes == "every minute" else numbers(minutes)
    named = re.match(r"hours? [\d–, ]+(?:and [\d–]+)?", hours)
    return {(h, m) for h in (numbers(named[0]) if named else EVERY_HOUR) for m in found}


def months(text):
    return {MONTH_NAMES.index(item) + 1 for item in items(text)} if text else set(range(1, 13))


def names(pool):
    one = f"(?:{'|'.join(pool)})"
    return f"{one}(?:(?:, | and ){one})*"


def read_days(words):
    """Which days (day of month, weekday, "5#2") and months the end of `words` names."""
    month = rf"(?:every month|({names(MONTH_NAMES)}))"
    season = rf"(?: in ({names(MONTH_NAMES)}))?"
    day, weekday, seasons = "*", "*", []
    if match := re.search(rf" on (the last day|days? [\d–, and]+) of {month}", words):
        day = "l" if "last" in match[1] else numbers(match[1])
        seasons.append(months(match[2]))
    if match := re.search(rf" on ((?:(?:, | and )?the \w+ \w+day)+) of {month}", words):
        pairs = [item.split()[1:] for item in items(match[1])]
        weekday = {f"{DAY_NAMES.index(name)}#{ORDINALS.index(nth) + 1}" for nth, name in pairs}
        seasons.append(months(match[2]))
    plural = names([f"{name}s" for name in DAY_NAMES])
    if match := re.search(rf" on (weekdays|weekends|{plural}){season}$", words):
        groups = {"weekdays": {1, 2, 3, 4, 5}, "weekends": {0, 6}}
        weekday = groups.get(match[1]) or {DAY_NAMES.index(one[:-1]) for one in items(match[1])}
        seasons.append(months(match[2]))
    if match := re.match(rf"every ({names(DAY_NAMES)}){season} at", words):
        weekday = {DAY_NAMES.index(one) for one in items(match[1])}
        seasons.append(months(match[2]))
    if not seasons:
        seasons.append(months((re.search(rf"{season}$", words) or [None, None])[1]))
    assert all(one == seasons[0] for one in seasons)
    return day, seasons[0], weekday


def values(text, everything):
    return everything if text == "*" else {int(one) for one in text.split(",")}


@given(st.one_of(texts(), nightly()))
@example("1,31 0-23/3 1-31 * mon")
@example("0 0 * * 0#1,1#1,2#1,3#1,4#1,5#1,6#1")
@example("0,30 22-2 L 11-2 sat")
@example("0 22-2 * * *")
def test_words_can_be_read_back(text):
    cron = parse(text, "nightly")
    words = in_words(cron)
    minute, hour, day, month, weekday = cron.normal.split()
    assert read_time(words) == {
        (h, m) for h in values(hour, EVERY_HOUR) for m in values(minute, EVERY_MINUTE)
    }
    named = set(weekday.split(",")) if "#" in weekday else values(weekday, "*")
    expected_day = "l" if day == "l" else values(day, "*")
    assert read_days(words) == (expected_day, values(month, set(range(1, 13))), named), words
