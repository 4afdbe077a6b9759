import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from django_jobs import announcements
from django_jobs.engines import get_engine
from django_jobs.models import Job, Queue
from tests import jobs
from tests.factories import WorkerFactory
from tests.transactions import undone

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fresh_process():
    """Let each test be the first of its process."""
    announcements.forget()


@pytest.fixture
def heard(monkeypatch):
    """Collect the queues that workers are told of."""
    calls = []
    engine = type(get_engine("default"))
    monkeypatch.setattr(engine, "notify", lambda _, queues: calls.append(sorted(queues)))
    return calls


def test_workers_are_told_after_the_commit_and_only_once_in_a_while(frozen_clock, heard):
    with transaction.atomic():
        jobs.add.enqueue(1)
        jobs.add.enqueue(2)
        assert heard == []
    assert heard == [["default"]]
    jobs.send.enqueue("ana")
    assert heard == [["default"], ["mail"]]
    frozen_clock.advance(timedelta(seconds=0.05))
    jobs.add.enqueue(3)
    assert heard == [["default"], ["mail"], ["default"]]


def test_nobody_is_told_of_what_was_rolled_back(heard):
    with undone():
        jobs.add.enqueue(1)
    assert heard == []


def test_a_queue_is_known_once_a_job_was_enqueued_in_it():
    jobs.send.enqueue("ana")
    assert [queue.name for queue in Queue.objects.all()] == ["mail"]


def test_an_error_while_telling_workers_does_not_reach_the_caller(monkeypatch, caplog):
    monkeypatch.setattr(announcements, "get_engine", lambda _alias: 1 / 0)
    assert jobs.add.enqueue(1).created
    assert "ZeroDivisionError" in caplog.text


def test_a_caller_who_commits_by_hand_can_enqueue(heard):
    transaction.set_autocommit(False)
    try:
        jobs.add.enqueue(1)
        transaction.commit()
    finally:
        transaction.set_autocommit(True)
    assert Job.objects.count() == 1
    assert heard == []


def test_a_developer_without_a_worker_is_warned_once(settings, caplog):
    settings.DEBUG = True
    handle = jobs.send.enqueue("ana")
    jobs.add.enqueue(1)
    [message] = [record.getMessage() for record in caplog.records]
    assert message.startswith(f'Job #{handle.id} is waiting, and no worker for queue "mail" was')
    assert message.endswith("seen in the last 60 s. Start one: python manage.py runworker")
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize(
    ("debug", "worker"), [(False, None), (True, {"queues": []}), (True, {"queues": ["mail"]})]
)
def test_nobody_is_warned_in_production_or_with_a_worker(settings, caplog, debug, worker):
    settings.DEBUG = debug
    if worker:
        WorkerFactory(**worker)
    jobs.send.enqueue("ana")
    assert not caplog.records


@pytest.mark.parametrize(
    "worker", [{"queues": ["other"]}, {"beat_at": datetime(2020, 1, 1, tzinfo=UTC)}]
)
def test_a_worker_that_is_silent_or_serves_other_queues_does_not_count(settings, caplog, worker):
    settings.DEBUG = True
    WorkerFactory(**worker)
    jobs.send.enqueue("ana")
    assert "no worker for queue" in caplog.text


def test_many_jobs_of_a_transaction_are_announced_once(heard):
    with transaction.atomic():
        for number in range(50):
            jobs.add.enqueue(number)
        assert len(connection.run_on_commit) == 1
    assert heard == [["default"]]


def test_a_savepoint_that_is_rolled_back_takes_no_announcement_with_it(heard):
    with transaction.atomic():
        with undone():
            jobs.add.enqueue(1)
        jobs.add.enqueue(2)
        with undone():
            jobs.add.enqueue(3)
    assert heard == [["default"]]


def test_each_queue_of_a_transaction_is_announced(heard):
    with transaction.atomic():
        jobs.add.enqueue(1)
        jobs.send.enqueue("ana")
        jobs.add.enqueue(2)
    assert heard == [["default"], ["mail"]]
