"""Steps among commits, rollbacks, lost replies and broken transactions: never lost, never doubled."""

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError, OperationalError, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_jobs import JobContext, State
from django_jobs.engines import get_engine
from django_jobs.models import JobRun, JobStep, Queue
from django_jobs.states import RunOutcome
from django_jobs.testing import run_jobs
from tests.steps.conftest import steps, the_job

pytestmark = [pytest.mark.usefixtures("frozen_clock")]
committing = pytest.mark.django_db(transaction=True)
in_a_test_case = pytest.mark.django_db


def booked():
    return Queue.objects.filter(name__startswith="booked").count()


@committing
def test_an_error_after_the_commit_of_an_atomic_step_does_not_do_it_again(run, calls):
    def body(context: JobContext) -> None:
        context.step.atomic("book", book)

    def book():
        calls("book")
        Queue.objects.create(name=f"booked-{len(calls.made)}")
        transaction.on_commit(lambda: calls("mail"))

    calls.failures = {"mail": 1}
    _, outcomes = run(body)
    assert outcomes == [RunOutcome.RELEASED, RunOutcome.SUCCESSFUL]
    assert (calls.made, booked()) == (["book", "mail"], 1)
    assert 'Step "book" raised RuntimeError: mail is down, after' in JobRun.objects.first().log


@committing
def test_a_commit_whose_reply_is_lost_is_not_done_again(run, calls, monkeypatch):
    def commit(self):
        plain(self)
        if calls.made and not lost:
            lost.append(1)
            raise OperationalError("server closed the connection unexpectedly")

    def body(context: JobContext) -> None:
        context.step.run("before", lambda: None)
        context.step.atomic("book", book)

    def book():
        calls("book")
        Queue.objects.create(name=f"booked-{len(calls.made)}")

    lost, plain = [], type(connections["default"])._commit
    monkeypatch.setattr(type(connections["default"]), "_commit", commit)
    _, outcomes = run(body)
    assert outcomes == [RunOutcome.RELEASED, RunOutcome.SUCCESSFUL]
    assert (calls.made, booked(), lost) == (["book"], 1, [1])


@committing
def test_a_first_step_that_fails_at_its_commit_is_remembered(run, calls, frozen_clock, monkeypatch):
    def commit(self):
        if calls.made == ["book"]:
            calls("commit")
            raise IntegrityError("a deferred constraint")
        plain(self)

    def body(context: JobContext) -> None:
        context.step.atomic("book", calls, "book")
        context.step.run("last", calls, "last")

    backend = type(connections["default"])
    plain = backend._commit
    calls.failures = {"last": 1}
    monkeypatch.setattr(backend, "_commit", commit)
    _, outcomes = run(body)
    assert (outcomes, steps()) == ([RunOutcome.RETRIED], {"book": "retrying"})
    assert the_job().has_steps
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.RETRIED]
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert calls.made == ["book", "commit", "book", "last", "last"]


@committing
def test_an_atomic_step_that_asks_for_a_rollback_has_failed(run, frozen_clock):
    def body(context: JobContext) -> None:
        context.step.atomic("book", book)

    def book():
        Queue.objects.create(name="booked")
        transaction.set_rollback(True)

    run(body, max_attempts=1)
    assert (the_job().state, booked()) == (State.FAILED, 0)
    assert steps() == {"book": "failed"}


@committing
def test_a_finished_step_is_written_when_its_database_is_back(run, calls, monkeypatch):
    engine = type(get_engine("default"))
    save, troubles = engine.save_step, [1, 2, 3]

    def save_step(self, *arguments, **keywords):
        if troubles:
            troubles.pop()
            raise OperationalError("the database system is starting up")
        return save(self, *arguments, **keywords)

    def body(context: JobContext) -> None:
        context.step.run("mail", calls, "mail")

    monkeypatch.setattr(engine, "save_step", save_step)
    _, outcomes = run(body)
    assert outcomes == [RunOutcome.SUCCESSFUL]
    assert calls.made == ["mail"]


@committing
def test_a_database_that_stays_away_fails_the_run_in_the_end(run, calls, monkeypatch):
    def save_step(self, *arguments, **keywords):
        calls("write")
        raise OperationalError("gone")

    def body(context: JobContext) -> None:
        context.step.run("mail", calls, "mail")

    monkeypatch.setattr(type(get_engine("default")), "save_step", save_step)
    _, outcomes = run(body)
    assert outcomes == [RunOutcome.RETRIED]
    assert calls.made.count("write") > 10


