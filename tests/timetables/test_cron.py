import re
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from croniter import croniter
from cronsim import CronSim, CronSimError
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.exceptions import InvalidSchedule, JobError
from django_jobs.timetables.cron import LONGEST, _walker, parse
from tests.cron_texts import Meaning, texts

at = datetime.fromisoformat
NEW_YEAR = at("2027-01-01")
MINUTES = timedelta(minutes=1)
ONE_DAY = timedelta(days=1)
INSTANTS = st.datetimes(at("2020-01-01"), at("2040-01-01"))
ALL_DAYS = ",".join(map(str, range(1, 32)))
NAMES = "@yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly"


def normal(text, seed="nightly"):
    return parse(text, seed).normal


def walls(text, start=NEW_YEAR, count=5):
    cron, found = parse(text, "nightly"), [start]
    while len(found) <= count:
        found.append(cron.next_wall(found[-1]))
    return [f"{wall:%m-%d %H:%M}" for wall in found[1:]]


def refusal(text):
    with pytest.raises(InvalidSchedule) as caught:
        parse(text, "nightly")
    assert caught.value.field == "cron"
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0 2 * * *", "0 2 * * *"),
        ("  0   2\t* * * ", "0 2 * * *"),
        ("1,3,2,3 * * * *", "1,2,3 * * * *"),
        ("*/15 9-11 * * *", "0,15,30,45 9,10,11 * * *"),
        ("50/4 0-6/3 * * *", "50,54,58 0,3,6 * * *"),
        ("0 0 1 JAN,dec-Feb *", "0 0 1 1,2,12 *"),
        ("0 0 * * MON-fri", "0 0 * * 1,2,3,4,5"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("0 0 L * *", "0 0 l * *"),
        ("0 0 * * fri#2,Mon#1", "0 0 * * 1#1,5#2"),
        ("0 0 * * 7#3", "0 0 * * 0#3"),
        ("0-59 0-23 1-31 1-12 0-6", f"* * {ALL_DAYS} * 0,1,2,3,4,5,6"),
        ("*/60 */24 */31 */12 *", "0 0 1 1 *"),
    ],
)
def test_every_value_is_written_out(text, written):
    assert normal(text) == written


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@HOURLY", "0 * * * *"),
    ],
)
def test_the_usual_names_mean_the_usual_times_whatever_the_seed(name, written):
    # Trap: with a hash id, croniter takes @daily for "H H * * *".
    assert normal(name) == written
    assert croniter(name, NEW_YEAR, hash_id="nightly").expanded[0] != [0]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0 22-2 * * *", "0 0,1,2,22,23 * * *"),
        ("0 22-3/2 * * *", "0 0,2,22 * * *"),
        ("0 0 * 11-2 *", "0 0 * 1,2,11,12 *"),
        ("0 0 * * sat-mon", "0 0 * * 0,1,6"),
        ("0 0 * * 1-0", "0 0 * * *"),
    ],
)
def test_hours_months_and_weekdays_wrap_around(text, written):
    assert normal(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("5-5 0 * * *", "5 0 * * *"),
        ("0 6-6 * * *", "0 6 * * *"),
        ("0 0 15-15 * *", "0 0 15 * *"),
        ("0 0 * jan-jan *", "0 0 * 1 *"),
        ("0 0 * * 7-7", "0 0 * * 0"),
        ("0 0 * * 7/2", "0 0 * * 0"),
        ("5-5/15 0 * * *", "5 0 * * *"),
    ],
)
def test_a_range_of_one_value_is_that_value(text, written):
    # Trap: croniter takes the whole field.
    assert normal(text) == written


def test_croniter_would_take_the_whole_field_for_a_range_of_one_value():
    assert croniter.expand("5-5 0 * * *")[0][0] == ["*"]


