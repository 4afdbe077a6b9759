"""Owns what a job can be and how it moves from one state to the next.

Decides only: it reads no clock, opens no connection, writes no row. Engines write
what is decided here, and nobody else assigns a state.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from django.utils.translation import gettext_lazy, gettext_noop


class State(StrEnum):
    """Where a job stands. Four of the names are Django's own (`django.tasks`)."""

    SCHEDULED = "SCHEDULED"
    READY = "READY"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    SUCCESSFUL = "SUCCESSFUL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


FINAL = frozenset({State.SUCCESSFUL, State.FAILED, State.CANCELLED})
LIVE = frozenset(State) - FINAL
IDLE = frozenset({State.SCHEDULED, State.READY, State.WAITING})

MOVES: dict[State, frozenset[State]] = {
    State.SCHEDULED: frozenset({State.READY, State.CANCELLED}),
    State.READY: frozenset({State.CANCELLED}),
    State.WAITING: frozenset({State.CANCELLED}),
    State.RUNNING: frozenset({State.READY, State.CANCELLED}),
    State.SUCCESSFUL: frozenset({State.READY}),
    State.FAILED: frozenset({State.READY}),
    State.CANCELLED: frozenset({State.READY}),
}
"""What an operator may do to a job in each state (the worker's moves are `after_run`)."""


class RunOutcome(StrEnum):
    """How one attempt ended, as its `JobRun` records it."""

    SUCCESSFUL = "successful"
    FAILED = "failed"
    RETRIED = "retried"
    SNOOZED = "snoozed"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    RELEASED = "released"


class Wish(StrEnum):
    """What somebody wants of a worker."""

    NONE = ""
    QUIET = "quiet"
    """It claims nothing, until that is undone; what it holds and has begun, it ends."""
    STOP = "stop"
    """It claims nothing, and exits when what it has begun has ended, however long that takes."""


class StepState(StrEnum):
    """How far a step of a job is."""

    DONE = "done"
    FAILED = "failed"
    """It has used up its attempts; the job was told with `StepFailed`."""
    RETRYING = "retrying"
    SLEEPING = "sleeping"
    WAITING = "waiting"
    """For an event, or for the end of another job."""


class IfFailed(StrEnum):
    """What it means to the parent of a flow that a child has failed or was cancelled."""

    FAIL = "fail"
    """The parent fails at once."""
    IGNORE = "ignore"
    """Nothing: the child has ended, that is all."""
    CONTINUE = "continue"
    """The parent runs at once; children that have not ended go on."""


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """An exception, already reduced to text that is safe to store."""

    type: str
    message: str
    text: str
    traceback: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Later:
    """When a job may run again: a number of seconds from the end of its run, or an instant.

    Seconds are added by the database to its own clock, so that a worker whose clock is
    wrong does not move them; an instant is what the user asked for and is stored as it is.
    """

    seconds: float = 0.0
    instant: datetime | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The function returned; `result` is its value as JSON text, `None` for nothing."""

    result: str | None = None


@dataclass(frozen=True, slots=True)
class Raised:
    """The function raised. Without `again` the job is final.

    `charged`: an attempt of the job is used up; not when a step has attempts of its own. `step`
    says in words which one of which step.
    """

    error: ErrorRecord
    again: Later | None = None
    charged: bool = True
    step: str = ""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The run exceeded its time limit. Without `again` the job is final."""

    error: ErrorRecord
    again: Later | None = None


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The function asked to be run later, at no cost."""

    until: Later


@dataclass(frozen=True, slots=True)
class Suspended:
    """The function waits inside a step for an instant or an event, at no cost."""

    until: Later | None
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """The job was cancelled, by itself or because it was asked to stop."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The worker shut down under the job; it runs again elsewhere, at no cost."""


Outcome = Succeeded | Raised | TimedOut | Snoozed | Suspended | Stopped | Interrupted


