"""What happens when clocks are changed: worked out by hand, searched minute by minute, and compared."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.timetables.cron import parse
from django_jobs.timetables.timetable import Timetable
from django_jobs.timetables.wall_clocks import WallClock, clock_change, occurrences, shown
from tests.cron_texts import Meaning, nightly, texts

at = datetime.fromisoformat
MINUTE = timedelta(minutes=1)
TICK = timedelta.resolution
ANY_TEXT = st.one_of(nightly(), texts())
TEXTS = (
    *("30 2 * * *", "0 2 * * *", "@daily", "30 1 * * *", "0,30 1-3 * * *"),
    *("*/30 * * * *", "0 * * * *", "*/15 2 * * *", "45 1,2 * * *", "0 */2 * * *"),
)
# Zone, and two instants in UTC: the planned times from the first to the second, both included,
# are those below, in the order of TEXTS. The comment has the wall clock.
BY_HAND = {
    # 02:00 (−5) becomes 03:00 (−4) at 07:00; from midnight to 04:30
    ("America/New_York", "2024-03-10T05:00", "2024-03-10T08:30"): """
        07:00
        07:00
        05:00
        06:30
        06:00 06:30 07:00 07:30
        05:00 05:30 06:00 06:30 07:00 07:30 08:00 08:30
        05:00 06:00 07:00 08:00
        -
        06:45 07:00
        05:00 08:00""",
    # 02:00 (−4) becomes 01:00 (−5) at 06:00; from midnight to 03:30
    ("America/New_York", "2024-11-03T04:00", "2024-11-03T08:30"): """
        07:30
        07:00
        04:00
        05:30
        05:00 05:30 07:00 07:30 08:00 08:30
        04:00 04:30 05:00 05:30 06:00 06:30 07:00 07:30 08:00 08:30
        04:00 05:00 06:00 07:00 08:00
        07:00 07:15 07:30 07:45
        05:45 07:45
        04:00 07:00""",
    # 02:00 (+1) becomes 03:00 (+2) at 01:00; from midnight to 04:30
    ("Europe/Paris", "2024-03-30T23:00", "2024-03-31T02:30"): """
        01:00
        01:00
        23:00
        00:30
        00:00 00:30 01:00 01:30
        23:00 23:30 00:00 00:30 01:00 01:30 02:00 02:30
        23:00 00:00 01:00 02:00
        -
        00:45 01:00
        23:00 02:00""",
    # 03:00 (+2) becomes 02:00 (+1) at 01:00; from midnight to 03:30
    ("Europe/Paris", "2024-10-26T22:00", "2024-10-27T02:30"): """
        00:30
        00:00
        22:00
        23:30
        23:00 23:30 00:00 00:30 02:00 02:30
        22:00 22:30 23:00 23:30 00:00 00:30 01:00 01:30 02:00 02:30
        22:00 23:00 00:00 01:00 02:00
        00:00 00:15 00:30 00:45 01:00 01:15 01:30 01:45
        23:45 00:45
        22:00 00:00 01:00""",
    # 02:00 (+11) becomes 01:30 (+10:30) at 15:00; from midnight to 04:00
    ("Australia/Lord_Howe", "2024-04-06T13:00", "2024-04-06T17:30"): """
        16:00
        15:30
        13:00
        14:30
        14:00 14:30 15:30 16:00 16:30 17:00
        13:00 13:30 14:00 14:30 15:00 15:30 16:00 16:30 17:00 17:30
        13:00 14:00 15:30 16:30 17:30
        15:30 15:45 16:00 16:15
        14:45 16:15
        13:00 15:30 17:30""",
    # 02:00 (+10:30) becomes 02:30 (+11) at 15:30; from midnight to 04:00
    ("Australia/Lord_Howe", "2024-10-05T13:30", "2024-10-05T17:00"): """
        15:30
        15:30
        13:30
        15:00
        14:30 15:00 15:30 16:00 16:30
        13:30 14:00 14:30 15:00 15:30 16:00 16:30 17:00
        13:30 14:30 16:00 17:00
        15:30 15:45
        15:15 15:45
        13:30 17:00""",
    # 03:00 (+1) becomes 02:00 (+0) at 02:00; from midnight to 03:30
    ("Africa/Casablanca", "2024-03-09T23:00", "2024-03-10T03:30"): """
        01:30
        01:00
        23:00
        00:30
        00:00 00:30 01:00 01:30 03:00 03:30
        23:00 23:30 00:00 00:30 01:00 01:30 02:00 02:30 03:00 03:30
        23:00 00:00 01:00 02:00 03:00
        01:00 01:15 01:30 01:45 02:00 02:15 02:30 02:45
        00:45 01:45
        23:00 01:00 02:00""",
    # 02:00 (+0) becomes 03:00 (+1) at 02:00; from midnight to 04:30
    ("Africa/Casablanca", "2024-04-14T00:00", "2024-04-14T03:30"): """
        02:00
        02:00
        00:00
        01:30
        01:00 01:30 02:00 02:30
        00:00 00:30 01:00 01:30 02:00 02:30 03:00 03:30
        00:00 01:00 02:00 03:00
        -
        01:45 02:00
        00:00 03:00""",
    # 00:00 (+5:30) becomes 00:15 (+5:45) at 18:30; from 23:30 to 03:45
    ("Asia/Kathmandu", "1985-12-31T18:00", "1985-12-31T22:00"): """
        20:45
        20:15
        18:30
        19:45
        19:15 19:45 20:15 20:45 21:15 21:45
        18:00 18:45 19:15 19:45 20:15 20:45 21:15 21:45
        19:15 20:15 21:15
        20:15 20:30 20:45 21:00
        20:00 21:00
        20:15""",
}
CASES = [
    (zone, first, last, text, [] if times.strip() == "-" else times.split())
    for (zone, first, last), table in BY_HAND.items()
    for text, times in zip(TEXTS, table.strip().splitlines(), strict=True)
]
CHANGES = {
    "America/New_York": ("2024-03-10T07:00", "2024-11-03T06:00"),
    "Europe/Paris": ("2024-03-31T01:00", "2024-10-27T01:00"),
    "Australia/Lord_Howe": ("2024-04-06T15:00", "2024-10-05T15:30"),
    "Africa/Casablanca": ("2024-03-10T02:00", "2024-04-14T02:00"),
    "Asia/Kathmandu": ("1985-12-31T18:30",),
    "Antarctica/Troll": ("2024-03-31T01:00", "2024-10-27T01:00"),
    "America/Santiago": ("2024-04-07T03:00", "2024-09-08T04:00"),
    "Pacific/Apia": ("2011-12-30T10:00",),  # a whole day is skipped
    "America/Caracas": ("2007-12-09T07:00", "2016-05-01T07:00"),  # half an hour, for good
}

SHIFTING = tuple(sorted(set(CHANGES) - {"Pacific/Apia"}))
# Shifted by parts of an hour, or at midnight.
ODD_CHANGES = {"Australia/Lord_Howe", "Asia/Kathmandu", "America/Caracas", "America/Santiago"}


@st.composite
def around_changes(draw, zones=tuple(CHANGES)):
    """A zone, the instant of one of its changes, and another within four hours of it."""
    zone = draw(st.sampled_from(zones))
    change = at(draw(st.sampled_from(CHANGES[zone]))).replace(tzinfo=UTC)
    return zone, change, change + timedelta(seconds=draw(st.integers(-14_400, 14_400)))


def timetable(zone, text):
    return Timetable(name="x", cron=text, timezone=zone)


@pytest.mark.parametrize(("zone", "first", "last", "text", "times"), CASES)
def test_planned_times_are_those_worked_out_by_hand(zone, first, last, text, times):
    table = timetable(zone, text)
    start, end = at(first).replace(tzinfo=UTC) - TICK, at(last).replace(tzinfo=UTC)
    forward, planned = [], table.next(start)
    while planned <= end:
        forward.append(f"{planned:%H:%M}")
        planned = table.next(planned)
    assert forward == times
    assert [f"{one:%H:%M}" for one in table.latest(start, end, 100)] == times
    assert table.count(start, end, 100) == len(times)


def test_the_table_holds_ten_texts_at_nine_changes():
    assert len(CASES) == 90


def by_minute(cron, zone, start, minutes):
    """The planned times, found by looking at the clock every minute."""
    meaning, found = Meaning(cron.normal), []
    newest = shown(start, zone)
    for step in range(1, minutes + 1):
        instant = start + step * MINUTE
        wall = shown(instant, zone)
        if not cron.fixed and meaning.matches(wall):
            found.append(instant)
        if cron.fixed and wall > newest:
            passed = (wall - newest) // MINUTE
            if any(meaning.matches(newest + one * MINUTE) for one in range(1, passed + 1)):
                found.append(instant)
        newest = max(newest, wall)
    return found


@given(nightly(), around_changes())
def test_a_look_at_the_clock_every_minute_finds_the_same_times(text, moment):
    name, change, start = moment
    cron, zone = parse(text, "x"), ZoneInfo(name)
    clock = WallClock(cron, zone)
    expected = by_minute(cron, zone, change - timedelta(hours=5), 600)
    later = [planned for planned in expected if planned > start]
    earlier = [planned for planned in expected if planned <= start]
    assert not later or clock.next(start) == later[0]
    assert not earlier or clock.latest(start) == earlier[-1]
    for one, two in pairwise(expected):
        assert clock.next(one) == two
        assert clock.latest(two - TICK) == one


@given(ANY_TEXT, around_changes(zones=SHIFTING))
def test_a_second_implementation_agrees_around_the_changes(text, moment):
    """Permitted differences to cronsim, each named where it is made."""
    name, _, start = moment
    table, theirs = timetable(name, text), CronSim(text, start.astimezone(ZoneInfo(name)))
    if table.rule.fixed != (theirs.fixup_tz is not None):
        return  # 0-23 names every hour: to us that is *, to cronsim a list of fixed times
    if not table.rule.fixed and name in ODD_CHANGES:
        # With wildcards, cronsim goes by whole hours and misses what a shorter shift hides, and
        # it takes a midnight that the clock skips for one that matches.
        return
    planned = last = start
    for _ in range(20):
        planned = table.next(planned)
        other = next(theirs).astimezone(UTC)
        # Skipped times that fall together are one to us, several to cronsim; started in the
        # second pass of a repeated hour, it first gives times of the first pass, which are over.
        while other <= last:
            other = next(theirs).astimezone(UTC)
        last = other
        assert planned == other


@given(ANY_TEXT, around_changes())
def test_next_is_later_and_nothing_lies_between(text, moment):
    name, _, start = moment
    clock = WallClock(parse(text, "x"), ZoneInfo(name))
    planned = clock.next(start)
    assert planned > start
    assert planned.utcoffset() == timedelta(0)
    assert clock.latest(planned) == planned
    assert clock.next(planned - TICK) == planned
    assert clock.latest(planned - TICK) == clock.latest(start)


@pytest.mark.parametrize(
    ("zone", "wall", "instants"),
    [
        ("Europe/Paris", "2024-03-31T01:59", ["00:59"]),
        ("Europe/Paris", "2024-03-31T02:30", []),
        ("Europe/Paris", "2024-03-31T03:00", ["01:00"]),
        ("Europe/Paris", "2024-10-27T01:59", ["23:59"]),
        ("Europe/Paris", "2024-10-27T02:30", ["00:30", "01:30"]),
        ("Europe/Paris", "2024-10-27T03:00", ["02:00"]),
        ("Australia/Lord_Howe", "2024-04-07T01:45", ["14:45", "15:15"]),
    ],
)
def test_a_wall_clock_shows_a_time_never_once_or_twice(zone, wall, instants):
    found = occurrences(at(wall), ZoneInfo(zone))
    assert [f"{instant:%H:%M}" for instant in found] == instants


@pytest.mark.parametrize(
    ("zone", "wall", "change"),
    [
        ("Europe/Paris", "2024-03-31T02:01", "2024-03-31T01:00"),
        ("Europe/Paris", "2024-10-27T02:59", "2024-10-27T01:00"),
        ("Asia/Kathmandu", "1986-01-01T00:07", "1985-12-31T18:30"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00"),
    ],
)
def test_a_change_is_found_to_the_second(zone, wall, change):
    assert clock_change(at(wall), ZoneInfo(zone)) == at(change).replace(tzinfo=UTC)
