"""What becomes of planned times that are due. Pure: nothing here touches a database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.timetables.planning import (
    COUNT_CAP,
    LiveJob,
    Missed,
    Overlap,
    Plan,
    Planned,
    Policy,
    TickOutcome,
    plan,
)
from django_jobs.timetables.timetable import Timetable

NOON = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAILY = Timetable(name="nightly", cron="0 2 * * *")
HOURLY = Timetable(name="sync", cron="0 * * * *")
MINUTELY = Timetable(name="pulse", cron="* * * * *")
RUNS, WAITS = LiveJob(1), LiveJob(2, held=True)
ON_TIME, CAUGHT_UP, SKIPPED, MISSED = (
    TickOutcome.ON_TIME,
    TickOutcome.CAUGHT_UP,
    TickOutcome.SKIPPED,
    TickOutcome.MISSED,
)


def at(day, hour, minute=0, second=0):
    return datetime(2030, 1, day, hour, minute, second, tzinfo=UTC)


def outcomes(made):
    return [(time.at, time.outcome, time.has_job, time.hold) for time in made.times]


def jobs(made):
    return [time.at for time in made.times if time.has_job]


def test_a_punctual_time_gets_its_job():
    made = plan(HOURLY, Policy(), NOON, NOON + timedelta(seconds=1))
    assert outcomes(made) == [(NOON, ON_TIME, True, False)]
    assert (made.next_at, made.cancel) == (NOON + HOUR, frozenset())


def test_a_punctual_time_is_not_missed_however_short_the_window():
    for missed in Missed:
        policy = Policy(missed, timedelta(seconds=5))
        made = plan(HOURLY, policy, NOON, NOON + timedelta(seconds=59))
        assert [time.outcome for time in made.times] == [ON_TIME]
        made = plan(HOURLY, policy, NOON, NOON + timedelta(seconds=60))
        assert [time.outcome for time in made.times] == [MISSED]


@pytest.mark.parametrize("overlap", Overlap)
def test_a_time_whose_job_lives_already_takes_nothing_from_anybody(overlap):
    made = plan(HOURLY, Policy(overlap=overlap), NOON, NOON, [LiveJob(1, planned_at=NOON)])
    assert made == Plan(next_at=NOON + HOUR)


def test_a_planned_time_is_missed_when_it_is_a_minute_late():
    for missed in Missed:
        made = plan(HOURLY, Policy(missed), NOON, NOON + timedelta(seconds=59))
        assert [time.outcome for time in made.times] == [ON_TIME]
    made = plan(HOURLY, Policy(Missed.SKIP), NOON, NOON + timedelta(minutes=1))
    assert [time.outcome for time in made.times] == [MISSED]


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        (Missed.SKIP, [(13, MISSED), (14, MISSED), (15, MISSED)]),
        (Missed.ONE, [(13, MISSED), (14, MISSED), (15, CAUGHT_UP)]),
        (Missed.ALL, [(13, CAUGHT_UP), (14, CAUGHT_UP), (15, CAUGHT_UP)]),
    ],
)
def test_after_three_days_down_each_policy_does_what_it_says(missed, expected):
    made = plan(DAILY, Policy(missed, missed_within=7 * DAY), at(13, 2), NOON)
    assert [(time.at, time.outcome) for time in made.times] == [
        (at(day, 2), outcome) for day, outcome in expected
    ]
    assert made.next_at == at(16, 2)


@pytest.mark.parametrize("missed", Missed)
def test_back_just_in_time_the_punctual_time_counts_for_all_before_it(missed):
    made = plan(DAILY, Policy(missed, missed_within=7 * DAY), at(13, 2), at(15, 2, 0, 30))
    late = CAUGHT_UP if missed is Missed.ALL else MISSED
    assert [time.outcome for time in made.times] == [late, late, ON_TIME]


@pytest.mark.parametrize("missed", Missed)
def test_what_was_missed_longer_ago_than_the_window_stays_missed(missed):
    made = plan(DAILY, Policy(missed, missed_within=HOUR), at(13, 2), NOON)
    assert [time.outcome for time in made.times] == [MISSED] * 3


def test_the_window_includes_its_first_instant():
    made = plan(DAILY, Policy(Missed.ONE, missed_within=10 * HOUR), at(15, 2), NOON)
    assert [time.outcome for time in made.times] == [CAUGHT_UP]


def test_times_that_are_caught_up_run_one_after_the_other():
    made = plan(DAILY, Policy(Missed.ALL, 7 * DAY), at(13, 2), NOON)
    assert [time.hold for time in made.times] == [False, True, True]
    made = plan(DAILY, Policy(Missed.ALL, 7 * DAY), at(13, 2), NOON, [RUNS])
    assert [time.hold for time in made.times] == [True, True, True]
    made = plan(DAILY, Policy(Missed.ALL, 7 * DAY, Overlap.ALLOW), at(13, 2), NOON, [RUNS])
    assert [time.hold for time in made.times] == [False, False, False]


def test_all_catches_up_the_newest_hundred():
    made = plan(MINUTELY, Policy(Missed.ALL), NOON - DAY, NOON)
    taken = jobs(made)
    assert len(taken) == 100
    assert (taken[0], taken[-1]) == (NOON - timedelta(minutes=99), NOON)


def test_many_missed_times_share_one_row_and_the_newest_hundred_have_their_own():
    made = plan(MINUTELY, Policy(), NOON - 3 * DAY, NOON)
    many, *singles = made.times
    assert many == Planned(
        NOON - 3 * DAY, MISSED, count=4320 - 100, until=NOON - timedelta(minutes=101)
    )
    assert [time.at for time in singles] == [
        NOON - timedelta(minutes=back) for back in range(100, -1, -1)
    ]
    assert [time.outcome for time in singles] == [MISSED] * 100 + [ON_TIME]


def test_years_of_missed_times_are_not_counted_to_the_end():
    made = plan(MINUTELY, Policy(), NOON - 3650 * DAY, NOON)
    assert made.times[0].count == COUNT_CAP
    assert made.times[0].at == NOON - 3650 * DAY


@pytest.mark.parametrize(
    ("overlap", "live", "expected"),
    [
        (Overlap.SKIP, [], (ON_TIME, True, False)),
        (Overlap.SKIP, [RUNS], (SKIPPED, False, False)),
        (Overlap.QUEUE_ONE, [], (ON_TIME, True, False)),
        (Overlap.QUEUE_ONE, [RUNS], (ON_TIME, True, True)),
        (Overlap.QUEUE_ONE, [RUNS, WAITS], (SKIPPED, False, False)),
        (Overlap.QUEUE_ALL, [RUNS], (ON_TIME, True, True)),
        (Overlap.QUEUE_ALL, [RUNS, WAITS], (ON_TIME, True, True)),
        (Overlap.CANCEL_OLD, [], (ON_TIME, True, False)),
        (Overlap.CANCEL_OLD, [RUNS, WAITS], (ON_TIME, True, False)),
        (Overlap.ALLOW, [RUNS], (ON_TIME, True, False)),
    ],
)
def test_a_job_that_has_not_ended_meets_each_overlap_policy(overlap, live, expected):
    made = plan(HOURLY, Policy(overlap=overlap), NOON, NOON, live)
    (time,) = made.times
    assert (time.outcome, time.has_job, time.hold) == expected


def test_only_cancel_old_cancels_and_then_all_that_live():
    for overlap in Overlap:
        made = plan(HOURLY, Policy(overlap=overlap), NOON, NOON, [RUNS, WAITS])
        assert made.cancel == (frozenset({1, 2}) if overlap is Overlap.CANCEL_OLD else frozenset())


def test_nothing_is_cancelled_for_a_time_that_is_missed():
    policy = Policy(Missed.SKIP, overlap=Overlap.CANCEL_OLD)
    assert plan(DAILY, policy, at(15, 2), NOON, [RUNS]).cancel == frozenset()


def test_a_plan_can_be_held_as_a_whole():
    made = plan(DAILY, Policy(Missed.ONE), at(14, 2), NOON).held()
    assert [(time.has_job, time.hold) for time in made.times] == [(False, False), (True, True)]


def test_after_the_last_planned_time_nothing_comes():
    ends = Timetable(name="sale", cron="0 * * * *", ends_at=NOON)
    assert plan(ends, Policy(), NOON, NOON).next_at is None


def test_a_clock_that_goes_back_makes_nothing_due_twice():
    made = plan(HOURLY, Policy(), NOON, NOON + timedelta(seconds=1))
    assert made.next_at == NOON + HOUR  # an hour back from here it is 11:00, and 13:00 is not due


@given(
    missed=st.sampled_from(Missed),
    overlap=st.sampled_from(Overlap),
    gap=st.integers(0, 60 * 24 * 20),
    window=st.integers(0, 60 * 24 * 20),
    live=st.sets(st.integers(1, 3)),
    every=st.integers(1, 3000),
)
def test_every_due_time_has_exactly_one_fate(missed, overlap, gap, window, live, every):
    minute = timedelta(minutes=1)
    timetable = Timetable(name="any", every=every * minute)
    first = timetable.next(NOON - gap * minute)
    now = max(first, NOON)
    policy = Policy(missed, window * minute, overlap)
    made = plan(timetable, policy, first, now, [LiveJob(one) for one in live])
    due = timetable.count(first - timedelta(seconds=1), now, 100_000)
    assert sum(time.count for time in made.times) == min(due, COUNT_CAP + len(made.times) - 1)
    stamps = [stamp for time in made.times for stamp in (time.at, time.until or time.at)]
    assert stamps == sorted(stamps)
    assert stamps[0] == first
    assert made.next_at > now
    assert all(time.has_job or not time.hold for time in made.times)
    if missed is not Missed.ALL:
        assert len(jobs(made)) <= 2
