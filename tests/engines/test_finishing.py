"""Promises of `finish`: what it writes."""

import json
from datetime import timedelta

import pytest

from django_jobs.engines.base import Finish
from django_jobs.engines.endings import NEVER
from django_jobs.models import Job, JobLog, JobRun
from django_jobs.states import (
    ErrorRecord,
    Interrupted,
    Later,
    Raised,
    Snoozed,
    State,
    Stopped,
    Succeeded,
    Suspended,
    TimedOut,
    after_run,
)
from tests.engines.scenes import (
    ERROR,
    FAILURE,
    LATER,
    NOON,
    RETRY,
    SNOOZE,
    SUCCESS,
    SUSPENSION,
    job_of,
    run_of,
)

INSTANT = NOON + timedelta(days=2)


def test_a_success_ends_the_job_and_writes_its_run(scene):
    hold = scene.run_one()
    Job.objects.update(lost_count=2, fingerprint="old", unknown_since=NOON)
    finished = scene.finish(hold, worker="web-1", began_ago=5.0, ended_ago=0.5)
    assert finished.applied == {hold}
    assert not finished.busy | finished.fenced
    job, run = job_of(hold), run_of(hold)
    assert (job.state, job.claim_id, job.attempt) == (State.SUCCESSFUL, None, 1)
    assert (job.lost_count, job.fingerprint, job.unknown_since) == (0, "", None)
    assert job.run_at == NOON
    assert job.finished_at == run.finished_at == LATER - timedelta(seconds=0.5)
    assert run.started_at == LATER - timedelta(seconds=5)
    assert (run.outcome, run.attempt, run.worker) == ("successful", 1, "web-1")
    assert (run.result, run.error, run.error_text, run.log) == (None, "", "", "")


def test_a_run_that_never_began_has_no_start(scene):
    hold = scene.run_one()
    scene.finish(hold, began_ago=None)
    assert run_of(hold).started_at is None


@pytest.mark.parametrize(
    "result",
    [
        {"a": [1, 2.5, None, True], "\u00e4": "\u2713\U0001f600"},
        'quotes " and \\ backslashes \\" and {braces}, %s %% \'',
        "NULL",
        [],
        0,
        False,
    ],
    ids=repr,
)
def test_a_result_arrives_as_it_was_returned(scene, result):
    hold = scene.run_one()
    end = after_run(Succeeded(json.dumps(result, ensure_ascii=False)))
    scene.finish(hold, end=end)
    assert run_of(hold).result == result
    other = scene.run_one()
    scene.finish(other, end=end, log="with a log")
    assert run_of(other).result == result


def test_a_failure_keeps_the_error_on_the_run_and_its_fingerprint_on_the_job(scene):
    hold = scene.run_one()
    Job.objects.update(lost_count=2)
    scene.finish(hold, end=FAILURE)
    job, run = job_of(hold), run_of(hold)
    assert (job.state, job.attempt, job.lost_count) == (State.FAILED, 1, 2)
    assert (job.fingerprint, job.finished_at) == ("f1", LATER)
    assert (run.outcome, run.error_type, run.error) == ("failed", "ValueError", "no such user")
    assert (run.error_text, run.traceback) == ("no such user", "Traceback …")
    assert run.fingerprint == "f1"


