"""Promises of `report`, `see_queues`, `beat`, `leave` and of the default wake-up."""

from datetime import timedelta

import pytest
from django.db import connection

from django_jobs.engines import engine_class
from django_jobs.engines.base import Report
from django_jobs.engines.workers import WorkerCard
from django_jobs.models import JobLog, JobProgress, Queue, Worker
from django_jobs.states import Wish
from tests.engines.scenes import LATER, NOON


def test_progress_is_one_row_that_changes(scene):
    hold = scene.run_one()
    scene.engine.report([Report(hold, 1, 10, "reading")], NOON)
    scene.engine.report([Report(hold, 2, 10, "reading"), Report(hold, 3, 10, "mailing\x00")], LATER)
    row = JobProgress.objects.get()
    assert (row.job_id, row.done, row.total, row.note) == (hold.job_id, 3, 10, "mailing\ufffd")
    assert row.updated_at == LATER


def test_log_lines_are_appended_and_leave_the_progress_alone(scene):
    hold = scene.run_one()
    scene.engine.report([Report(hold, 1)], NOON)
    lines = ((NOON, "one"), (LATER, "two\x00"))
    scene.engine.report([Report(hold, lines=lines)], LATER)
    assert JobProgress.objects.get().updated_at == NOON
    rows = list(JobLog.objects.values_list("job_id", "claim_id", "at", "line"))
    assert rows == [(*hold, NOON, "one"), (*hold, LATER, "two\ufffd")]


def test_a_worker_that_lost_the_job_reports_nothing(scene):
    stale = scene.run_one()
    scene.lose(now=NOON)
    scene.claim()
    scene.engine.report([Report(stale, 5, lines=((NOON, "late"),))], LATER)
    assert not JobProgress.objects.exists()
    assert not JobLog.objects.exists()


def test_queues_appear_once(engine):
    engine.see_queues(["mail", "default"])
    engine.see_queues({"mail", "reports"})
    engine.see_queues([])
    assert list(Queue.objects.values_list("name", flat=True)) == ["default", "mail", "reports"]


def test_a_beat_makes_the_worker_s_row_and_then_renews_it(engine):
    card = WorkerCard(name="web-1:4711", queues=("mail",), processes=2, threads=4, version="1.0")
    engine.beat(card, NOON)
    engine.beat(card, LATER)
    row = Worker.objects.get()
    assert (row.name, row.queues, row.processes, row.threads) == ("web-1:4711", ["mail"], 2, 4)
    assert (row.started_at, row.beat_at, row.version) == (NOON, LATER, "1.0")


def test_what_is_wanted_of_a_worker_is_read_without_a_sign_of_life(engine):
    assert engine.wish_of("one") is None
    engine.beat(WorkerCard(name="one"), NOON)
    assert engine.wish_of("one") is Wish.NONE
    Worker.objects.update(wish=Wish.QUIET)
    assert engine.wish_of("one") is Wish.QUIET
    assert engine.wish_of("two") is None
    assert Worker.objects.get().beat_at == NOON


def everyone():
    return dict(Worker.everyone.values_list("name", "left_at"))


def test_a_worker_that_leaves_is_no_worker_any_more_but_on_record(engine):
    engine.beat(WorkerCard(name="one"), NOON)
    engine.beat(WorkerCard(name="two"))
    engine.leave("one", LATER)
    row = Worker.objects.get()
    assert row.name == "two"
    assert everyone() == {"one": LATER, "two": None}
    assert abs(row.beat_at - row.started_at) < timedelta(seconds=1)
    engine.leave("nobody")


def test_a_worker_leaves_once(engine):
    engine.beat(WorkerCard(name="one"), NOON)
    engine.leave("one", NOON)
    engine.leave("one", LATER)
    assert everyone() == {"one": NOON}


def test_a_worker_with_the_name_of_one_that_has_gone_is_a_new_one(engine):
    engine.beat(WorkerCard(name="one", boot="a", version="1.0"), NOON)
    rows = Worker.everyone.filter(name="one")
    rows.update(wish=Wish.QUIET, wished_at=NOON, wished_by="ana")
    engine.leave("one", NOON)
    assert engine.beat(WorkerCard(name="one", boot="b"), LATER) is Wish.NONE
    row = Worker.objects.get()
    assert (row.started_at, row.beat_at, row.left_at) == (LATER, LATER, None)
    assert (row.boot, row.version) == ("b", "")
    assert (row.wish, row.wished_at, row.wished_by) == (Wish.NONE, None, "")
    engine.leave("one", LATER)
    assert engine.beat(WorkerCard(name="one", wish=Wish.QUIET), LATER) is Wish.QUIET


def test_a_worker_that_has_gone_is_forgotten_like_a_silent_one(engine):
    engine.beat(WorkerCard(name="one"), NOON)
    engine.leave("one", NOON)
    assert engine.forget_workers(NOON) == 0
    assert engine.forget_workers(LATER) == 1
    assert everyone() == {}


def test_workers_without_a_sign_of_life_are_forgotten(engine):
    engine.beat(WorkerCard(name="one"), NOON)
    engine.beat(WorkerCard(name="two"), LATER)
    assert engine.forget_workers(LATER) == 1
    assert Worker.objects.get().name == "two"
    assert engine.forget_workers(LATER) == 0


@pytest.mark.parametrize("wish", list(Wish))
def test_a_beat_brings_what_is_wanted_of_the_worker(engine, wish):
    assert engine.beat(WorkerCard(name="one"), NOON) is Wish.NONE
    Worker.objects.update(wish=wish)
    assert engine.beat(WorkerCard(name="one"), LATER) is wish
    assert engine.beat(WorkerCard(name="one", wish=Wish.STOP)) is wish
    assert engine.beat(WorkerCard(name="two"), LATER) is Wish.NONE
    row = Worker.objects.get(name="one")
    assert (row.wish, row.beat_at > LATER - timedelta(days=3650)) == (wish, True)


def test_a_first_beat_makes_a_row_that_says_what_is_obeyed_already(engine):
    card = WorkerCard(name="one", boot="web-1-abc", wish=Wish.QUIET)
    assert engine.beat(card, NOON) is Wish.QUIET
    row = Worker.objects.get()
    assert (row.boot, row.wish) == ("web-1-abc", "quiet")


def test_a_native_beat_and_its_answer_are_one_statement(db, django_assert_num_queries):
    native = engine_class(connection)(connection)
    native.beat(WorkerCard(name="one"))
    with django_assert_num_queries(1):
        native.beat(WorkerCard(name="one"))
    with django_assert_num_queries(1):
        native.beat(WorkerCard(name="one"), LATER)
