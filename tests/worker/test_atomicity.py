"""Atomic jobs: their effects, their end and what they enqueue are one commit, or nothing."""

import pytest
from django.db import IntegrityError, connection, transaction

from django_jobs import Cancel, JobContext, Snooze, State
from django_jobs.context import Ask
from django_jobs.definitions import job
from django_jobs.engines import get_engine
from django_jobs.engines.base import Finished
from django_jobs.models import Job, JobRun, Queue
from django_jobs.states import RunOutcome
from django_jobs.testing import run_jobs
from tests.jobs import add

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def run(body, **options):
    """Declare an atomic job with the body, run it once; return the outcomes."""
    job(name="tests.atomic", atomic=True, **options)(body).enqueue()
    return run_jobs(until_empty=False)


def booked():
    return Queue.objects.filter(name__startswith="booked").count()


def atomic_job():
    return Job.objects.get(name="tests.atomic")


def test_a_success_is_written_once_with_its_result_its_log_and_its_successor():
    def body(context: JobContext) -> dict[str, int]:
        Queue.objects.create(name="booked")
        add.enqueue(1, 2)
        context.log("all in one")
        return {"booked": 1}

    assert run(body) == [RunOutcome.SUCCESSFUL]
    written = JobRun.objects.get()
    assert (written.result, written.worker) == ({"booked": 1}, "run_jobs")
    assert "all in one" in written.log
    assert (atomic_job().state, booked()) == (State.SUCCESSFUL, 1)
    assert Job.objects.filter(name="tests.jobs.add").count() == 1


def test_the_end_is_written_before_the_transaction_is_over(monkeypatch):
    seen = []
    engine = type(get_engine("default"))
    finish = engine.finish

    def look(self, finishes, *arguments, **keywords):
        seen.append(len(connection.savepoint_ids))
        return finish(self, finishes, *arguments, **keywords)

    monkeypatch.setattr(engine, "finish", look)
    assert run(lambda: None) == [RunOutcome.SUCCESSFUL]
    inside, outside = seen
    assert inside == outside + 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RuntimeError("too late"), RunOutcome.RETRIED),
        (Snooze(60), RunOutcome.SNOOZED),
        (Cancel("no need"), RunOutcome.CANCELLED),
    ],
)
def test_whatever_is_no_success_is_undone(error, outcome):
    def body() -> None:
        Queue.objects.create(name="booked")
        add.enqueue(1, 2)
        raise error

    assert run(body) == [outcome]
    assert (booked(), Job.objects.count()) == (0, 1)


def test_a_database_error_inside_undoes_all_and_fails_the_attempt():
    def body() -> None:
        Queue.objects.create(name="booked")
        Queue.objects.create(name="booked")

    assert run(body, never_retry=IntegrityError) == [RunOutcome.FAILED]
    assert booked() == 0


def test_a_result_that_cannot_be_stored_undoes_all():
    def body() -> object:
        Queue.objects.create(name="booked")
        return object()

    assert run(body) == [RunOutcome.FAILED]
    assert booked() == 0


def test_a_job_that_stops_because_it_was_told_is_undone():
    def body(context: JobContext) -> None:
        Queue.objects.create(name="booked")
        context.tell(Ask.CANCEL)
        assert context.should_stop()

    assert run(body) == [RunOutcome.CANCELLED]
    assert booked() == 0


def test_what_was_done_for_a_job_that_is_lost_is_undone(monkeypatch):
    engine = type(get_engine("default"))
    finish, answers = engine.finish, [Finished()]

    def refuse_once(self, finishes, *arguments, **keywords):
        return answers.pop() if answers else finish(self, finishes, *arguments, **keywords)

    def body() -> None:
        Queue.objects.create(name="booked")

    monkeypatch.setattr(engine, "finish", refuse_once)
    assert run(body) == [RunOutcome.RELEASED]
    assert (booked(), atomic_job().state) == (0, State.READY)
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert booked() == 1


def test_an_atomic_job_has_no_steps():
    def body(context: JobContext) -> None:
        context.step.run("one", list)

    assert run(body) == [RunOutcome.FAILED]
    assert "an atomic job has no steps" in JobRun.objects.get().error_text


@pytest.mark.django_db(transaction=True)
def test_what_a_hook_raises_after_the_commit_undoes_nothing_and_is_told(caplog, frozen_clock):
    def body() -> None:
        Queue.objects.create(name="booked")
        transaction.on_commit(lambda: 1 / 0)

    assert run(body) == [RunOutcome.SUCCESSFUL]
    assert (booked(), atomic_job().state) == (1, State.SUCCESSFUL)
    assert JobRun.objects.get().fenced_at is None
    assert "is done; after its commit this was raised:" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_an_async_job_cannot_be_atomic():
    async def body() -> None:
        pass

    with pytest.raises(TypeError, match=r"an async job cannot be atomic.*step\.aatomic"):
        job(name="tests.atomic", atomic=True)(body)


def test_the_option_is_true_or_false():
    with pytest.raises(TypeError, match="atomic must be True or False, got 1"):
        job(name="tests.atomic", atomic=1)(lambda: None)
