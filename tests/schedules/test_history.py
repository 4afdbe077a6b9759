"""What became of planned times, in words, and in few queries."""

from datetime import timedelta

import pytest

from django_jobs.engines.orm.ticking import PRUNED
from django_jobs.schedules import history
from tests.conftest import NOON
from tests.factories import JobFactory, ScheduleFactory, TickFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOUR = timedelta(hours=1)


@pytest.fixture
def schedule():
    return ScheduleFactory(name="sync")


def told(schedule, limit=50):
    return [(record.summary, record.at) for record in history.recent(schedule, limit)]


@pytest.mark.parametrize(
    ("traits", "ending"),
    [
        ({"successful": True}, "successful"),
        ({"failed": True}, "failed"),
        ({"running": True}, "running"),
        ({"running": True, "cancel_requested_at": NOON}, "stopping"),
        ({"retrying": True}, "retrying"),
        ({"cancelled": True}, "cancelled"),
        ({}, "ready"),
    ],
)
def test_a_record_says_what_became_of_its_job(schedule, traits, ending):
    job = JobFactory(**traits)
    TickFactory(schedule=schedule, job_id=job.pk, planned_at=NOON)
    (record,) = history.recent(schedule, 50)
    assert (record.summary, record.job_id) == (f"on time: {ending}", job.pk)
    assert record.has_job_row


def test_a_held_job_waits_for_the_one_before_it(schedule):
    TickFactory(schedule=schedule, job_id=JobFactory(waiting=True).pk, held=True)
    TickFactory(schedule=schedule, job_id=JobFactory(waiting=True).pk, planned_at=NOON)
    endings = [record.ending for record in history.recent(schedule, 50)]
    assert endings == ["waiting", "waiting for the job before it"]


@pytest.mark.parametrize(
    ("state", "ending"),
    [("FAILED", "failed"), (PRUNED, "no longer on record"), ("", "no longer on record")],
)
def test_a_job_that_was_pruned_ended_as_its_tick_says(schedule, state, ending):
    TickFactory(schedule=schedule, job_state=state)
    (record,) = history.recent(schedule, 50)
    assert (record.ending, record.has_job_row) == (ending, False)


def test_every_outcome_has_its_word(schedule):
    made = {"schedule": schedule, "job_id": None}
    TickFactory(**made, outcome="missed", planned_at=NOON - 4 * HOUR)
    TickFactory(**made, outcome="skipped", planned_at=NOON - 3 * HOUR)
    TickFactory(**made, outcome="caught_up", planned_at=NOON - 2 * HOUR, made_at=NOON)
    TickFactory(**made, outcome="backfilled", planned_at=NOON - HOUR, made_at=NOON)
    TickFactory(**made, outcome="manual", planned_at=None, made_at=NOON - HOUR / 2)
    late = {record.words: record.late for record in history.recent(schedule, 50)}
    assert list(late) == ["by hand", "backfilled", "caught up", "skipped", "missed"]
    assert late.pop("caught up") == 2 * HOUR
    assert set(late.values()) == {None}


@pytest.mark.parametrize(
    ("count", "words"),
    [(4219, "missed 4,219 planned times"), (5000, "missed at least 5,000 planned times")],
)
def test_a_long_gap_is_one_record_with_its_ends(schedule, count, words):
    many = {"planned_at": None, "job_id": None, "outcome": "missed", "count": count}
    TickFactory(schedule=schedule, since=NOON - 9 * HOUR, until=NOON - HOUR, **many)
    TickFactory(schedule=schedule, planned_at=NOON - HOUR / 2, job_id=None, outcome="missed")
    single, gap = history.recent(schedule, 50)
    assert (gap.words, gap.since, gap.at) == (words, NOON - 9 * HOUR, NOON - HOUR)
    assert single.words == "missed"


def test_a_late_backfill_stands_at_its_planned_time(schedule):
    TickFactory(schedule=schedule, planned_at=NOON, job_id=None, outcome="skipped")
    TickFactory(schedule=schedule, planned_at=NOON - HOUR, job_id=None, outcome="backfilled")
    assert told(schedule) == [("skipped", NOON), ("backfilled", NOON - HOUR)]
    assert told(schedule, 1) == [("skipped", NOON)]


def test_records_of_other_schedules_do_not_mix_in(schedule):
    TickFactory(planned_at=NOON)
    TickFactory(planned_at=None, outcome="manual")
    assert told(schedule) == []


def test_three_queries_tell_of_any_number_of_planned_times(schedule, django_assert_num_queries):
    for number in range(30):
        job_id = JobFactory(successful=True).pk
        TickFactory(schedule=schedule, planned_at=NOON - number * HOUR, job_id=job_id)
        TickFactory(schedule=schedule, planned_at=None, outcome="manual", job_id=JobFactory().pk)
    with django_assert_num_queries(3):
        assert len(history.recent(schedule, 50)) == 50


def test_three_queries_tell_the_newest_of_any_number_of_schedules(django_assert_num_queries):
    rows = ScheduleFactory.create_batch(20)
    for row in rows[1:]:
        for hours in (3, 2):
            job_id = JobFactory(failed=True).pk
            TickFactory(schedule=row, planned_at=NOON - hours * HOUR, job_id=job_id)
    TickFactory(schedule=rows[1], planned_at=None, outcome="manual", job_state="SUCCESSFUL")
    with django_assert_num_queries(3):
        newest = history.newest(rows)
    assert set(newest) == {row.pk for row in rows[1:]}
    assert newest[rows[1].pk].summary == "by hand: successful"
    assert newest[rows[2].pk].summary == "on time: failed"
    assert newest[rows[2].pk].at == NOON - 2 * HOUR


def test_a_job_that_was_started_by_hand_since_somebody_looked_is_found(schedule):
    assert history.newest_id() == 0
    TickFactory(schedule=schedule, planned_at=NOON)
    seen = history.newest_id()
    assert history.by_hand_since(schedule, 0) is None
    tick = TickFactory(schedule=schedule, planned_at=None, outcome="manual")
    TickFactory(planned_at=None, outcome="manual")
    assert history.by_hand_since(schedule, seen) == tick.job_id
    assert history.by_hand_since(schedule, tick.pk) is None
