import copy
import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.exceptions import InvalidSchedule
from django_jobs.timetables.timetable import Mark, Timetable, load_zone

NOON = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TICK = timedelta.resolution
NAIVE = NOON.replace(tzinfo=None)
INSTANTS = st.datetimes(NAIVE, NAIVE + 400 * DAY, timezones=st.just(UTC))
SPANS = st.integers(1, 10**6).map(lambda seconds: seconds * SECOND)


def table(**given_):
    rule = {} if "every" in given_ or "cron" in given_ else {"cron": "0 2 * * *"}
    return Timetable(**{"name": "nightly", **rule, **given_})


def refused(**given_):
    with pytest.raises(InvalidSchedule) as caught:
        table(**given_)
    return caught.value.field, str(caught.value)


class TestRefusals:
    def test_neither_cron_nor_every(self):
        assert refused(cron=None) == ("cron", "Give either cron or every, got neither.")

    def test_both_cron_and_every(self):
        assert refused(cron="@daily", every=HOUR) == (
            "cron",
            "Give either cron or every, got both.",
        )

    def test_a_wrong_cron_text(self):
        assert refused(cron="0 25 * * *") == ("cron", '"0 25 * * *": hour must be 0–23, got 25.')

    @pytest.mark.parametrize("every", [timedelta(0), -SECOND, 3650 * DAY + SECOND, 300, "5m"])
    def test_a_span_out_of_range(self, every):
        field, message = refused(every=every)
        assert field == "every"
        assert message == f"every must be a timedelta of 1 s to 3650 days, got {every!r}."

    def test_a_span_with_a_fraction_of_a_second(self):
        assert refused(every=1.5 * SECOND) == (
            "every",
            "every must be whole seconds, got 0:00:01.500000.",
        )

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("Europe/Pariss", 'Did you mean "Europe/Paris"?'),
            ("europe/paris", 'Did you mean "Europe/Paris"?'),
            ("Paris", 'Did you mean "Europe/Paris"?'),
            ("new york", 'Did you mean "America/New_York"?'),
            ("GMT+2", 'Names are such as "Europe/Paris" or "UTC".'),
            ("", 'Names are such as "Europe/Paris" or "UTC".'),
            ("../../etc/passwd", 'Names are such as "Europe/Paris" or "UTC".'),
            ("a\x00b", 'Names are such as "Europe/Paris" or "UTC".'),
        ],
    )
    def test_an_unknown_time_zone(self, name, hint):
        assert refused(timezone=name) == ("timezone", f'"{name}" is not a time zone. {hint}')

    @pytest.mark.parametrize("name", ["Europe", "localtime", "right/UTC", "posixrules"])
    def test_what_is_in_the_folder_of_time_zones_and_none(self, name):
        field, message = refused(timezone=name)
        assert field == "timezone"
        assert f'"{name}" is not a time zone.' in message

    def test_a_time_zone_name_of_any_length_is_cut(self):
        assert len(refused(timezone="x" * 10_000)[1]) < 350

    @pytest.mark.parametrize("value", [None, 2, UTC])
    def test_a_time_zone_that_is_no_name(self, value):
        message = f'timezone must be a name such as "UTC", got {value!r}.'
        assert refused(timezone=value) == ("timezone", message)

    @pytest.mark.parametrize("name", ["", "x" * 256, None, 7])
    def test_a_name_that_is_none(self, name):
        assert refused(name=name) == (
            "name",
            f"name must be a text of 1 to 255 characters, got {name!r}.",
        )

    @pytest.mark.parametrize("field", ["starts_at", "ends_at"])
    def test_a_limit_that_is_naive_or_no_instant(self, field):
        assert refused(**{field: NAIVE}) == (
            field,
            f"{field} (2030-01-15 12:00:00) is naive: it has no time zone.",
        )
        assert refused(**{field: "2030"}) == (
            field,
            f"{field} must be an aware datetime, got '2030'.",
        )

    @pytest.mark.parametrize("year", [1, 1969, 9999])
    def test_a_limit_outside_of_the_calendar(self, year):
        assert refused(starts_at=NOON.replace(year=year)) == (
            "starts_at",
            f"starts_at must be in the years 1970 to 9998, got {year}.",
        )

    def test_an_end_before_the_start(self):
        field, message = refused(starts_at=NOON, ends_at=NOON - TICK)
        assert field == "ends_at"
        assert "is before starts_at (2030-01-15 12:00:00+00:00)." in message

    @pytest.mark.parametrize("jitter", [-SECOND, 0.5 * SECOND, 5, None])
    def test_a_jitter_that_is_no_span_of_seconds(self, jitter):
        assert refused(jitter=jitter) == (
            "jitter",
            f"jitter must be a timedelta of whole seconds, 0 or more, got {jitter!r}.",
        )

    @pytest.mark.parametrize(
        ("rule", "shortest"),
        [
            ({"every": 90 * SECOND}, 90 * SECOND),
            ({"cron": "*/5 * * * *"}, 5 * MINUTE),
            ({"cron": "0,50 * * * *"}, 10 * MINUTE),
            ({"cron": "0 1,23 * * *"}, 2 * HOUR),
            ({"cron": "0 2 1 * *"}, DAY),
        ],
    )
    def test_a_jitter_as_long_as_the_shortest_wait(self, rule, shortest):
        assert table(**rule).shortest == shortest
        assert table(**rule, jitter=shortest - SECOND)
        field, message = refused(**rule, jitter=shortest)
        assert field == "jitter"
        assert message.startswith("jitter must be less than ")


