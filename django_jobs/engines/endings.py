"""What the end of a run writes into the rows. Pure: a Finish goes in, column values come out.

Engines that decide in the database say the same in SQL; the conformance suite compares them.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django_jobs.engines.base import Finish
from django_jobs.serializers import clean_text
from django_jobs.states import FINAL, RunOutcome, State

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The `run_at` of a job that waits for an event without a deadline."""

WORKER_LOST = "worker lost"
TAKEN_AWAY = "taken away"
CHILD_FAILED = "child failed"
"""What stands in `error_type` of a run that somebody else ended; no class has such a name."""

LOST_FINGERPRINT = "worker-lost"
CHILD_FINGERPRINT = "child-failed"
LOST_TEXTS = {
    State.READY: (
        "Worker {worker} stopped answering (its lease ended at {deadline} UTC); the job was "
        "returned to the queue, with its attempt given back."
    ),
    State.FAILED: (
        "Worker {worker} stopped answering (its lease ended at {deadline} UTC); that happened to "
        "the job more often than max_lost allows, so it failed."
    ),
    State.CANCELLED: (
        "Worker {worker} stopped answering (its lease ended at {deadline} UTC); the job had been "
        "asked to stop, so it was cancelled."
    ),
}
"""What the JobRun of a lost attempt says, by the state that the job is in afterwards."""

TAKEN_TEXTS = {
    State.READY: "Taken away from worker {worker} by force; the job was returned to the queue.",
    State.CANCELLED: "Taken away from worker {worker} by force; the job was cancelled.",
}
"""The same for a run that an operator ended by force."""


class ErrorTexts(NamedTuple):
    """The error columns of a JobRun: clean, and no longer than the columns."""

    error_type: str = ""
    error: str = ""
    error_text: str = ""
    traceback: str = ""
    fingerprint: str = ""


class JobEnding(NamedTuple):
    """New values of a job row. `None` in `lost_count`, `run_at`, `fingerprint`: unchanged."""

    state: State
    attempt: int
    lost_count: int | None
    run_at: datetime | None
    finished_at: datetime | None
    fingerprint: str | None
    waiting_for: str | None


class RunEnding(NamedTuple):
    """The values of the JobRun; `result` is JSON text."""

    job_id: int
    claim_id: int
    attempt: int
    outcome: RunOutcome
    started_at: datetime | None
    finished_at: datetime
    worker: str
    result: str | None
    error_type: str
    error: str
    error_text: str
    traceback: str
    fingerprint: str
    log: str


NO_ERROR = ErrorTexts()


def error_texts(finish: Finish) -> ErrorTexts:
    """Return the error columns: of the exception, or of the reason the job was stopped for."""
    error, reason = finish.transition.error, finish.transition.reason
    if error is None and not reason:
        return NO_ERROR
    if error is None:
        reason = clean_text(reason)
        return ErrorTexts(error=reason.partition("\n")[0][:255], error_text=reason)
    return ErrorTexts(
        error_type=clean_text(error.type)[:255],
        error=clean_text(error.message).partition("\n")[0][:255],
        error_text=clean_text(error.text),
        traceback=clean_text(error.traceback),
        fingerprint=clean_text(error.fingerprint)[:16],
    )


def lost_text(state: State, worker: str, deadline: datetime) -> str:
    """Return what the JobRun of an attempt says that was lost under a claim until `deadline`."""
    until = f"{deadline.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return LOST_TEXTS[state].format(worker=worker, deadline=until)


def is_stopped(finish: Finish, *, asked_to_stop: bool) -> bool:
    """Say whether a request to cancel replaces this ending: it does unless that is final."""
    return asked_to_stop and finish.transition.to not in FINAL


def next_run_at(finish: Finish, now: datetime) -> datetime | None:
    """Return the new `run_at`, `None` for a job that does not run again by itself."""
    transition = finish.transition
    if transition.to in FINAL:
        return None
    again = transition.again
    if again is None:
        return NEVER if transition.to is State.WAITING else now
    return again.instant or now + timedelta(seconds=max(again.seconds, 0.0))


def job_ending(
    finish: Finish, attempt: int, now: datetime, *, asked_to_stop: bool, woken: bool = False
) -> JobEnding:
    """Return what `finish` makes of a job that is in its attempt number `attempt`.

    `woken`: what it is about to wait for has come already.
    """
    transition = finish.transition
    stopped = is_stopped(finish, asked_to_stop=asked_to_stop)
    state = State.CANCELLED if stopped else transition.to
    on = woken and state is State.WAITING
    successful = state is State.SUCCESSFUL
    fingerprint = "" if successful else error_texts(finish).fingerprint or None
    return JobEnding(
        state=State.READY if on else state,
        attempt=attempt if transition.counts else attempt - 1,
        lost_count=0 if successful else None,
        run_at=now if on else next_run_at(finish, now),
        finished_at=now - timedelta(seconds=finish.ended_ago) if state in FINAL else None,
        fingerprint=fingerprint,
        waiting_for=None if on or state in FINAL else (transition.waits_for or "")[:255] or None,
    )


def run_ending(
    finish: Finish, attempt: int, worker: str, now: datetime, *, asked_to_stop: bool
) -> RunEnding | None:
    """Return the JobRun of `finish`, `None` for a suspension, which has none."""
    transition = finish.transition
    stopped = is_stopped(finish, asked_to_stop=asked_to_stop)
    outcome = RunOutcome.CANCELLED if stopped else transition.outcome
    if outcome is RunOutcome.SUSPENDED and not finish.log:
        return None
    ago = finish.began_ago
    return RunEnding(
        finish.hold.job_id,
        finish.hold.claim_id,
        attempt,
        outcome,
        None if ago is None else now - timedelta(seconds=ago),
        now - timedelta(seconds=finish.ended_ago),
        worker,
        transition.result,
        *error_texts(finish),
        clean_text(finish.log),
    )


def is_repeated(finish: Finish, outcome: str, error_type: str) -> bool:
    """Say whether a run on record is that of `finish` itself, whose reply was lost."""
    if error_type == TAKEN_AWAY:
        return False
    asked = outcome == RunOutcome.CANCELLED and finish.transition.to not in FINAL
    return asked or outcome == finish.transition.outcome
