"""The plan of each hot statement: the ready index or the primary key, never a scan.

A small table is where the planner likes to scan; a large one is where it would hurt.
"""

import re

import pytest
from django.db import connection, connections

from django_jobs.engines import own_engine
from django_jobs.engines.base import Finish, Only
from django_jobs.engines.events import Delivery, NewEvent, WaitFor
from django_jobs.engines.schedules import Ticking
from django_jobs.models import Schedule
from django_jobs.states import State
from django_jobs.subscriptions import Match
from django_jobs.timetables.planning import Plan, Planned, TickOutcome
from tests.engines.scenes import LATER, LEASE, NOON, RETRY, SUCCESS, Scene

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

FILL = """
    INSERT INTO django_jobs_job (
        name, queue, priority, args, kwargs, state, run_at, max_attempts, max_lost, enqueued_at,
        finished_at)
    SELECT 'tests.jobs.nothing', 'q' || number %% 5, number %% 3, '[]', '{}', %s,
        %s::timestamptz + number * interval '1 ms', 4, 3, %s, %s
    FROM generate_series(1, %s) AS number
"""
SCHEDULES = """
    INSERT INTO django_jobs_schedule (
        name, job_name, args, kwargs, cron, timezone, jitter, missed, missed_within, overlap,
        source, declared, overrides, paused_by, paused_reason, disabled_reason, next_run_at,
        created_at)
    SELECT 's' || number, 'tests.jobs.nothing', '[]', '{}', '* * * * *', 'UTC', '0', 'one',
        '1 day', 'skip', 'admin', '{}', '[]', '', '', '',
        %s::timestamptz + number * interval '1 ms', %s
    FROM generate_series(1, 10000) AS number
"""
TICKS = """
    INSERT INTO django_jobs_tick (
        schedule_id, planned_at, outcome, count, job_id, job_state, held, made_at)
    SELECT id, %s::timestamptz + number * interval '1 minute', 'on_time', 1, number,
        CASE number WHEN 5 THEN '' ELSE 'SUCCESSFUL' END, number = 5, %s
    FROM django_jobs_schedule, generate_series(1, 5) AS number
"""
NAMES = {"tests.jobs.nothing", "tests.jobs.add"}
KEY = "django_jobs_job_pkey"
READY = "django_jobs_job_ready"
JOB_SCAN = re.compile(r"Seq Scan on django_jobs_job\b")


class Spy:
    """Runs each statement of a verb and keeps its plan."""

    def __init__(self, engine):
        self.engine, self.plans = engine, []

    def __call__(self, execute, sql, params, many, context):
        if "django_jobs_" in sql and not sql.startswith("EXPLAIN"):
            with self.engine.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}", params)
                self.plans.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(sql, params, many, context)

    def plan_of(self, verb, *arguments, **keywords):
        """Return the plans of all statements of a verb, and run it."""
        self.plans = []
        with self.engine.connection.execute_wrapper(self):
            getattr(self.engine, verb)(*arguments, **keywords)
        assert self.plans
        return "\n".join(self.plans)


def analyse():
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE django_jobs_job")


def fill(count):
    """Write `count` ready, as many finished and as many scheduled jobs."""
    with connection.cursor() as cursor:
        for state in ("READY", "SUCCESSFUL", "SCHEDULED"):
            finished_at = NOON if state == "SUCCESSFUL" else None
            cursor.execute(FILL, [state, NOON, NOON, finished_at, count])


@pytest.fixture(params=["small", "large", "stale"])
def spy(request, transactional_db):
    """Return a spy on a worker's own engine beside a filled table.

    300 rows, 60,000 rows, and 60,000 rows that came after the statistics were gathered.
    """
    if request.param == "stale":
        fill(1)
        analyse()
    fill(100 if request.param == "small" else 20_000)
    if request.param != "stale":
        analyse()
    before = connections["default"]
    engine = own_engine("default", "plans", 60.0)
    yield Spy(engine)
    engine.connection.close()
    connections["default"] = before


