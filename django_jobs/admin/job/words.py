"""The words and shapes for states, ends of runs and steps: never colour alone."""

from collections.abc import Mapping
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from django_jobs.models import Job
from django_jobs.states import RunOutcome, StepState


class Look(NamedTuple):
    """How something is shown: a shape, a word, and a tone (of the stylesheet; "" for none)."""

    mark: str
    word: str | Promise
    tone: str = ""


STATES = {
    "scheduled": Look("◔", _("scheduled")),
    "retrying": Look("▲", _("retrying"), "warning"),
    "ready": Look("○", _("ready")),
    "running": Look("●", _("running")),
    "stopping": Look("■", _("stopping"), "warning"),
    "waiting": Look("◇", _("waiting")),
    "successful": Look("✓", _("successful"), "ok"),
    "failed": Look("✕", _("failed"), "bad"),
    "cancelled": Look("⊘", _("cancelled"), "warning"),
}

_RUNS: Mapping[str, Look] = {
    RunOutcome.SUCCESSFUL: Look("✓", _("successful"), "ok"),
    RunOutcome.FAILED: Look("✕", _("failed"), "bad"),
    RunOutcome.RETRIED: Look("✕", _("failed, tried again"), "bad"),
    RunOutcome.SNOOZED: Look("◔", _("snoozed")),
    RunOutcome.SUSPENDED: Look("◇", _("suspended")),
    RunOutcome.CANCELLED: Look("⊘", _("cancelled"), "warning"),
    RunOutcome.TIMED_OUT: Look("✕", _("timed out"), "bad"),
    RunOutcome.LOST: Look("✕", _("lost: its worker fell silent"), "bad"),
    RunOutcome.RELEASED: Look("↺", _("handed back")),
}

_STEPS: Mapping[str, Look] = {
    StepState.DONE: Look("✓", _("done"), "ok"),
    StepState.FAILED: Look("✕", _("failed"), "bad"),
    StepState.RETRYING: Look("▲", _("retrying"), "warning"),
    StepState.SLEEPING: Look("◔", _("sleeping")),
    StepState.WAITING: Look("◇", _("waiting")),
}


def look_of(job: Job) -> Look:
    """Return how the state of a job is shown."""
    return STATES.get(job.label) or _unknown(job.state)


def look_of_run(outcome: str) -> Look:
    """Return how the end of an attempt is shown."""
    return _RUNS.get(outcome) or _unknown(outcome)


def look_of_step(state: str) -> Look:
    """Return how the state of a step is shown."""
    return _STEPS.get(state) or _unknown(state)


def _unknown(word: str) -> Look:
    """Return how a word is shown that another version, or another hand, has written."""
    return Look("?", format_lazy(_("unknown: {word}"), word=word))