@pytest.mark.parametrize(
    ("outcome", "state", "recorded", "attempt", "run_at"),
    [
        (Raised(ERROR, Later(30.0)), "SCHEDULED", "retried", 1, LATER + timedelta(seconds=30)),
        (Raised(ERROR, Later(instant=INSTANT)), "SCHEDULED", "retried", 1, INSTANT),
        (TimedOut(ERROR, Later(0.0)), "SCHEDULED", "timed_out", 1, LATER),
        (TimedOut(ERROR), "FAILED", "timed_out", 1, NOON),
        (Snoozed(Later(90.0)), "SCHEDULED", "snoozed", 0, LATER + timedelta(seconds=90)),
        (Interrupted(), "READY", "released", 0, LATER),
        (Stopped(), "CANCELLED", "cancelled", 1, NOON),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_ending_writes_its_own_state(scene, outcome, state, recorded, attempt, run_at):
    hold = scene.run_one()
    scene.finish(hold, end=after_run(outcome))
    job, run = job_of(hold), run_of(hold)
    assert (job.state, job.attempt, job.run_at) == (state, attempt, run_at)
    assert (job.finished_at is not None) == (state in {"FAILED", "CANCELLED"})
    assert (run.outcome, run.attempt) == (recorded, 1)


@pytest.mark.parametrize(
    ("until", "run_at"),
    [
        (Later(30.0), LATER + timedelta(seconds=30)),
        (Later(instant=INSTANT), INSTANT),
        (None, NEVER),
    ],
    ids=["seconds", "instant", "no deadline"],
)
def test_a_suspension_waits_for_its_event_and_writes_no_run(scene, until, run_at):
    hold = scene.run_one()
    finished = scene.finish(hold, end=after_run(Suspended(until, "order/paid")))
    job = job_of(hold)
    assert finished.applied == {hold}
    assert (job.state, job.attempt, job.run_at) == (State.WAITING, 0, run_at)
    assert job.waiting_for == "order/paid"
    assert not JobRun.objects.exists()


def test_the_reason_of_a_stop_is_kept(scene):
    hold = scene.run_one()
    scene.finish(hold, end=after_run(Stopped("out of stock\nsince Monday")))
    run = run_of(hold)
    assert (run.error, run.error_text) == ("out of stock", "out of stock\nsince Monday")


def test_text_that_a_database_refuses_is_cleaned_and_cut(scene):
    nasty = 'NUL \x00 lone \ud800 "quoted" \\back {brace} \u2713'
    error = ErrorRecord("E" * 300 + "\x00", nasty * 20, nasty, nasty, "f" * 40)
    hold, neighbour = scene.run(2)
    finishes = [
        Finish(hold, after_run(Raised(error)), 1.0, log=nasty),
        Finish(neighbour, after_run(Stopped(nasty)), 1.0),
    ]
    assert scene.engine.finish(finishes, "w1", LATER).applied == {hold, neighbour}
    clean = 'NUL \ufffd lone ? "quoted" \\back {brace} \u2713'
    run = run_of(hold)
    assert (run.error_text, run.traceback, run.log) == (clean, clean, clean)
    assert (len(run.error), len(run.error_type), run.fingerprint) == (255, 255, "f" * 16)
    assert job_of(hold).state == State.FAILED
    assert run_of(neighbour).error_text == clean


def test_the_log_moves_into_the_run(scene):
    hold, other = scene.run(2)
    for each in (hold, other):
        JobLog.objects.create(job_id=each.job_id, claim_id=each.claim_id, at=NOON, line="x")
    JobLog.objects.create(job_id=hold.job_id, claim_id=hold.claim_id - 1, at=NOON, line="older")
    scene.finish(hold, log="all\nlines")
    scene.finish(other)
    assert run_of(hold).log == "all\nlines"
    left = set(JobLog.objects.values_list("job_id", "claim_id"))
    assert left == {other, (hold.job_id, hold.claim_id - 1)}


@pytest.mark.parametrize("end", [RETRY, SNOOZE, SUSPENSION, after_run(Interrupted())])
def test_a_request_to_stop_turns_every_ending_that_is_not_final_into_cancelled(scene, end):
    hold = scene.run_one()
    scene.engine.ask_to_stop([hold.job_id], NOON)
    scene.finish(hold, end=end)
    job, run = job_of(hold), run_of(hold)
    assert (job.state, job.finished_at) == (State.CANCELLED, LATER)
    assert (job.cancel_requested_at, job.waiting_for) == (NOON, None)
    assert run.outcome == "cancelled"
    assert run.error_text == (end.error.text if end.error else "")


@pytest.mark.parametrize(("end", "state"), [(SUCCESS, "SUCCESSFUL"), (FAILURE, "FAILED")])
def test_a_final_ending_wins_over_a_request_to_stop(scene, end, state):
    hold = scene.run_one()
    scene.engine.ask_to_stop([hold.job_id], NOON)
    scene.finish(hold, end=end)
    assert job_of(hold).state == state
    assert run_of(hold).outcome == end.outcome


def test_a_batch_of_all_endings_is_written_as_each_of_them_says(scene):
    holds = scene.run(6)
    ends = [SUCCESS, FAILURE, RETRY, SNOOZE, SUSPENSION, after_run(Succeeded('"x"'))]
    finishes = [Finish(hold, end, 1.0) for hold, end in zip(holds, ends, strict=True)]
    finished = scene.engine.finish(finishes[::-1], "w1", LATER)
    assert finished.applied == set(holds)
    assert [job_of(hold).state for hold in holds] == [end.to for end in ends]


def test_finishing_nothing_is_fine(scene):
    finished = scene.engine.finish([], "w1", LATER)
    assert not finished.applied | finished.busy | finished.fenced


def test_the_clock_of_the_database_is_used_when_no_instant_is_given(scene):
    scene.enqueue(now=None)
    (job,) = scene.claim(now=None)
    scene.finish(job.hold, now=None, end=RETRY)
    row, run = job_of(job.hold), run_of(job.hold)
    assert run.finished_at - run.started_at == timedelta(seconds=5)
    assert row.run_at - run.finished_at == timedelta(seconds=30)
    assert row.run_at != LATER + timedelta(seconds=30)