def test_a_claim_reads_its_lanes_through_the_ready_index(spy):
    plan = spy.plan_of("claim", None, 50, "w1", LEASE, now=NOON)
    assert not JOB_SCAN.search(plan)
    lane = rf"Index Scan using {READY} .*\n\s+Index Cond: \(.*queue.* = l\.queue.* \(priority = l"
    assert re.search(lane, plan)
    assert f"Index Only Scan using {READY}" in plan  # which finds the lanes
    assert re.search(rf"Index Scan using {KEY} .*\n\s+Index Cond: \(id = candidate", plan)


def test_a_claim_of_certain_names_reads_its_lanes_through_the_ready_index(spy):
    only = Only(("tests.jobs.other",))
    plan = spy.plan_of("claim", None, 50, "w1", LEASE, only=only, now=NOON)
    assert not JOB_SCAN.search(plan)
    lane = (
        rf"Index Only Scan using {READY} .*\n\s+Index Cond: \(.*queue.* = l\.queue.* \(priority = l"
    )
    assert re.search(lane, plan)
    assert re.search(rf"Index Scan using {KEY} on django_jobs_job job.*\n\s+Index Cond", plan)


def test_running_jobs_are_reached_by_their_primary_key_only(spy):
    scene = Scene(spy.engine)
    holds = [job.hold for job in scene.claim(50)]
    claim_ids = [holds[0].claim_id]
    finishes = [Finish(hold, SUCCESS, 1.0) for hold in holds[:40]]
    plans = {
        "finish": spy.plan_of("finish", finishes, "w1", LATER),
        "retry": spy.plan_of("finish", [Finish(holds[40], RETRY, 1.0)], "w1", LATER),
        "release": spy.plan_of("release", holds[41:43], now=LATER),
        "ask_to_stop": spy.plan_of("ask_to_stop", [holds[43].job_id], LATER),
        "take": spy.plan_of("take", [holds[44].job_id], State.CANCELLED, SUCCESS.outcome, LATER),
        "move": spy.plan_of("move", [holds[44].job_id], State.READY, list(State), LATER),
        "close": spy.plan_of("close", claim_ids),
        "rescue": spy.plan_of("rescue", 100, LATER.replace(hour=20)),
        "sweep": spy.plan_of("sweep", 100, LATER.replace(hour=20)),
    }
    for verb, plan in plans.items():
        assert not JOB_SCAN.search(plan), (verb, plan)
        assert KEY in plan, (verb, plan)
        assert READY not in plan, (verb, plan)
    assert "Sort" not in plans["finish"]


def test_extending_a_claim_touches_no_job(spy):
    (job,) = Scene(spy.engine).claim(1)
    plan = spy.plan_of("extend", [job.claim_id], LEASE, LATER)
    assert "django_jobs_job" not in plan
    assert "django_jobs_claim_pkey" in plan


def test_due_jobs_are_found_through_their_index(spy):
    plan = spy.plan_of("promote", 10, NOON)
    assert not JOB_SCAN.search(plan)
    assert re.search(r"Index Scan using django_jobs_job_due .*\n\s+Index Cond: \(+run_at", plan)


def test_the_next_due_schedule_of_ten_thousand_is_the_first_of_its_index(spy):
    with connection.cursor() as cursor:
        cursor.execute(SCHEDULES, [NOON, NOON])
        cursor.execute("ANALYZE django_jobs_schedule")
    due = "Index Scan using django_jobs_schedule_due"
    with spy.engine.transaction():
        plans = (
            spy.plan_of("next_due", NAMES, [1, 2], LATER),
            spy.plan_of("lock_due", NAMES, 100, [1, 2], now=LATER),
        )
    for plan in plans:
        assert due in plan
        assert "Sort" not in plan
        assert "Seq Scan" not in plan