@committing
def test_a_look_at_the_steps_waits_for_its_database_and_uses_up_no_name(
    run, calls, frozen_clock, monkeypatch
):
    calls.failures = {"boom": 1}
    engine = type(get_engine("default"))
    load, answers = engine.load_steps, [OperationalError("gone")]

    def gone_once(self, *arguments):
        if answers:
            raise answers.pop()
        return load(self, *arguments)

    def body(context: JobContext) -> None:
        context.step.run("pay", calls, "pay")
        context.step.run("boom", calls, "boom")

    run(body)
    monkeypatch.setattr(engine, "load_steps", gone_once)
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert steps() == {"pay": "done", "boom": "done"}
    assert calls.made == ["pay", "boom", "boom"]


@in_a_test_case
def test_a_database_error_in_a_step_leaves_the_rest_of_a_test_alone(run, calls, frozen_clock):
    def body(context: JobContext) -> None:
        context.step.run("one", make)
        context.step.run("two", clash)

    def clash():
        calls("two")
        if len(calls.made) == 1:
            make()

    def make():
        Queue.objects.create(name="booked-1")

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.RETRIED]
    assert (steps(), booked()) == ({"one": "done", "two": "retrying"}, 1)
    assert the_job().attempt == 0
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert booked() == 1


@in_a_test_case
def test_a_database_error_in_a_step_of_an_async_job_does_neither(run, calls, frozen_clock):
    async def body(context: JobContext) -> None:
        await context.step.arun("one", make)
        await context.step.arun("two", clash)

    async def make():
        await sync_to_async(Queue.objects.create)(name="booked-1")

    async def clash():
        calls("two")
        if len(calls.made) == 1:
            await make()

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.RETRIED]
    assert (steps(), booked()) == ({"one": "done", "two": "retrying"}, 1)
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_transaction_of_another_database_does_not_matter(run, calls):
    def body(context: JobContext) -> None:
        with transaction.atomic(using="other"):
            context.step.run("one", calls, "one")

    _, outcomes = run(body)
    assert outcomes == [RunOutcome.SUCCESSFUL]


@committing
def test_a_step_costs_one_statement_and_an_atomic_one_that_more_than_its_transaction(run):
    told = {}

    def body(context: JobContext) -> None:
        context.step.run("first", int)
        for verb in ("run", "atomic"):
            with CaptureQueriesContext(connections["default"]) as queries:
                getattr(context.step, verb)(verb, int)
            told[verb] = [query["sql"].split()[0] for query in queries]

    run(body)
    assert [len(told["run"]), len(told["atomic"])] == [1, 3]
    assert told["atomic"][::2] == ["BEGIN", "COMMIT"]


@pytest.mark.postgresql
@committing
def test_behind_a_pooler_a_step_costs_no_more_and_keeps_the_projects_session(run, settings):
    settings.DJANGO_JOBS = {"POOLED": True}
    told = []

    def body(context: JobContext) -> None:
        context.step.run("first", int)
        with CaptureQueriesContext(connections["default"]) as queries:
            context.step.run("one", int)
        told.append(len(queries))
        told.append(context.step.atomic("look", look))

    def look():
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT current_setting('enable_hashjoin')")
            return cursor.fetchone()[0]

    run(body)
    assert told == [1, "on"]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_steps_are_kept_where_the_jobs_are(run, calls, settings, frozen_clock):
    settings.DJANGO_JOBS = {"DATABASE": "other"}
    calls.failures = {"two": 1}

    def body(context: JobContext) -> None:
        with transaction.atomic(using="default"):
            context.step.atomic("one", calls, "one")
            context.step.run("two", calls, "two")

    _, outcomes = run(body)
    frozen_clock.advance(timedelta(minutes=1))
    assert outcomes + run_jobs() == [RunOutcome.RETRIED, RunOutcome.SUCCESSFUL]
    assert calls.made == ["one", "two", "two"]
    assert JobStep.objects.using("other").count() == 2
    assert not JobStep.objects.using("default").exists()


@in_a_test_case
def test_a_result_changed_after_the_step_is_remembered_as_it_was_returned(run, calls, frozen_clock):
    calls.failures = {"two": 1}

    def body(context: JobContext) -> list[int]:
        found = context.step.run("one", calls, "one", [1])
        found.append(2)
        context.step.run("two", calls, "two")
        return found

    handle, _ = run(body)
    frozen_clock.advance(timedelta(minutes=1))
    run_jobs()
    handle.refresh()
    assert handle.result == [1, 2]
    assert JobStep.objects.get(key="one").result == "[1]"


@in_a_test_case
def test_a_step_that_returns_nothing_is_done_all_the_same(run, calls, frozen_clock):
    calls.failures = {"two": 1}

    def body(context: JobContext) -> None:
        assert context.step.run("one", calls, "one") is None
        context.step.run("two", calls, "two")

    run(body)
    frozen_clock.advance(timedelta(minutes=1))
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert calls.made == ["one", "two", "two"]
