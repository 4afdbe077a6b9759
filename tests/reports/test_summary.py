from datetime import timedelta

import pytest

from django_jobs import clock
from django_jobs.models import Job
from django_jobs.reports import summary
from django_jobs.reports.summary import backlog, scheduled, summarise, unserved, with_error
from tests.conftest import NOON
from tests.factories import JobFactory, QueueFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def counts():
    return dict(summarise("default", clock.now()).counts)


def test_every_state_is_counted():
    for trait in ("scheduled", "waiting", "running", "successful", "failed", "cancelled"):
        JobFactory(**{trait: True})
    JobFactory.create_batch(2)
    assert counts() == {
        "ready": "2",
        "scheduled": "1",
        "running": "1",
        "waiting": "1",
        "failed": "1",
        "successful": "1",
        "cancelled": "1",
    }


def test_counting_ends_at_the_cap(monkeypatch):
    monkeypatch.setattr(summary, "CAP", 2)
    JobFactory.create_batch(3)
    JobFactory.create_batch(2, failed=True)
    assert counts()["ready"] == "2+"
    assert counts()["failed"] == "2"


def test_a_queue_shows_its_oldest_waiting_job_and_its_pause():
    JobFactory(queue="mail", run_at=NOON - timedelta(minutes=11))
    JobFactory(queue="mail", run_at=NOON - timedelta(minutes=1))
    QueueFactory(name="reports", paused=True)
    mail, reports = summarise("default", NOON).queues
    assert (mail.name, mail.waiting, mail.oldest) == ("mail", "2", NOON - timedelta(minutes=11))
    assert (reports.name, reports.waiting, reports.oldest) == ("reports", "0", None)
    assert (mail.paused, reports.paused) == (False, True)


@pytest.mark.parametrize(("age", "word"), [(60, "alive"), (61, "silent")])
def test_a_worker_is_silent_after_one_lease_without_a_sign(age, word):
    WorkerFactory(beat_at=NOON - timedelta(seconds=age))
    [worker] = summarise("default", NOON).workers
    assert worker.word == word


@pytest.mark.parametrize(
    ("worker", "missing"),
    [
        (None, ["mail"]),
        ({"queues": ["reports"]}, ["mail"]),
        ({"beat_at": NOON - timedelta(hours=1)}, ["mail"]),
        ({"queues": ["mail"]}, []),
        ({"queues": []}, []),
    ],
)
def test_a_queue_is_unserved_when_jobs_wait_and_no_living_worker_takes_it(worker, missing):
    JobFactory(queue="mail")
    QueueFactory(name="empty")
    if worker is not None:
        WorkerFactory(**worker)
    assert unserved("default", NOON) == missing


def test_a_paused_queue_is_meant_to_wait():
    JobFactory(queue="mail")
    QueueFactory(name="mail", paused=True)
    assert unserved("default", NOON) == []


def test_the_error_of_a_job_is_that_of_its_newest_run():
    job = JobFactory(failed=True)
    job.runs.create(
        claim_id=1, attempt=5, outcome="failed", finished_at=NOON, error_type="KeyError", error="x"
    )
    found = with_error(Job.objects.all()).get()
    assert (found.error_type, found.error_line) == ("KeyError", "x")


def test_a_summary_needs_few_queries(django_assert_max_num_queries):
    for queue in ("a", "b", "c"):
        JobFactory(queue=queue)
        QueueFactory(name=queue)
        WorkerFactory()
    with django_assert_max_num_queries(10):
        summarise("default", NOON)


@pytest.mark.parametrize(
    ("queues", "waiting", "age"),
    [((), "3", 20), (["mail"], "2", 11), (["mail", "reports"], "2", 11), (["reports"], "0", None)],
)
def test_the_backlog_is_what_waits_in_the_queues_that_are_asked_for(queues, waiting, age):
    for queue, minutes in (("mail", 11), ("mail", 1), ("default", 20)):
        JobFactory(queue=queue, run_at=NOON - timedelta(minutes=minutes))
    JobFactory(queue="mail", scheduled=True)
    JobFactory(queue="mail", running=True)
    oldest = None if age is None else NOON - timedelta(minutes=age)
    found = backlog("default", queues)
    assert (found.waiting, found.oldest, found.capped) == (waiting, oldest, False)