class TestHash:
    def test_a_value_is_drawn_by_the_seed_and_stays(self):
        # Literal, for it must not change with a release of ours, of Python or of croniter.
        assert normal("H H H H H", "nightly") == "39 0 23 10 0"
        assert normal("H H H H H", "hourly") != normal("H H H H H", "nightly")

    def test_a_step_starts_anywhere_in_its_first_period(self):
        minutes = {normal("H/15 * * * *", str(seed)).split()[0] for seed in range(300)}
        assert minutes == {f"{at},{at + 15},{at + 30},{at + 45}" for at in range(15)}

    def test_a_range_holds_what_is_drawn(self):
        hours = {normal("0 H(3-5) * * *", str(seed)).split()[1] for seed in range(100)}
        assert hours == {"3", "4", "5"}
        assert {normal("0 H(23-0) * * *", str(seed)).split()[1] for seed in range(100)} == {
            *("0", "23")
        }

    def test_a_step_in_a_range_ends_with_the_range(self):
        minutes = {normal("H(0-29)/10 * * * *", str(seed)).split()[0] for seed in range(200)}
        assert minutes == {f"{at},{at + 10},{at + 20}" for at in range(10)}

    def test_a_step_longer_than_the_range_draws_from_the_range(self):
        minutes = {normal("H(10-12)/30 * * * *", str(seed)).split()[0] for seed in range(100)}
        assert minutes == {"10", "11", "12"}

    def test_a_day_of_the_month_exists_in_every_month(self):
        days = {int(normal("0 0 H * *", str(seed)).split()[2]) for seed in range(500)}
        assert days == set(range(1, 29))

    def test_minutes_and_hours_are_drawn_apart(self):
        # Trap: croniter takes both from neighbouring bits of one number.
        drawn = {tuple(normal("H(0-1) H(0-1) * * *", str(n)).split()[:2]) for n in range(50)}
        assert len(drawn) == 4


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("0 2 * * *", True),
        ("0,30 2-4 * * *", True),
        ("H H * * *", True),
        ("H(0-29)/10 3 * * *", True),
        ("0-30/10 3 * * *", True),
        ("@daily", True),
        ("* 2 * * *", False),
        ("0 * * * *", False),
        ("*/15 2 * * *", False),
        ("3,*/15 2 * * *", False),
        ("0 */4 * * *", False),
        ("H/15 2 * * *", False),
        ("0 H/6 * * *", False),
        ("0 0-23 * * *", False),
        ("0-59 2 * * *", False),
        ("@hourly", False),
    ],
)
def test_a_text_without_wildcards_in_minute_and_hour_names_fixed_times(text, fixed):
    assert parse(text, "nightly").fixed is fixed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 25 * * *", "hour must be 0–23, got 25."),
        ("60 * * * *", "minute must be 0–59, got 60."),
        ("0 0 0 * *", "day of month must be 1–31 or L alone, got 0."),
        ("0 0 32 * *", "day of month must be 1–31 or L alone, got 32."),
        ("0 0 * 13 *", "month must be 1–12 or jan–dec, got 13."),
        ("0 0 * may-june *", "month must be 1–12 or jan–dec, got june."),
        ("0 0 * * 8", "day of week must be 0–7 or sun–sat, got 8."),
        ("0 0 * * jan", "day of week must be 0–7 or sun–sat, got jan."),
        ("sun 0 * * *", "minute must be 0–59, got sun."),
        ("1-999999999 * * * *", "minute must be 0–59, got 999999999."),
        ("H(0-60) * * * *", "minute must be 0–59, got 60."),
        ("1_0 * * * *", "minute must be 0–59, got 1_0."),
        ("*/0 * * * *", "minute step must be 1–60, got 0."),
        ("*/90 * * * *", "minute step must be 1–60, got 90."),
        ("0 H/25 * * *", "hour step must be 1–24, got 25."),
        ("50-10 * * * *", "minute range must rise, got 50-10."),
        ("0 0 28-3 * *", "day of month range must rise, got 28-3."),
        ("H(30-10) * * * *", "minute range must rise, got h(30-10)."),
        ("R R * * *", "minute: R (random) is not supported; H draws by the name."),
        ("0 R(1-3) * * *", "hour: R (random) is not supported; H draws by the name."),
        ("0 0 31 2 *", "never happens."),
        ("0 0 30,31 2 *", "never happens."),
        ("0 0 31 2,4,6,9,11 *", "never happens."),
        ("0 0 31 2 mon", "its day of month is in none of its months."),
        ("0 0 1,L * *", "day of month must be 1–31 or L alone, got l."),
        ("0 0 15W * *", "day of month must be 1–31 or L alone, got 15w."),
        ("0 0 L-3 * *", "day of month must be 1–31 or L alone, got l."),
        ("0 0 * * 5L", "day of week must be 0–7 or sun–sat, got 5l."),
        ("0 0 * * fri#6", 'day of week takes "#" as in fri#2 (1 to 5) alone, got "fri#6".'),
        ("0 0 * * fri#2,mon", 'day of week takes "#" as in fri#2 (1 to 5) alone, got "mon".'),
        ("0 0 1 * fri#2", '"#" in day of week needs * in day of month.'),
        ("@reboot", f"allowed names: {NAMES}."),
    ],
)
def test_what_is_wrong_is_said_with_the_field_and_what_is_allowed(text, message):
    assert refusal(text) == f'"{text}": {message}'


