from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from django_jobs import clock
from django_jobs.models import Claim, Event, Job, JobRun, Schedule
from django_jobs.reports import overview, summary, verdict
from django_jobs.reports.overview import look
from django_jobs.reports.problems import Level, Operation
from tests.conftest import NOON
from tests.factories import (
    ClaimFactory,
    JobFactory,
    QueueFactory,
    ScheduleFactory,
    TallyFactory,
    WorkerFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

QUERIES = 7


def ago(**span):
    return NOON - timedelta(**span)


def problems():
    return list(verdict.verdict().problems)


def problem():
    """Return the only problem there is."""
    [found] = problems()
    return found


def rules():
    return [found.rule for found in problems()]


def waiting(queue="mail", **fields):
    QueueFactory(name=queue)
    return JobFactory(queue=queue, **{"run_at": ago(minutes=5), **fields})


def failing(count, fingerprint="aaaa", **fields):
    return JobFactory.create_batch(count, failed=True, fingerprint=fingerprint, **fields)


def test_where_nothing_is_wrong_all_is_clear():
    WorkerFactory()
    QueueFactory()
    JobFactory()
    JobFactory(failed=True)
    found = verdict.verdict()
    assert (found.level, found.headline, found.problems) == (Level.OK, "All clear", ())


def test_an_empty_project_has_no_problem_and_is_new():
    assert rules() == []
    assert look("default", NOON).is_new
    QueueFactory()
    assert not look("default", NOON).is_new


def test_no_worker_at_all_is_the_worst():
    waiting()
    failing(10)
    WorkerFactory(beat_at=ago(minutes=7))
    first, second = problems()
    assert first.text == (
        "No worker is alive: 1 job waits, the oldest for 5 min. "
        "The last one was heard of 7 min ago."
    )
    assert (first.level, first.advice) == (Level.BAD, "python manage.py runworker")
    assert second.rule == "failure-spike"
    assert verdict.verdict().headline == "2 problems"


def test_without_work_nobody_misses_the_workers():
    JobFactory(scheduled=True)
    ScheduleFactory()
    assert rules() == []


def test_due_jobs_and_late_schedules_are_work_too():
    JobFactory(scheduled=True, run_at=ago(minutes=2))
    assert problem().text == "No worker is alive: jobs are due, the oldest for 2 min."
    ScheduleFactory(next_run_at=ago(minutes=3))
    assert problem().text.endswith("the oldest for 2 min, 1 schedule is late.")


def test_work_in_a_queue_that_is_not_on_record_counts():
    JobFactory(queue="elsewhere")
    assert problem().text == "No worker is alive: 1 job waits."


def test_a_queue_that_no_living_worker_serves_is_named():
    WorkerFactory(queues=["default"])
    WorkerFactory(queues=["mail"], beat_at=ago(minutes=7))
    waiting()
    waiting()
    assert problem().text == (
        "No living worker serves the queue “mail”: 2 jobs wait, the oldest for 5 min."
    )
    assert problem().advice == "python manage.py runworker --queues mail"
    assert problem().level is Level.BAD


def test_of_many_such_queues_some_are_named():
    WorkerFactory(queues=["default"])
    for number in range(8):
        waiting(f"q{number}")
    assert len(problems()) == verdict.NAMED


@pytest.mark.parametrize(("late", "said"), [(60, False), (61, True)])
def test_a_schedule_is_late_after_a_minute(late, said):
    WorkerFactory()
    ScheduleFactory(name="nightly", next_run_at=ago(seconds=late))
    ScheduleFactory()
    assert rules() == (["late-schedule"] if said else [])
    if said:
        assert problem().text == "1 schedule is late: “nightly” was due 1 min 1 s ago."


def test_many_late_schedules_are_counted_to_a_bound():
    WorkerFactory()
    ScheduleFactory.create_batch(12, next_run_at=ago(minutes=5))
    Schedule.objects.update(doubted_at=NOON)
    assert problem().text.startswith("10+ schedules are late: “")
    assert problem().advice == "No worker was able to; their logs say why."


def test_schedules_that_are_switched_off_are_not_late(settings):
    settings.DJANGO_JOBS = {"SCHEDULES_ENABLED": False}
    ScheduleFactory(next_run_at=ago(minutes=5))
    assert rules() == []


@pytest.mark.parametrize(
    ("alive", "silence", "said"), [(True, 29, False), (True, 31, True), (False, 5, True)]
)
def test_a_silent_worker_that_nobody_relieves_is_told_with_its_jobs(alive, silence, said):
    if alive:
        WorkerFactory()
    jobs = JobFactory.create_batch(2, running=True, silent=True)
    Claim.objects.update(expires_at=ago(seconds=silence))
    assert rules() == (["silent-worker"] if said else [])
    if said:
        assert problem().text.endswith("ago, with 2 jobs.")
        fix = problem().fix
        assert (fix.operation, fix.target, fix.count) == (Operation.REQUEUE, "web-1:4711", 2)
        assert set(fix.job_ids) == {job.pk for job in jobs}


@pytest.mark.parametrize(("count", "said"), [(9, False), (10, True)])
def test_an_error_that_strikes_ten_jobs_in_a_quarter_of_an_hour_is_a_spike(count, said):
    WorkerFactory()
    newest = failing(count, name="shop.jobs.send")[-1]
    failing(2, finished_at=ago(hours=2))
    failing(3, "bbbb")
    assert rules() == (["failure-spike"] if said else [])
    if said:
        assert problem().text == (
            "10 jobs of send failed within 15 min: ConnectionError: 503 from partner"
        )
        fix = problem().fix
        assert (fix.operation, fix.target, fix.count) == (Operation.RETRY, "aaaa", 12)
        assert newest.pk >= fix.job_ids[0]


def test_old_failures_are_no_spike():
    WorkerFactory()
    failing(20, finished_at=ago(minutes=15))
    assert rules() == []


@pytest.mark.parametrize(("age", "said"), [(60, False), (61, True)])
def test_a_served_queue_is_slow_when_its_oldest_waits_for_more_than_a_minute(age, said):
    WorkerFactory()
    waiting(run_at=ago(seconds=age))
    waiting(run_at=NOON, priority=9)
    assert rules() == (["slow-queue"] if said else [])
    if said:
        assert problem().text == (
            "Jobs wait too long in the queue “mail”: 2 jobs wait, the oldest for 1 min 1 s."
        )
        assert (problem().level, problem().fix) == (Level.WARNING, None)


def test_a_paused_queue_in_which_work_waits_can_be_resumed():
    WorkerFactory()
    QueueFactory(name="mail", paused=True, paused_reason="upgrade")
    JobFactory(queue="mail", run_at=ago(hours=1))
    assert problem().text == "The queue “mail” was paused by ana 5 min ago (upgrade): 1 job waits."
    fix = problem().fix
    assert (fix.operation, fix.target, fix.count) == (Operation.RESUME, "mail", 1)


def test_a_paused_queue_without_work_is_no_problem():
    WorkerFactory()
    QueueFactory(name="mail", paused=True)
    assert rules() == []


@pytest.mark.parametrize(("days", "said"), [(30, False), (32, True)])
def test_failures_beyond_their_time_say_that_nobody_cleans_up(days, said):
    WorkerFactory()
    failing(1, finished_at=ago(days=days))
    assert rules() == (["no-cleaning"] if said else [])
    if said:
        assert problem().text.startswith("1 failed jobs are older than RETENTION_FAILED (30 days)")


def test_failures_that_are_kept_for_ever_are_no_problem(settings):
    settings.DJANGO_JOBS = {"RETENTION_FAILED": 10.0**12}
    WorkerFactory()
    failing(1, finished_at=ago(days=4000))
    assert rules() == []


def test_what_is_bad_comes_before_what_may_become_bad():
    WorkerFactory(queues=["mail"])
    waiting("mail")
    waiting("other")
    QueueFactory(name="reports", paused=True)
    JobFactory(queue="reports", run_at=NOON)
    failing(10)
    assert rules() == ["unserved-queue", "failure-spike", "slow-queue", "paused-queue"]


def test_the_overview_counts_what_there_is():
    WorkerFactory()
    waiting()
    JobFactory.create_batch(2, scheduled=True)
    JobFactory.create_batch(3, retrying=True)
    JobFactory(waiting=True)
    JobFactory.create_batch(2, running=True)
    failing(4)
    seen = look("default", NOON)
    numbers = (seen.ready, seen.running, seen.retrying, seen.scheduled, seen.waiting, seen.failed)
    assert [str(number) for number in numbers] == ["1", "2", "3", "2", "1", "4"]
    [queue] = seen.queues
    assert (str(queue.waiting), queue.oldest, queue.workers) == ("1", ago(minutes=5), 1)


def test_failures_are_grouped_those_that_grow_first():
    failing(3, "old", finished_at=ago(hours=1))
    failing(2, "new", name="shop.jobs.send")
    new, old = look("default", NOON).groups
    assert (new.fingerprint, new.count, new.recent) == ("new", 2, 2)
    assert new.newest.error == "ConnectionError: 503 from partner"
    assert new.newest.title.startswith("send #")
    assert (old.count, old.recent, old.first) == (3, 0, ago(hours=1))


def test_the_newest_failures_come_first():
    failing(1, finished_at=ago(hours=1))
    [newest] = failing(1)
    found = look("default", NOON).newest
    assert len(found) == 2
    assert found[0].job_id == newest.pk


def test_a_failure_that_is_retried_meanwhile_breaks_nothing(monkeypatch):
    failing(1)
    counted = overview.newest_failures("default", NOON, 6)
    monkeypatch.setattr(overview, "newest_failures", lambda *_: counted)
    Job.objects.update(state="READY", finished_at=None)
    seen = look("default", NOON)
    assert (seen.groups, seen.newest) == ((), ())


def test_a_failure_without_a_run_on_record_is_told_too():
    WorkerFactory()
    failing(10)
    JobRun.objects.all().delete()
    assert problem().text.endswith("without an error on record")


def test_counting_ends_at_the_caps(monkeypatch):
    monkeypatch.setattr(summary, "CAP", 2)
    monkeypatch.setattr(overview, "QUEUE_CAP", 1)
    for _ in range(3):
        waiting()
    JobFactory.create_batch(3, scheduled=True)
    failing(3)
    seen = look("default", NOON)
    assert [str(number) for number in (seen.ready, seen.failed)] == ["2+", "2+"]
    assert seen.scheduled.capped
    assert str(seen.queues[0].waiting) == "1+"
    assert seen.groups[0].count == 2


@pytest.mark.parametrize("size", [1, 20])
def test_seven_queries_answer_however_much_there_is(django_assert_num_queries, size):
    for number in range(size):
        waiting(f"q{number}")
        WorkerFactory()
        ScheduleFactory()
        ClaimFactory()
        failing(2, f"error-{number}")
        JobFactory(scheduled=True)
        JobFactory(running=True, name="tests.jobs.send", started_at=ago(minutes=5))
        TallyFactory(ago=number, name=f"shop.job{number}")
    with django_assert_num_queries(QUERIES) as queries:
        verdict.verdict()
    assert all("args" not in query["sql"] or "schedule" in query["sql"] for query in queries)


@pytest.mark.parametrize("size", [10, 10_000])
def test_seven_queries_answer_for_ten_jobs_and_for_ten_thousand(django_assert_num_queries, size):
    QueueFactory(name="mail")
    failing(1)
    Job.objects.bulk_create(JobFactory.build_batch(size, queue="mail"))
    with django_assert_num_queries(QUERIES):
        assert verdict.verdict().problems


def test_events_that_could_not_be_handed_out_are_counted_for_a_day():
    event = Event.objects.create(
        name="order/paid", sent_at=NOON, handed_out_at=ago(hours=23), problem="ValueError: no"
    )
    Event.objects.create(name="order/sent", sent_at=NOON, handed_out_at=NOON)
    Event.objects.create(name="order/sent", sent_at=NOON)
    assert (problem().rule, problem().level) == ("given-up-event", Level.WARNING)
    assert problem().text == "1 event of the last 24 hours could not be handed out."
    *_, command = problem().advice.split(" jobs ")
    out = StringIO()
    call_command("jobs", *command.split(), stdout=out)
    assert [line.split()[0] for line in out.getvalue().splitlines()[1:]] == [f"#{event.pk}"]
    Event.objects.update(handed_out_at=ago(hours=25))
    assert rules() == []


def test_of_many_events_the_newest_are_looked_at(monkeypatch):
    monkeypatch.setattr(overview, "MOST_EVENTS", 2)
    for text in ("no", "no", "no", ""):
        Event.objects.create(name="order/paid", sent_at=NOON, handed_out_at=NOON, problem=text)
    assert look("default", NOON).given_up == 1


def status(*options):
    out = StringIO()
    call_command("jobs", "status", *options, stdout=out)
    return out.getvalue().splitlines()


def test_the_status_begins_with_what_is_wrong_and_what_mends_it():
    QueueFactory(name="mail", paused=True)
    job = JobFactory(queue="mail", run_at=NOON)
    held = JobFactory(running=True, silent=True)
    broken = failing(10)[-1]
    lines = status()
    assert lines[0] == "4 problems."
    text = "\n".join(lines)
    assert "  python manage.py jobs resume mail" in lines
    assert f"  python manage.py jobs requeue {held.pk}" in lines
    assert "  python manage.py runworker" in lines
    assert "  python manage.py jobs retry " in text
    assert "…" in text
    assert job.pk < broken.pk


def test_the_status_fails_only_when_it_is_asked_to_check():
    WorkerFactory()
    QueueFactory(name="mail", paused=True)
    JobFactory(queue="mail", run_at=NOON)
    assert status("--check")[0] == "1 problem."
    failing(10)
    assert status()[0] == "2 problems."
    with pytest.raises(CommandError, match="2 problems"):
        status("--check")


def test_what_is_judged_is_what_was_seen(django_assert_num_queries):
    waiting()
    seen = look("default", clock.now())
    with django_assert_num_queries(0):
        assert verdict.judge(seen).problems