class Transition(NamedTuple):
    """What an engine has to write when a run has ended."""

    to: State
    outcome: RunOutcome
    counts: bool = True
    again: Later | None = None
    result: str | None = None
    error: ErrorRecord | None = None
    reason: str = ""
    waits_for: str | None = None


def after_run(outcome: Outcome) -> Transition:  # noqa: C901, PLR0911 - one case per outcome
    """Return the one transition that `outcome` leads to."""
    match outcome:
        case Succeeded(result):
            return Transition(State.SUCCESSFUL, RunOutcome.SUCCESSFUL, result=result)
        case Raised(error, None):
            return Transition(State.FAILED, RunOutcome.FAILED, error=error)
        case Raised(error, again, charged, step):
            to, how = State.SCHEDULED, RunOutcome.RETRIED
            text = f"another try of {step}" if step else None
            return Transition(
                to, how, counts=charged, again=again, error=error, reason=step, waits_for=text
            )
        case TimedOut(error, again):
            to = State.FAILED if again is None else State.SCHEDULED
            return Transition(to, RunOutcome.TIMED_OUT, again=again, error=error)
        case Snoozed(until):
            return Transition(State.SCHEDULED, RunOutcome.SNOOZED, counts=False, again=until)
        case Suspended(until, what):
            return Transition(
                State.WAITING, RunOutcome.SUSPENDED, counts=False, again=until, waits_for=what
            )
        case Stopped(reason):
            return Transition(State.CANCELLED, RunOutcome.CANCELLED, reason=reason)
        case Interrupted():
            return Transition(State.READY, RunOutcome.RELEASED, counts=False)


def may_move(state: State | str, to: State) -> bool:
    """Say whether an operator may move a job from `state` to `to`."""
    return to in MOVES[State(state)]


def label(
    state: State | str, attempt: int, *, cancel_requested: bool = False, waits: bool = False
) -> str:
    """Return the word people read for a state: a finer one than the seven stored ones.

    `waits`: for another try of a step, which uses up no attempt of the job.
    """
    state = State(state)
    if state is State.RUNNING and cancel_requested:
        return "stopping"
    if state is State.SCHEDULED and (attempt > 0 or waits):
        return "retrying"
    return state.value.lower()


SPOKEN = frozenset(
    (
        *(gettext_noop("scheduled"), gettext_noop("ready"), gettext_noop("running")),
        *(gettext_noop("waiting"), gettext_noop("successful"), gettext_noop("failed")),
        *(gettext_noop("cancelled"), gettext_noop("stopping"), gettext_noop("retrying")),
        *(gettext_noop("retried"), gettext_noop("snoozed"), gettext_noop("suspended")),
        *(gettext_noop("timed out"), gettext_noop("lost"), gettext_noop("released")),
        *(gettext_noop("quiet"), gettext_noop("stop"), gettext_noop("done")),
        *(gettext_noop("sleeping"), gettext_noop("fail"), gettext_noop("ignore")),
        *(gettext_noop("continue"), gettext_noop("skip"), gettext_noop("one")),
        *(gettext_noop("all"), gettext_noop("queue one"), gettext_noop("queue all")),
        *(gettext_noop("cancel old"), gettext_noop("allow"), gettext_noop("on time")),
        *(gettext_noop("caught up"), gettext_noop("skipped"), gettext_noop("missed")),
        *(gettext_noop("backfilled"), gettext_noop("manual")),
        *(gettext_noop("retry"), gettext_noop("cancel"), gettext_noop("delete")),
    )
)
"""The words of our names, `label`'s among them, where those who collect texts find them."""


def as_choices(names: type[StrEnum]) -> list[tuple[str, Any]]:
    """Return the members of `names` as the choices of a model field, in words."""
    return [
        (member.value, gettext_lazy(word) if (word := spoken(member)) else "") for member in names
    ]


def spoken(name: StrEnum) -> str:
    """Return a member of ours as plain words, which the catalogue of a language knows."""
    return name.value.lower().replace("_", " ")