@pytest.mark.parametrize("item", ["*,5", ",", "1,,2", "-5", "+1", "1.5", "?", "٣", "1/", "1/x"])
def test_what_has_no_meaning_is_refused_with_what_has(item):
    assert refusal(f"{item} * * * *").endswith(
        "allowed: 0–59, lists, ranges, steps, H, or * alone."
    )


@pytest.mark.parametrize(("text", "count"), [("", 0), ("0 2 * *", 4)])
def test_five_fields_are_needed(text, count):
    assert refusal(text).endswith(f"day of week) are needed, got {count}.")


@pytest.mark.parametrize("text", ["0 0 2 * * *", "0 0 2 * * * 2027"])
def test_seconds_are_not_supported(text):
    assert refusal(text).endswith(f"got {len(text.split())}. Seconds are not supported.")


@pytest.mark.parametrize(
    "text", ["0 0 */2 * mon", "0 0 1 * */2", "0 0 1-15/2 * mon", "0 0 */1 * 1", "0 0 H/7 * 1"]
)
def test_a_step_in_one_day_field_needs_the_other_free(text):
    assert "some crons would take the days that match both, others those that match" in refusal(
        text
    )


@pytest.mark.parametrize("text", ["0" * (LONGEST + 1), "0-59/1," * 100_000])
def test_a_text_too_long_is_refused_unread(text):
    assert refusal(text) == f"cron must have at most {LONGEST} characters, got {len(text)}."


def test_the_longest_lists_are_no_work():
    text = ("0-59/1," * 26)[:-1] + " * * * *"
    assert len(text) < LONGEST
    assert normal(text) == "* * * * *"


@pytest.mark.parametrize("value", [None, 5, b"0 2 * * *"])
def test_a_cron_that_is_no_text_is_refused(value):
    assert refusal(value) == f'cron must be a text such as "0 2 * * *", got {value!r}.'


def test_control_characters_do_not_reach_the_message():
    assert refusal("\x1b[2J * * * *").startswith('"�[2J * * * *": minute cannot be ')


def test_a_refusal_is_a_value_error_of_this_package():
    assert issubclass(InvalidSchedule, JobError)
    assert issubclass(InvalidSchedule, ValueError)


@given(st.text(alphabet="0123456789*/-,#()hHrlLw?@ monfrijan\n\x00", max_size=60))
def test_any_text_is_understood_or_refused(text):
    try:
        written = normal(text)
    except InvalidSchedule:
        return
    assert normal(written) == written
    assert re.fullmatch(r"([*l0-9,]+ ){4}[*0-9,#]+", written)


@pytest.mark.parametrize("text", ["0 0 31 1,2 *", "0 0 29 2 *", "0 0 1,31 2 *", "0 0 L 2 *"])
def test_a_day_that_some_month_has_does_happen(text):
    assert parse(text, "nightly").next_wall(NEW_YEAR)


def test_leap_days_come_every_four_years():
    found = [f"{wall}" for wall in islice(years("0 0 29 2 *"), 3)]
    assert found == ["2028-02-29 00:00:00", "2032-02-29 00:00:00", "2036-02-29 00:00:00"]