class TestEvery:
    def test_counts_from_1970_so_that_all_machines_agree(self):
        # NOON is 526,308 hours after the beginning of 1970; 526,309 is 7 times 75,187.
        assert table(every=7 * HOUR).next(NOON) == NOON + HOUR

    def test_counts_from_its_start(self):
        start = NOON + 17 * SECOND
        every = table(every=HOUR, starts_at=start)
        assert every.next(NOON - 9 * DAY) == start
        assert every.next(start) == start + HOUR
        assert every.next(start + 5 * HOUR - TICK) == start + 5 * HOUR

    def test_knows_no_change_of_clocks(self):
        every = table(every=DAY, timezone="Europe/Paris", starts_at=NOON)
        assert every.next(datetime(2030, 3, 31, 10, tzinfo=UTC)).hour == 12

    @given(SPANS, INSTANTS)
    def test_next_and_latest_are_one_span_apart(self, span, instant):
        every = table(every=span)
        following = every.next(instant)
        assert instant < following <= instant + span
        assert every.latest(instant - span, instant, 9) == [following - span]


class TestLimits:
    def test_the_start_and_the_end_are_included(self):
        daily = table(cron="0 12 * * *", starts_at=NOON, ends_at=NOON + DAY)
        assert daily.next(NOON - 100 * DAY) == NOON
        assert daily.next(NOON) == NOON + DAY
        assert daily.next(NOON + DAY) is None
        assert daily.latest(NOON - 9 * DAY, NOON + 9 * DAY, 9) == [NOON, NOON + DAY]
        assert daily.count(NOON - 9 * DAY, NOON + 9 * DAY, 9) == 2

    def test_a_tick_inside_they_are_not(self):
        daily = table(cron="0 12 * * *", starts_at=NOON + TICK, ends_at=NOON + DAY - TICK)
        assert daily.next(NOON - DAY) is None
        assert daily.latest(NOON - DAY, NOON + 9 * DAY, 9) == []

    def test_they_may_be_given_in_any_zone(self):
        east = timezone(5 * HOUR)
        assert table(every=HOUR, starts_at=NOON.astimezone(east)).next(NOON - DAY).tzinfo is UTC

    def test_what_never_comes_again_is_none(self):
        late = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
        for zone in ("Asia/Tokyo", "America/New_York"):
            assert table(cron="@yearly", timezone=zone).next(late) is None
        assert table(every=DAY).next(late) is None

    def test_before_the_calendar_there_is_nothing(self):
        early = datetime(1, 1, 1, tzinfo=UTC)
        for rule in ({"cron": "@yearly", "timezone": "America/New_York"}, {"every": 7 * DAY}):
            assert table(**rule).latest(early, early + SECOND, 5) == []


class TestLatest:
    def test_the_newest_come_in_rising_order(self):
        found = table(cron="0 2 * * *").latest(NOON - 365 * DAY, NOON, 2)
        assert found == [NOON.replace(hour=2) - DAY, NOON.replace(hour=2)]

    def test_the_first_instant_is_excluded_and_the_last_included(self):
        hourly = table(cron="@hourly")
        assert hourly.latest(NOON - HOUR, NOON, 9) == [NOON]
        assert hourly.latest(NOON, NOON, 9) == []
        assert hourly.latest(NOON, NOON - DAY, 9) == []
        assert hourly.latest(NOON - DAY, NOON, 0) == []

    def test_a_cap_ends_the_count(self):
        assert table(cron="* * * * *").count(NOON - 9000 * DAY, NOON, 100) == 100
        assert table(every=SECOND).count(NOON - MINUTE, NOON, 100) == 60

    def test_the_work_does_not_grow_with_the_years_between(self, monkeypatch):
        crowded = table(cron="* * * 1 *")  # no minute of a year but all those of January
        looks = []
        original = Timetable._latest
        monkeypatch.setattr(
            Timetable, "_latest", lambda *given_: looks.append(1) or original(*given_)
        )
        end = datetime(2030, 12, 31, tzinfo=UTC)
        found = crowded.latest(datetime(1970, 1, 1, tzinfo=UTC), end, 3)
        assert found[-1] == datetime(2030, 1, 31, 23, 59, tzinfo=UTC)
        assert len(looks) == 3

    @given(INSTANTS, st.integers(0, 12))
    def test_they_are_the_last_of_all_that_come(self, start, limit):
        rule, end = table(cron="7,40 3-9 * * 1,4", timezone="Europe/Paris"), start + 6 * DAY
        everything, planned = [], rule.next(start)
        while planned <= end:
            everything.append(planned)
            planned = rule.next(planned)
        assert rule.latest(start, end, limit) == (everything[-limit:] if limit else [])
        assert rule.count(start, end, limit) == min(limit, len(everything))