def test_a_backlog_is_counted_to_the_cap_in_one_query(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(summary, "CAP", 2)
    JobFactory.create_batch(4)
    with django_assert_num_queries(1) as queries:
        found = backlog("default", [])
    assert (found.waiting, found.capped) == ("2+", True)
    assert "LIMIT 3" in queries[0]["sql"]
    assert "args" not in queries[0]["sql"]


def test_scheduled_jobs_are_counted_in_the_queues_that_are_asked_for():
    for queue in ("mail", "mail", "default"):
        JobFactory(queue=queue, scheduled=True)
    JobFactory(queue="mail", waiting=True)
    assert [scheduled("default", queues) for queues in ((), ["mail"], ["x"])] == ["3", "2", "0"]


def test_scheduled_jobs_are_looked_at_no_further_than_the_cap(
    monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(summary, "CAP", 2)
    JobFactory.create_batch(4, scheduled=True)
    assert scheduled("default", ["x"]) == "0+"
    with django_assert_num_queries(1) as queries:
        assert scheduled("default", []) == "2+"
    assert "LIMIT 3" in queries[0]["sql"]
    assert "args" not in queries[0]["sql"]


def test_a_queue_is_counted_no_further_than_its_cap(monkeypatch):
    monkeypatch.setattr(summary, "QUEUE_CAP", 2)
    QueueFactory(name="mail")
    JobFactory.create_batch(4, queue="mail")
    [mail] = summarise("default", NOON).queues
    assert (mail.waiting, mail.oldest) == ("2+", Job.objects.order_by("run_at").first().run_at)


def test_of_very_many_queues_the_first_are_shown_and_that_there_are_more(monkeypatch):
    monkeypatch.setattr(summary, "MOST_QUEUES", 3)
    for name in "dbca":
        QueueFactory(name=name)
    found = summarise("default", NOON)
    assert [queue.name for queue in found.queues] == ["a", "b", "c"]
    assert found.more_queues
    monkeypatch.setattr(summary, "MOST_QUEUES", 4)
    assert not summarise("default", NOON).more_queues


def test_queues_without_a_row_are_found_in_the_first_ready_jobs(monkeypatch):
    monkeypatch.setattr(summary, "CAP", 3)
    JobFactory.create_batch(2, queue="mail", run_at=NOON - timedelta(minutes=5))
    JobFactory(queue="reports", run_at=NOON)
    mail, reports = summarise("default", NOON).queues
    assert (mail.name, mail.waiting, mail.oldest) == ("mail", "2", NOON - timedelta(minutes=5))
    assert (reports.name, reports.waiting, reports.oldest) == ("reports", "1", NOON)


def test_of_very_many_workers_those_that_were_heard_of_last_are_shown(monkeypatch):
    monkeypatch.setattr(summary, "SHOWN_WORKERS", 2)
    for seconds in (50, 10, 30):
        WorkerFactory(name=f"w-{seconds}", beat_at=NOON - timedelta(seconds=seconds))
    found = summarise("default", NOON)
    assert [worker.name for worker in found.workers] == ["w-10", "w-30"]
    assert found.more_workers
    assert len(summary.workers("default", NOON)) == 3
    monkeypatch.setattr(summary, "MOST_WORKERS", 1)
    assert [worker.name for worker in summary.workers("default", NOON)] == ["w-10"]


def test_what_is_read_of_queues_and_workers_has_bounds(django_assert_num_queries):
    with django_assert_num_queries(3) as queries:
        unserved("default", NOON)
    limits = ("LIMIT 10000", "LIMIT 201", "LIMIT 10001")
    assert all(limit in each["sql"] for limit, each in zip(limits, queries, strict=True))
