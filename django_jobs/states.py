"""Owns what a job can be and how it moves from one state to the next.

Decides only: it reads no clock, opens no connection, writes no row. Engines write
what is decided here, and nobody else assigns a state.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from django.utils.translation import gettext_lazy, pgettext_lazy


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

    `waits`: for another try of a step, which uses up no attempt of the job. A state that is none
    of the seven is its own word: whoever finds it in a row is shown it.
    """
    if state == State.RUNNING and cancel_requested:
        return "stopping"
    if state == State.SCHEDULED and (attempt > 0 or waits):
        return "retrying"
    return str(state).lower()


WORDS = {
    "scheduled": gettext_lazy("scheduled"),
    "ready": gettext_lazy("ready"),
    "running": gettext_lazy("running"),
    "waiting": gettext_lazy("waiting"),
    "successful": gettext_lazy("successful"),
    "failed": gettext_lazy("failed"),
    "cancelled": gettext_lazy("cancelled"),
    "stopping": gettext_lazy("stopping"),
    "retrying": gettext_lazy("retrying"),
    "retried": gettext_lazy("retried"),
    "snoozed": gettext_lazy("snoozed"),
    "suspended": gettext_lazy("suspended"),
    "timed out": gettext_lazy("timed out"),
    "lost": gettext_lazy("lost"),
    "released": gettext_lazy("released"),
    "quiet": gettext_lazy("quiet"),
    "stop": gettext_lazy("stop"),
    "done": gettext_lazy("done"),
    "sleeping": gettext_lazy("sleeping"),
    "fail": gettext_lazy("fail"),
    "ignore": gettext_lazy("ignore"),
    "continue": gettext_lazy("continue"),
    "skip": gettext_lazy("skip"),
    "one": pgettext_lazy("missed time", "one"),
    "all": gettext_lazy("all"),
    "queue one": gettext_lazy("queue one"),
    "queue all": gettext_lazy("queue all"),
    "cancel old": gettext_lazy("cancel old"),
    "allow": gettext_lazy("allow"),
    "on time": gettext_lazy("on time"),
    "caught up": gettext_lazy("caught up"),
    "skipped": gettext_lazy("skipped"),
    "missed": gettext_lazy("missed"),
    "backfilled": gettext_lazy("backfilled"),
    "manual": gettext_lazy("manual"),
    "retry": gettext_lazy("retry"),
    "cancel": gettext_lazy("cancel"),
    "delete": gettext_lazy("delete"),
}
"""What `label` and `spoken` return, and how that is said in the language that is active."""


def as_choices(names: type[StrEnum]) -> list[tuple[str, Any]]:
    """Return the members of `names` as the choices of a model field, in words."""
    return [(member.value, WORDS[word] if (word := spoken(member)) else "") for member in names]


def spoken(name: str) -> str:
    """Return a member of ours as plain words, in English; `WORDS` has them in other languages.

    A text that is no member any more becomes words, too.
    """
    return name.lower().replace("_", " ")