class TestJitter:
    def test_there_is_none_by_default(self):
        assert table(cron="@hourly").jitter_for(NOON) == timedelta(0)

    def test_it_is_the_same_on_every_machine_and_in_every_zone(self):
        rule = table(cron="@hourly", jitter=50 * MINUTE)
        assert rule.jitter_for(NOON) == timedelta(seconds=1965)  # literal: it must not change
        assert rule.jitter_for(NOON.astimezone(timezone(3 * HOUR))) == rule.jitter_for(NOON)

    def test_names_and_planned_times_are_spread(self):
        rules = [table(name=f"job {n}", cron="@hourly", jitter=50 * MINUTE) for n in range(50)]
        assert len({rule.jitter_for(NOON) for rule in rules}) > 40
        assert len({rules[0].jitter_for(NOON + n * HOUR) for n in range(50)}) > 40

    def test_all_seconds_up_to_the_limit_are_drawn(self):
        rule = table(cron="* * * * *", jitter=3 * SECOND)
        drawn = {rule.jitter_for(NOON + n * MINUTE) for n in range(100)}
        assert drawn == {n * SECOND for n in range(4)}

    def test_it_never_reaches_the_next_time_although_the_clock_change_brings_that_nearer(self):
        # 01:59 and 03:59 are two hours apart, but for the day without the hour from 2 to 3.
        rule = table(cron="59 1,3 * * *", timezone="Europe/Paris", jitter=2 * HOUR - SECOND)
        for planned in rule.latest(NOON, NOON + 365 * DAY, 1000):
            assert planned + rule.jitter_for(planned) < rule.next(planned)

    @given(SPANS, INSTANTS, st.data())
    def test_it_lies_between_nothing_and_its_limit(self, span, instant, data):
        jitter = data.draw(st.integers(0, span // SECOND - 1)) * SECOND
        rule = table(every=span, jitter=jitter)
        planned = rule.next(instant)
        assert timedelta(0) <= rule.jitter_for(planned) <= jitter
        assert planned + rule.jitter_for(planned) < rule.next(planned)


class TestPreview:
    def marks(self, day, count, **rule):
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        rows = table(timezone="Europe/Paris", **rule).preview(start, count)
        return [(f"{row.at:%H:%M}", f"{row.local:%H:%M %z}", row.mark) for row in rows]

    def test_a_skipped_time_is_marked_as_moved(self):
        assert self.marks("2030-03-30", 3, cron="30 2 * * *") == [
            ("01:30", "02:30 +0100", Mark.PLAIN),
            ("01:00", "03:00 +0200", Mark.MOVED),
            ("00:30", "02:30 +0200", Mark.PLAIN),
        ]

    def test_a_time_of_its_own_after_the_gap_is_not_marked(self):
        assert self.marks("2030-03-31", 1, cron="0 2,3 * * *") == [
            ("01:00", "03:00 +0200", Mark.PLAIN)
        ]

    def test_a_repeated_hour_is_marked(self):
        assert self.marks("2030-10-26T22:30", 3, cron="30 2 * * *") == [
            ("00:30", "02:30 +0200", Mark.REPEATED),
            ("01:30", "02:30 +0100", Mark.PLAIN),
            ("01:30", "02:30 +0100", Mark.PLAIN),
        ]

    def test_both_passes_of_a_repeated_hour_are_marked(self):
        for rule in ({"cron": "0 * * * *"}, {"every": HOUR}):
            assert self.marks("2030-10-26T23:00", 3, **rule) == [
                ("00:00", "02:00 +0200", Mark.REPEATED),
                ("01:00", "02:00 +0100", Mark.REPEATED),
                ("02:00", "03:00 +0100", Mark.PLAIN),
            ]

    def test_it_ends_where_the_schedule_ends(self):
        assert len(table(every=DAY, starts_at=NOON, ends_at=NOON + DAY).preview(NOON, 9)) == 1


def test_a_naive_instant_is_refused():
    for call in (table().next, table(every=HOUR).next, lambda at: table().latest(at, NOON, 1)):
        with pytest.raises(ValueError, match="is naive: it has no time zone"):
            call(NAIVE)


def test_h_is_drawn_by_the_name():
    first, second = (table(name=name, cron="H H * * *") for name in ("one", "two"))
    assert first.next(NOON) == table(name="one", cron="H H * * *").next(NOON)
    assert first.next(NOON) != second.next(NOON)


def test_a_timetable_is_a_value():
    one = table(cron="0 2 * * *", timezone="Europe/Paris")
    assert one == table(cron="0 2 * * *", timezone="Europe/Paris") == copy.deepcopy(one)
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(one) == hash(table(cron="0 2 * * *", timezone="Europe/Paris"))
    with pytest.raises(FrozenInstanceError):
        one.name = "other"


def test_a_refusal_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(InvalidSchedule("no", "every")))
    assert (str(error), error.field) == ("no", "every")


def test_a_zone_is_loaded_once():
    assert load_zone("Europe/Paris") is load_zone("Europe/Paris")
