"""Steps on record: written only while the claim holds, read back as they were written."""

from datetime import timedelta

import pytest
from django.db import transaction

from django_jobs.engines.base import Hold
from django_jobs.engines.orm import ORMEngine
from django_jobs.engines.steps import Memo, StepRecord
from django_jobs.models import Job, JobStep
from django_jobs.states import Later, RunOutcome, State, StepState
from tests.engines.rivals import DEADLINE, until, waits_for_lock
from tests.engines.scenes import LATER, NOON, SUCCESS

DONE = StepRecord("fetch", 1, StepState.DONE, result='{"rows":[1,"ä"]}', attempts=1, began_ago=2.0)


def sleeping(wake, key="nap"):
    return StepRecord(key, 2, StepState.SLEEPING, wake=wake)


def test_a_step_is_read_back_as_it_was_written(engine, scene):
    hold = scene.run_one()
    assert engine.save_step(hold, DONE, first=True, now=NOON) == NOON
    assert engine.load_steps(hold.job_id, NOON) == {
        "fetch": Memo(StepState.DONE, 1, {"rows": [1, "ä"]}, attempts=1)
    }
    row = JobStep.objects.get()
    assert (row.started_at, row.finished_at) == (NOON - timedelta(seconds=2), NOON)
    assert row.claim_id == hold.claim_id


def test_a_step_without_a_result_has_none(engine, scene):
    hold = scene.run_one()
    engine.save_step(hold, StepRecord("void", 1, StepState.DONE), first=True, now=NOON)
    assert engine.load_steps(hold.job_id, NOON)["void"].result is None


def test_the_first_step_marks_the_job(engine, scene):
    hold = scene.run_one()
    engine.save_step(hold, DONE, first=True, now=NOON)
    assert Job.objects.get().has_steps
    scene.lose()
    (again,) = scene.claim(now=LATER)
    assert again.has_steps


def test_a_job_without_steps_says_so_when_it_is_claimed(engine, scene):
    scene.enqueue()
    assert [job.has_steps for job in scene.claim()] == [False]


@pytest.mark.parametrize("first", [True, False])
def test_a_step_of_a_lost_claim_is_refused_and_nothing_is_written(engine, scene, first):
    hold = scene.run_one()
    scene.lose()
    assert engine.save_step(hold, DONE, first=first, now=LATER) is None
    scene.claim(now=LATER)
    assert engine.save_step(hold, DONE, first=first, now=LATER) is None
    assert not JobStep.objects.exists()
    assert not Job.objects.get().has_steps


def test_a_step_of_a_job_that_is_gone_is_refused(engine, db):
    assert engine.save_step(Hold(999, 999), DONE, first=True, now=NOON) is None


def test_a_step_that_is_tried_again_has_one_row(engine, scene):
    hold = scene.run_one()
    failing = StepRecord(
        "fetch", 1, StepState.RETRYING, attempts=1, error_type="ValueError", error="no\x00such"
    )
    engine.save_step(hold, failing, first=True, now=NOON)
    memo = engine.load_steps(hold.job_id, NOON)["fetch"]
    assert (memo.state, memo.attempts, memo.error_type) == (StepState.RETRYING, 1, "ValueError")
    assert "\x00" not in memo.error
    engine.save_step(hold, DONE, first=False, now=LATER)
    memo = engine.load_steps(hold.job_id, NOON)["fetch"]
    assert (memo.state, memo.error_type, memo.result) == (StepState.DONE, "", {"rows": [1, "ä"]})


def test_a_sleep_is_over_by_the_clock_that_decides(engine, scene):
    hold = scene.run_one()
    nap = timedelta(seconds=30)
    assert engine.save_step(hold, sleeping(Later(30.0)), first=True, now=NOON) == NOON + nap
    assert not engine.load_steps(hold.job_id, NOON + nap / 2)["nap"].due
    assert engine.load_steps(hold.job_id, NOON + nap)["nap"].due


def test_a_sleep_may_end_at_an_instant(engine, scene):
    hold = scene.run_one()
    assert engine.save_step(hold, sleeping(Later(instant=LATER)), first=True, now=NOON) == LATER
    assert engine.load_steps(hold.job_id, NOON)["nap"].wake_at == LATER


def test_what_is_done_stays_done_whatever_is_written_later(engine, scene):
    hold = scene.run_one()
    engine.save_step(hold, DONE, first=True, now=NOON)
    failing = StepRecord("fetch", 1, StepState.RETRYING, attempts=2, error="late")
    for late in (failing, DONE):
        assert engine.save_step(hold, late, first=False, now=LATER) is None
    memo = engine.load_steps(hold.job_id, NOON)["fetch"]
    assert (memo.state, memo.attempts) == (StepState.DONE, 1)


def test_a_step_that_is_done_makes_up_for_losses_and_no_other_does(engine, scene):
    hold = scene.run_one()
    Job.objects.update(lost_count=2)
    engine.save_step(hold, sleeping(Later(30.0)), first=True, now=NOON)
    assert Job.objects.get().lost_count == 2
    engine.save_step(hold, DONE, first=True, now=NOON)
    assert Job.objects.get().lost_count == 0


