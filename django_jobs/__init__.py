"""Background jobs for Django, in the project's own database.

The public names. They are resolved when they are first used, so that importing `django_jobs`
needs neither settings nor the app registry.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_jobs.about import jobs_about
    from django_jobs.batches import Batch, Flow
    from django_jobs.context import JobContext
    from django_jobs.declarations import cron, every
    from django_jobs.definitions import job
    from django_jobs.enqueueing import aenqueue, aenqueue_many, enqueue, enqueue_many
    from django_jobs.events import asend_event, emit_on, send_event
    from django_jobs.exceptions import (
        Cancel,
        JobError,
        NonRetriable,
        RetryAfter,
        Snooze,
        StepFailed,
    )
    from django_jobs.retries import Backoff
    from django_jobs.states import State
    from django_jobs.subscriptions import Event, when

__version__ = "0.1.0"

_PLACES = {
    "Backoff": "retries",
    "Batch": "batches",
    "Cancel": "exceptions",
    "Event": "subscriptions",
    "Flow": "batches",
    "JobContext": "context",
    "JobError": "exceptions",
    "NonRetriable": "exceptions",
    "RetryAfter": "exceptions",
    "Snooze": "exceptions",
    "State": "states",
    "StepFailed": "exceptions",
    "aenqueue": "enqueueing",
    "aenqueue_many": "enqueueing",
    "asend_event": "events",
    "cron": "declarations",
    "emit_on": "events",
    "enqueue": "enqueueing",
    "enqueue_many": "enqueueing",
    "every": "declarations",
    "job": "definitions",
    "jobs_about": "about",
    "send_event": "events",
    "when": "subscriptions",
}

__all__ = [
    "Backoff",
    "Batch",
    "Cancel",
    "Event",
    "Flow",
    "JobContext",
    "JobError",
    "NonRetriable",
    "RetryAfter",
    "Snooze",
    "State",
    "StepFailed",
    "aenqueue",
    "aenqueue_many",
    "asend_event",
    "cron",
    "emit_on",
    "enqueue",
    "enqueue_many",
    "every",
    "job",
    "jobs_about",
    "send_event",
    "when",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