def test_ticks_are_found_through_their_indexes(spy):
    with connection.cursor() as cursor:
        cursor.execute(SCHEDULES, [NOON, NOON])
        cursor.execute(TICKS, [NOON, NOON])
        cursor.execute("ANALYZE django_jobs_tick")
    ids = list(Schedule.objects.values_list("pk", flat=True)[:100])
    assert "django_jobs_tick_open" in spy.plan_of("live_jobs", ids)
    assert "django_jobs_tick_held" in spy.plan_of("release_held", 10, LATER)
    time = Planned(LATER, TickOutcome.ON_TIME)
    with spy.engine.transaction():
        _, due = spy.engine.lock_due(NAMES, 2, now=LATER)
        tickings = [Ticking(schedule, Plan((time,), LATER)) for schedule in due]
        plan = spy.plan_of("tick", tickings, LATER)
    assert "django_jobs_tick_once" in plan
    assert "Seq Scan" not in plan


def test_a_live_unique_key_is_found_through_its_index(spy):
    scene = Scene(spy.engine)
    scene.enqueue(unique_key="k")
    with spy.engine.connection.execute_wrapper(spy):
        scene.enqueue(unique_key="k")
    assert "django_jobs_job_unique_live" in "\n".join(spy.plans)
    assert not JOB_SCAN.search("\n".join(spy.plans))


WAITS = """
    INSERT INTO django_jobs_wait (
        job_id, key, event, fields, digest, cancels, child_id, had, since)
    SELECT id, 'step', CASE WHEN id %% 2 = 0 THEN 'order/paid' ELSE 'django_jobs/job.finished' END,
        %s, md5(id::text), false, CASE WHEN id %% 2 = 1 THEN id + 1 END, '[]', %s
    FROM django_jobs_job WHERE state = 'SCHEDULED'
"""
EVENTS = """
    INSERT INTO django_jobs_event (
        name, data, sent_at, job_id, is_repeated, is_heard, handed_out_at, started, woken, problem)
    SELECT 'e' || number %% 50, '{}', %s::timestamptz + number * interval '1 second', NULL, false,
        true, CASE WHEN number <= 49990 THEN %s::timestamptz END, '[]', 0, ''
    FROM generate_series(1, 50000) AS number
"""
EVENT_TABLES = ("event", "wait", "job_step")


@pytest.fixture
def crowded(spy):
    """Return the spy beside very many events and waits."""
    with connection.cursor() as cursor:
        cursor.execute(EVENTS, [NOON, NOON])
        cursor.execute(WAITS, ['["order_id"]', NOON])
        for table in EVENT_TABLES:
            cursor.execute(f"ANALYZE django_jobs_{table}")
    return spy


def test_events_and_waits_are_found_through_their_indexes(crowded):
    spy, engine = crowded, crowded.engine
    job_id = Scene(engine).run_one().job_id
    wanted = Match.of([("order_id", 17)])
    engine.add_wait(job_id, "step", WaitFor("order/paid", wanted), now=NOON)
    engine.insert_event(NewEvent("order/paid", '{"order_id":17}'), NOON)
    with engine.transaction():
        plans = {"take_events": spy.plan_of("take_events", 100)}
        events = engine.take_events(100)
        plans["ends_of"] = spy.plan_of("ends_of", [job_id])
        plans["wake"] = spy.plan_of("wake", [Delivery(event, "1") for event in events], LATER)
        plans["put_away"] = spy.plan_of("put_away", [event.id for event in events], LATER)
        plans["cancel_below"] = spy.plan_of("cancel_below", [job_id], LATER)
    plans["promote"] = spy.plan_of("promote", 10, NOON)
    plans["find_event"] = spy.plan_of("find_event", WaitFor("e7", wanted), LATER)
    plans["prune_events"] = spy.plan_of("prune_events", NOON, NOON, 100)
    for verb, plan in plans.items():
        for table in ("job", "event", "wait", "job_step"):
            assert f"Seq Scan on django_jobs_{table} " not in plan, (verb, plan)
    assert "django_jobs_event_pending" in plans["take_events"]
    assert "Sort" not in plans["take_events"]
    assert "django_jobs_event_pending" in plans["promote"]
    assert "django_jobs_wait_by_event" in plans["wake"]
    assert "django_jobs_job_step_once" in plans["wake"]
    assert "django_jobs_wait_once" in plans["cancel_below"]
    assert "django_jobs_event_by_name" in plans["find_event"]
    assert "django_jobs_event_pkey" in plans["prune_events"]
