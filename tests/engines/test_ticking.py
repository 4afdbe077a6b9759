"""Schedules: each planned time once, its job and the next planned time in one transaction."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from django_jobs.engines.base import NewJob
from django_jobs.engines.endings import NEVER
from django_jobs.engines.schedules import Ticking
from django_jobs.models import Job, Schedule, Tick
from django_jobs.states import State
from django_jobs.timetables.planning import LiveJob, Plan, Planned, TickOutcome
from tests.engines.rivals import until
from tests.engines.scenes import LATER, NOON
from tests.factories import JobFactory, ScheduleFactory, TickFactory

NAMES = {"tests.jobs.nothing"}
HOUR = timedelta(hours=1)


def ticking(schedule, *times, next_at=NOON + HOUR):
    jobs = {time.at: NewJob("tests.jobs.nothing", "default") for time in times if time.has_job}
    return Ticking(schedule, Plan(times, next_at), jobs)


def on_time(at=NOON, **fields):
    return Planned(at, TickOutcome.ON_TIME, has_job=True, **fields)


@pytest.fixture
def schedule(db):
    return ScheduleFactory(next_run_at=NOON)


def test_the_nearest_planned_time_is_told_in_seconds(engine, db):
    ScheduleFactory(next_run_at=NOON + timedelta(minutes=2))
    ScheduleFactory(next_run_at=NOON + timedelta(seconds=30))
    ScheduleFactory(paused=True)
    assert engine.next_due(NAMES, now=NOON) == 30
    assert engine.next_due(NAMES, now=LATER) == -30


def test_without_a_schedule_nothing_is_ever_due(engine, db):
    ScheduleFactory(paused=True)
    assert engine.next_due(NAMES, now=NOON) is None
    assert engine.lock_due(NAMES, 10, now=NOON) == (NOON, [])


def test_schedules_of_unknown_jobs_and_those_set_aside_are_not_due(engine, schedule):
    assert engine.next_due({"tests.jobs.other"}, now=NOON) is None
    assert engine.next_due(NAMES, [schedule.pk], now=NOON) is None
    assert engine.lock_due(NAMES, 10, [schedule.pk], now=NOON)[1] == []
    assert engine.lock_due({"tests.jobs.other"}, 10, now=NOON)[1] == []


def test_due_schedules_come_in_the_order_of_their_planned_times(engine, db):
    late, later = (ScheduleFactory(next_run_at=NOON - timedelta(hours=h)) for h in (1, 2))
    ScheduleFactory(next_run_at=NOON + HOUR)
    now, due = engine.lock_due(NAMES, 10, now=NOON)
    assert (now, due) == (NOON, [later, late])
    assert engine.lock_due(NAMES, 1, now=NOON)[1] == [later]


def test_a_tick_writes_its_job_and_moves_the_schedule_on(engine, schedule):
    ids = engine.tick([ticking(schedule, on_time())], LATER)
    job = Job.objects.get()
    assert ids == {(schedule.pk, NOON): job.pk}
    assert (job.state, job.schedule_id, job.planned_at) == (State.READY, schedule.pk, NOON)
    tick = Tick.objects.get()
    assert (tick.planned_at, tick.outcome, tick.job_id) == (NOON, "on_time", job.pk)
    assert (tick.made_at, tick.held, tick.job_state) == (LATER, False, "")
    schedule.refresh_from_db()
    assert (schedule.next_run_at, schedule.last_planned_at) == (NOON + HOUR, NOON)


def test_a_planned_time_has_one_tick_and_one_job_however_often_it_is_written(engine, schedule):
    for _ in range(2):
        engine.tick([ticking(schedule, on_time())], LATER)
    assert (Tick.objects.count(), Job.objects.count()) == (1, 1)


def test_the_database_refuses_a_second_tick_of_a_planned_time(schedule):
    TickFactory(schedule=schedule, planned_at=NOON)
    with pytest.raises(IntegrityError), transaction.atomic():
        TickFactory(schedule=schedule, planned_at=NOON)


def test_one_call_writes_many_schedules(engine, db):
    schedules = ScheduleFactory.create_batch(3, next_run_at=NOON)
    ids = engine.tick([ticking(one, on_time()) for one in schedules], NOON)
    assert {owner for owner, _ in ids} == {one.pk for one in schedules}
    assert set(Schedule.objects.values_list("next_run_at", flat=True)) == {NOON + HOUR}


def test_skipped_and_missed_times_get_a_tick_and_no_job(engine, schedule):
    missed = Planned(NOON - 5 * HOUR, TickOutcome.MISSED, count=4, until=NOON - 2 * HOUR)
    skipped = Planned(NOON, TickOutcome.SKIPPED)
    engine.tick([ticking(schedule, missed, skipped)], NOON)
    assert not Job.objects.exists()
    many, one = Tick.objects.order_by("pk")
    assert (many.planned_at, many.since, many.until) == (None, missed.at, missed.until)
    assert (many.count, one.planned_at, one.outcome) == (4, NOON, "skipped")


def test_a_missed_time_can_get_its_job_later_once(engine, schedule):
    engine.tick([ticking(schedule, Planned(NOON, TickOutcome.MISSED))], NOON)
    filled = Planned(NOON, TickOutcome.BACKFILLED, has_job=True)
    for _ in range(2):
        engine.tick([ticking(schedule, filled)], LATER)
    tick = Tick.objects.get()
    assert (tick.outcome, tick.job_id) == ("backfilled", Job.objects.get().pk)


def test_what_is_started_by_hand_does_not_move_the_schedule_and_has_no_planned_time(
    engine, schedule
):
    manual = Planned(LATER, TickOutcome.MANUAL, has_job=True)
    engine.tick([ticking(schedule, manual, next_at=schedule.next_run_at)], LATER)
    schedule.refresh_from_db()
    assert (schedule.next_run_at, schedule.last_planned_at) == (NOON, None)
    assert Job.objects.get().planned_at is None
    assert Tick.objects.get().planned_at is None


def test_the_job_of_a_planned_time_keeps_who_wanted_it(engine, schedule):
    by_hand = Planned(LATER, TickOutcome.MANUAL, has_job=True)
    asked = ticking(schedule, by_hand, next_at=schedule.next_run_at)
    engine.tick(
        [replace(asked, jobs={LATER: asked.jobs[LATER]._replace(enqueued_by="ana")})], LATER
    )
    engine.tick([ticking(schedule, on_time())], LATER)
    found = Job.objects.order_by("pk").values_list("enqueued_by", flat=True)
    assert list(found) == ["ana", None]


def test_a_tick_that_fails_leaves_nothing_behind(engine, schedule):
    broken = Ticking(schedule, Plan((on_time(),), NOON + HOUR), {NOON: NewJob(None, "default")})
    with pytest.raises(IntegrityError), transaction.atomic():
        engine.tick([broken], NOON)
    schedule.refresh_from_db()
    assert (Tick.objects.count(), schedule.next_run_at) == (0, NOON)


def test_a_held_job_waits_until_the_job_before_it_has_ended(engine, schedule, scene):
    engine.tick([ticking(schedule, on_time(), on_time(NOON + HOUR, hold=True))], NOON)
    second = Job.objects.latest("pk")
    assert (second.state, second.run_at, second.waiting_for) == (
        State.WAITING,
        NEVER,
        "the job before it",
    )
    assert engine.release_held(10, NOON) == (set(), True)
    scene.finish(scene.claim()[0].hold)
    assert engine.release_held(10, LATER) == ({"default"}, True)
    second.refresh_from_db()
    assert (second.state, second.run_at, second.waiting_for) == (State.READY, LATER, None)
    assert engine.release_held(10, LATER) == (set(), False)
    assert not Tick.objects.filter(held=True).exists()


def test_held_jobs_are_released_one_by_one_and_in_order(engine, schedule, scene):
    times = [on_time(NOON + hour * HOUR, hold=hour > 0) for hour in range(3)]
    engine.tick([ticking(schedule, *times)], NOON)
    order = []
    for _ in times:
        (job,) = scene.claim()
        order.append(job.planned_at)
        scene.finish(job.hold)
        engine.release_held(10, LATER)
    assert order == [time.at for time in times]


def test_jobs_that_wait_for_long_hide_no_others(engine, db):
    first, second = ScheduleFactory.create_batch(2)
    for row in (first, second):
        engine.tick([ticking(row, on_time(), on_time(NOON + HOUR, hold=True))], NOON)
    _, _, done, held = Job.objects.order_by("pk")
    engine.move([done.pk], State.CANCELLED, [State.READY], LATER)
    assert engine.release_held(1, LATER) == ({"default"}, True)
    held.refresh_from_db()
    assert held.state == State.READY
    assert Job.objects.filter(state=State.WAITING).count() == 1
    assert engine.release_held(1, LATER) == (set(), True)


def test_a_cancelled_held_job_leaves_the_line(engine, schedule):
    engine.tick([ticking(schedule, on_time(), on_time(NOON + HOUR, hold=True))], NOON)
    held = Job.objects.latest("pk")
    engine.move([held.pk], State.CANCELLED, [State.WAITING], LATER)
    live = engine.live_jobs([schedule.pk])
    assert [job.job_id for job in live[schedule.pk]] == [Job.objects.earliest("pk").pk]
    assert engine.release_held(10, LATER) == (set(), False)


def test_live_jobs_are_those_that_have_not_ended(engine, schedule):
    jobs = [JobFactory(), JobFactory(running=True), JobFactory(failed=True)]
    gone = 999_999
    for job_id in [*(job.pk for job in jobs), gone]:
        TickFactory(schedule=schedule, planned_at=None, job_id=job_id)
    live = engine.live_jobs([schedule.pk])
    assert live == {schedule.pk: [LiveJob(jobs[0].pk), LiveJob(jobs[1].pk)]}
    ends = dict(Tick.objects.values_list("job_id", "job_state"))
    assert (ends[jobs[2].pk], ends[gone], ends[jobs[0].pk]) == ("FAILED", "PRUNED", "")


def test_a_long_line_is_read_and_settled_in_few_queries(
    engine, schedule, django_assert_max_num_queries
):
    pending = {"name": "tests.jobs.nothing", "run_at": NOON, "enqueued_at": NOON}
    done = {**pending, "state": State.SUCCESSFUL, "finished_at": NOON}
    rows = [Job(**(done if number % 2 else pending)) for number in range(2_000)]
    times = [NOON - timedelta(seconds=number) for number in range(2_000)]
    Tick.objects.bulk_create(
        Tick(schedule=schedule, planned_at=at, outcome="on_time", job_id=job.pk, made_at=NOON)
        for job, at in zip(Job.objects.bulk_create(rows), times, strict=True)
    )
    with django_assert_max_num_queries(3):
        assert len(engine.live_jobs([schedule.pk])[schedule.pk]) == 1_000
    assert Tick.objects.filter(job_state="SUCCESSFUL").count() == 1_000


def test_a_job_that_is_retried_counts_as_live_again(engine, schedule):
    job = JobFactory(failed=True, schedule_id=schedule.pk)
    TickFactory(schedule=schedule, job_id=job.pk)
    assert engine.live_jobs([schedule.pk]) == {}
    engine.move([job.pk], State.READY, [State.FAILED], NOON)
    engine.reopen([job.pk, 999_999])
    (live,) = engine.live_jobs([schedule.pk])[schedule.pk]
    assert live == LiveJob(job.pk, planned_at=Tick.objects.get().planned_at)


def test_pruning_a_job_leaves_its_end_in_the_history(engine, schedule):
    job = JobFactory(failed=True, schedule_id=schedule.pk, finished_at=NOON)
    TickFactory(schedule=schedule, job_id=job.pk, planned_at=NOON)
    engine.prune(LATER, LATER, 100)
    assert not Job.objects.exists()
    assert Tick.objects.get().job_state == "FAILED"


def test_old_history_is_pruned_but_not_of_jobs_that_may_live(engine, schedule):
    old = {"schedule": schedule, "made_at": NOON}
    TickFactory(**old, planned_at=NOON, outcome="missed", job_id=None)
    TickFactory(**old, planned_at=NOON + HOUR, job_state="FAILED")
    live = TickFactory(**old, planned_at=NOON + 2 * HOUR)
    new = TickFactory(schedule=schedule, planned_at=NOON + 3 * HOUR, made_at=LATER, job_id=None)
    assert engine.prune_ticks(LATER, 3) == (2, live.pk)
    assert engine.prune_ticks(LATER, 3, live.pk) == (0, None)
    assert engine.prune_ticks(LATER, 1) == (0, live.pk)
    assert engine.prune_ticks(NOON, 1) == (0, None)
    assert set(Tick.objects.values_list("pk", flat=True)) == {live.pk, new.pk}


def test_doubt_disables_a_schedule_after_its_patience_and_not_before(engine, schedule):
    assert engine.doubt([schedule.pk], "nobody knows it", 3600, NOON) == set()
    schedule.refresh_from_db()
    assert (schedule.doubted_at, schedule.disabled_at) == (NOON, None)
    assert engine.doubt([schedule.pk], "nobody knows it", 3600, NOON + HOUR / 2) == set()
    assert engine.doubt([schedule.pk], "nobody knows it", 3600, NOON + 2 * HOUR) == {schedule.pk}
    schedule.refresh_from_db()
    assert (schedule.disabled_at, schedule.next_run_at) == (NOON + 2 * HOUR, None)
    assert schedule.disabled_reason == "nobody knows it"


def test_a_worker_that_can_deal_with_a_schedule_ends_all_doubt(engine, schedule):
    engine.doubt([schedule.pk], "nobody knows it", 3600, NOON)
    schedule.refresh_from_db()
    engine.tick([ticking(schedule, on_time())], LATER)
    schedule.refresh_from_db()
    assert schedule.doubted_at is None


def test_a_claim_says_which_planned_time_a_job_stands_for(engine, schedule, scene):
    scene.enqueue()
    engine.tick([ticking(schedule, on_time())], NOON)
    assert [job.planned_at for job in scene.claim()] == [None, NOON]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_two_workers_never_lock_the_same_schedule(engine, rival):
    first, second = ScheduleFactory.create_batch(2, next_run_at=NOON)
    other = rival()
    other.begin()
    assert other.verb("lock_due", NAMES, 1, now=NOON)[1] == [first]
    with engine.transaction():
        assert engine.lock_due(NAMES, 10, now=NOON)[1] == [second]
    other.rollback()
    with engine.transaction():
        assert engine.lock_due(NAMES, 10, now=NOON)[1] == [first, second]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_schedule_that_was_edited_meanwhile_is_seen_as_it_is_now(engine, rival):
    schedule = ScheduleFactory(next_run_at=NOON)
    editor = rival()
    editor.begin()
    editor.sql(
        "UPDATE django_jobs_schedule SET next_run_at = %s WHERE id = %s", NOON + HOUR, schedule.pk
    )
    with engine.transaction():
        assert engine.lock_due(NAMES, 10, now=NOON)[1] == []
    editor.commit()
    with engine.transaction():
        assert engine.lock_due(NAMES, 10, now=NOON)[1] == []
        assert engine.lock_due(NAMES, 10, now=NOON + HOUR)[1] == [schedule]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_an_operator_waits_for_the_worker_that_deals_with_the_schedule(engine, rival):
    schedule = ScheduleFactory(next_run_at=NOON)
    operator = rival()
    with engine.transaction():
        (locked,) = engine.lock_due(NAMES, 10, now=NOON)[1]
        operator.begin()
        asked = operator.start_verb("lock_schedule", schedule.pk)
        until(lambda: not asked.done() and _is_waiting(), "the operator to wait")
        engine.tick([ticking(locked, on_time())], NOON)
    assert asked.result(20).next_run_at == NOON + HOUR
    operator.rollback()


def _is_waiting():
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return cursor.fetchone()[0] > 0