def test_a_step_of_a_job_that_was_asked_to_stop_is_still_written(engine, scene):
    hold = scene.run_one()
    engine.ask_to_stop([hold.job_id], NOON)
    assert engine.save_step(hold, DONE, first=True, now=NOON) == NOON


@pytest.mark.parametrize("to", [State.READY, State.CANCELLED])
def test_a_step_of_a_job_that_was_taken_away_is_refused(engine, scene, to):
    hold = scene.run_one()
    engine.take([hold.job_id], to, RunOutcome.RELEASED, NOON)
    assert engine.save_step(hold, DONE, first=True, now=NOON) is None
    scene.claim(now=LATER)
    assert engine.save_step(hold, DONE, first=True, now=LATER) is None
    assert not JobStep.objects.exists()


def test_all_steps_are_read_and_one_is_written_in_one_statement(
    engine, scene, django_assert_num_queries
):
    hold = scene.run_one()
    engine.save_step(hold, DONE, first=True, now=NOON)
    with django_assert_num_queries(1):
        engine.load_steps(hold.job_id)
    if type(engine) is not ORMEngine:
        with django_assert_num_queries(1):
            engine.save_step(hold, sleeping(Later(30.0)), first=False)


def test_forgetting_keeps_what_is_finished_unless_told_otherwise(engine, scene):
    hold = scene.run_one()
    for number, state in enumerate(StepState):
        step = StepRecord(state.value, number, state, wake=Later(5.0))
        engine.save_step(hold, step, first=number == 0, now=NOON)
    engine.forget_steps([hold.job_id], finished=False)
    assert set(engine.load_steps(hold.job_id, NOON)) == {"done", "sleeping", "waiting"}
    engine.forget_steps([hold.job_id], finished=True)
    assert engine.load_steps(hold.job_id, NOON) == {}


def test_pruning_a_job_takes_its_steps_along(engine, scene):
    hold = scene.run_one()
    engine.save_step(hold, DONE, first=True, now=NOON)
    scene.finish(hold, end=SUCCESS)
    engine.prune(LATER + timedelta(days=1), LATER, 100)
    assert not JobStep.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_step_commits_with_the_transaction_it_joins(engine, scene):
    hold = scene.run_one()
    with engine.transaction():
        engine.save_step(hold, DONE, first=True, now=NOON)
        transaction.set_rollback(True)
    assert engine.load_steps(hold.job_id, NOON) == {}
    with engine.transaction():
        engine.save_step(hold, DONE, first=True, now=NOON)
    assert set(engine.load_steps(hold.job_id, NOON)) == {"fetch"}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_job_whose_step_is_being_written_is_left_alone_by_rescue(engine, scene, rival):
    hold = scene.run_one()
    writer = rival()
    writer.begin()
    writer.verb("save_step", hold, DONE, first=True, now=NOON)
    engine.expire("w1", LATER)
    assert engine.rescue(100, LATER) == []
    writer.commit()
    assert [job.job_id for job in engine.rescue(100, LATER)] == [hold.job_id]
    assert Job.objects.get().state == State.READY
    assert set(engine.load_steps(hold.job_id, NOON)) == {"fetch"}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("to", [State.READY, State.CANCELLED])
def test_a_step_that_waits_for_an_operator_who_takes_the_job_is_refused(
    engine, scene, rival, first, to
):
    hold = scene.run_one()
    writer = rival()
    with engine.transaction():
        engine.take([hold.job_id], to, RunOutcome.RELEASED, NOON)
        pid = writer.pid
        writing = writer.start_verb("save_step", hold, DONE, first=first, now=LATER)
        until(lambda: waits_for_lock(pid), "the step to wait")
    assert writing.result(DEADLINE) is None
    assert not JobStep.objects.exists()
    assert Job.objects.get().state == to


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", [True, False])
def test_a_step_that_waits_for_an_operator_who_asks_to_stop_is_written(engine, scene, rival, first):
    hold = scene.run_one()
    writer = rival()
    with engine.transaction():
        engine.ask_to_stop([hold.job_id], NOON)
        pid = writer.pid
        writing = writer.start_verb("save_step", hold, DONE, first=first, now=LATER)
        until(lambda: waits_for_lock(pid), "the step to wait")
    assert writing.result(DEADLINE) == LATER
    assert Job.objects.get().cancel_requested_at == NOON


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("to", [State.READY, State.CANCELLED])
def test_an_operator_who_waits_for_a_step_takes_the_job_with_it(engine, scene, rival, to):
    hold = scene.run_one()
    operator = rival()
    with engine.transaction():
        engine.save_step(hold, DONE, first=True, now=NOON)
        pid = operator.pid
        arguments = [hold.job_id], to, RunOutcome.RELEASED, LATER
        taking = operator.start_verb("take", *arguments)
        until(lambda: waits_for_lock(pid), "the operator to wait")
    assert taking.result(DEADLINE) == {hold.job_id}
    assert (Job.objects.get().state, JobStep.objects.count()) == (to, 1)
    assert Job.objects.get().has_steps
