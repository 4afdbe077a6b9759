"""What people may want of workers, and what becomes of it in the database."""

from datetime import timedelta

import pytest

from django_jobs import staffing
from django_jobs.engines import get_engine
from django_jobs.exceptions import WorkerBusy, WorkerNotFound
from django_jobs.models import Claim, Worker
from django_jobs.reports import explaining, verdict
from django_jobs.states import Wish
from tests.conftest import NOON
from tests.factories import ClaimFactory, JobFactory, QueueFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

SILENT = NOON - timedelta(minutes=5)


def wishes():
    return dict(Worker.objects.values_list("name", "wish"))


def test_all_processes_of_one_start_are_wanted_to_do_the_same():
    for name, boot in (("a:1-x", "a-x"), ("a:2-x", "a-x"), ("a:3-y", "a-y"), ("old", "")):
        WorkerFactory(name=name, boot=boot)
    assert staffing.quiet("a:1-x", by="ana")
    assert wishes() == {"a:1-x": "quiet", "a:2-x": "quiet", "a:3-y": "", "old": ""}
    row = Worker.objects.get(name="a:2-x")
    assert (row.wished_by, row.wished_at) == ("ana", NOON)
    assert staffing.go_on("a:2-x", by="ana")
    assert set(wishes().values()) == {""}
    assert not Worker.objects.exclude(wished_by="", wished_at=None).exists()


def test_a_worker_without_a_start_on_record_is_one_of_its_own():
    WorkerFactory(name="one")
    WorkerFactory(name="two")
    assert staffing.stop("one")
    assert wishes() == {"one": "stop", "two": ""}


def test_who_comes_second_changes_nothing():
    WorkerFactory(name="one")
    assert staffing.quiet("one", by="ana")
    assert not staffing.quiet("one", by="bob")
    assert Worker.objects.get().wished_by == "ana"
    assert staffing.go_on("one")
    assert not staffing.go_on("one")


def test_a_stop_is_not_taken_back():
    WorkerFactory(name="one")
    assert staffing.stop("one")
    assert not staffing.go_on("one")
    assert not staffing.quiet("one")
    assert wishes() == {"one": "stop"}


def test_a_worker_that_nobody_knows_is_told():
    for wanted in (staffing.quiet, staffing.go_on, staffing.stop, staffing.forget):
        with pytest.raises(WorkerNotFound, match='no worker on record is called "one"'):
            wanted("one")


def test_a_worker_that_has_gone_is_said_to_have():
    WorkerFactory(name="one", left_at=NOON, beat_at=SILENT)
    for wanted in (staffing.quiet, staffing.go_on, staffing.stop, staffing.forget):
        with pytest.raises(WorkerNotFound, match=r'^the worker "one" has gone$'):
            wanted("one")


def test_a_silent_worker_that_holds_nothing_is_forgotten_once():
    WorkerFactory(name="one", beat_at=SILENT)
    ClaimFactory(worker="one", job_ids=[])
    staffing.forget("one")
    assert not Worker.objects.exists()
    with pytest.raises(WorkerNotFound):
        staffing.forget("one")


def test_a_worker_that_lives_or_holds_jobs_is_not_forgotten():
    WorkerFactory(name="one")
    with pytest.raises(WorkerBusy, match="lives"):
        staffing.forget("one")
    Worker.objects.update(beat_at=SILENT)
    JobFactory(running=True)
    Claim.objects.update(worker="one")
    with pytest.raises(WorkerBusy, match=r"holds jobs \(1\); requeue them first"):
        staffing.forget("one")
    assert Worker.objects.exists()


@pytest.mark.parametrize(
    ("wish", "advice"),
    [
        (Wish.QUIET, "python manage.py jobs workers --resume web-1:1"),
        (Wish.STOP, "python manage.py runworker"),
    ],
)
def test_a_quiet_worker_serves_no_queue_and_a_job_says_so(wish, advice):
    WorkerFactory(name="web-1:1", wish=wish)
    WorkerFactory(name="web-2:2", queues=["other"])
    QueueFactory(name="mail")
    job = JobFactory(queue="mail", run_at=NOON)
    [problem] = verdict.verdict().problems
    assert problem.rule == "unserved-queue"
    [reason] = [item for item in explaining.explain(job.pk) if "would serve" in item.text]
    assert f"is told to {'be quiet' if wish == 'quiet' else 'stop'}." in reason.text
    assert advice in reason.advice
    WorkerFactory(name="web-3:3")
    assert not [item for item in explaining.explain(job.pk) if "would serve" in item.text]


def test_workers_are_told_of_what_is_new_and_of_nothing_else(
    monkeypatch, django_capture_on_commit_callbacks
):
    told = []
    engine = type(get_engine("default"))
    monkeypatch.setattr(engine, "notify", lambda _, words: told.append(words))
    row = WorkerFactory()
    with django_capture_on_commit_callbacks(execute=True):
        staffing.quiet(row.name)
        staffing.quiet(row.name)
    assert told == [{engine.WISHES}]