def years(text):
    wall = NEW_YEAR
    while wall := parse(text, "nightly").next_wall(wall):
        yield wall


def test_either_day_field_is_enough_when_both_are_restricted():
    assert walls("0 0 13 * fri") == [f"01-{day} 00:00" for day in ("08", "13", "15", "22", "29")]
    assert walls("0 0 L * mon", at("2027-01-24"), 3) == [
        *("01-25 00:00", "01-31 00:00", "02-01 00:00")
    ]


def test_all_days_of_the_month_beside_a_weekday_are_all_days():
    # Trap: written as "*" they would be Mondays only.
    assert walls("0 0 1-31 * mon", count=2) == ["01-02 00:00", "01-03 00:00"]


def test_all_weekdays_by_number_are_days_by_number_and_not_every_day():
    every = ",".join(f"{day}#1" for day in range(7))
    assert walls(f"0 0 * * {every}", at("2027-01-06"), 3) == [
        *("01-07 00:00", "02-01 00:00", "02-02 00:00")
    ]


def test_walls_are_strictly_later_and_strictly_earlier():
    cron = parse("*/5 * * * *", "nightly")
    noon = at("2027-01-01T12:00")
    just = timedelta(microseconds=1)
    assert cron.next_wall(noon) == noon + 5 * MINUTES
    assert cron.next_wall(noon - just) == noon
    assert cron.previous_wall(noon) == noon - 5 * MINUTES
    assert cron.previous_wall(noon + just) == noon


def test_the_calendar_ends_and_begins():
    cron = parse("@yearly", "nightly")
    assert cron.next_wall(at("9999-12-31T23:59:59")) is None
    assert cron.previous_wall(at("0001-01-01")) is None


def test_what_threads_share_does_not_move():
    cron = parse("17 3 * * *", "nightly")
    shared = _walker(cron.normal)
    before = vars(shared).copy()
    cron.next_wall(NEW_YEAR)
    cron.previous_wall(NEW_YEAR)
    assert _walker(cron.normal) is shared
    assert vars(shared) == before


@given(texts(), INSTANTS)
def test_the_next_and_the_previous_time_are_the_nearest_that_match(text, start):
    cron = parse(text, "nightly")
    meaning = Meaning(cron.normal)
    later, earlier = cron.next_wall(start), cron.previous_wall(start)
    assert earlier < start < later
    assert meaning.matches(later)
    assert meaning.matches(earlier)
    minute = start.replace(second=0, microsecond=0)
    near = [minute + step * MINUTES for step in range(-720, 720)]
    between = [wall for wall in near if earlier < wall < later and wall != start]
    assert not any(map(meaning.matches, between))


@given(texts(), INSTANTS)
def test_a_second_implementation_finds_the_same_times(text, start):
    """No difference is permitted here: without a zone, and in the forms that `texts()` makes.

    Elsewhere we differ from cronsim on purpose: names (@daily), H and wrap-around, which it
    refuses; "5-5/15" and "mon/3", which it reads in its own way; a step beside a restricted day,
    which we refuse.
    """
    other = CronSim(text, start.replace(tzinfo=UTC))
    wall = start
    for _ in range(5):
        wall = parse(text, "nightly").next_wall(wall)
        assert wall == next(other).replace(tzinfo=None)


@pytest.mark.parametrize("text", ["@daily", "H 0 * * *", "0 22-2 * * *", "0 0 * * sat-sun"])
def test_the_second_implementation_refuses_what_we_add(text):
    assert parse(text, "nightly")
    with pytest.raises(CronSimError):
        CronSim(text, NEW_YEAR)


def test_the_second_implementation_reads_two_forms_in_its_own_way():
    assert normal("5-5/15 0 * * *") == "5 0 * * *"
    assert CronSim("5-5/15 0 * * *", NEW_YEAR).minutes == {5, 20, 35, 50}
    assert normal("0 0 * * mon/3") == "0 0 * * 1,4"
    assert CronSim("0 0 * * mon/3", NEW_YEAR).weekdays == {1, 4, 7}
