"""What the buttons on the page of a job do. Whoever comes second hears that it is done already."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from django_jobs import calls, operations
from django_jobs.admin.given import number_in
from django_jobs.exceptions import JobError
from django_jobs.operations import OperationResult

Given = Mapping[str, Any]
OPERATE, ENQUEUE = "operate", "enqueue"
DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a press: `text` for the one who pressed, `log` for the admin's log.

    `job_id`: the job whose page is shown next, where it is another one.
    """

    text: str
    log: str = ""
    job_id: int | None = None


def retry(job_id: int, _given: Given, _by: str) -> Told:
    """Make it ready to run again."""
    return told(operations.retry([job_id]), job_id, _("retried"))


def run_now(job_id: int, _given: Given, _by: str) -> Told:
    """Let it run without waiting for its time."""
    return told(operations.run_now([job_id]), job_id, _("made ready"))


def cancel(job_id: int, _given: Given, _by: str) -> Told:
    """Cancel it, or ask it to stop if it runs."""
    return told(operations.cancel([job_id]), job_id, _("cancelled"))


def duplicate(job_id: int, given: Given, by: str) -> Told:
    """Enqueue the same call anew, unless somebody has done so since the page was shown."""
    seen = number_in(str(given.get("seen", "")))
    if seen is None:
        return Told(_("Nothing was done: the request was incomplete. Load the page anew."))
    try:
        copy = calls.duplicate(job_id, by=by, seen=seen)
    except (JobError, TypeError, ValueError) as problem:
        return Told(_("Nothing was enqueued: %(problem)s") % {"problem": problem})
    if copy.refused:
        what = {"why": copy.refused, "other": f" (#{copy.job_id})" if copy.job_id else ""}
        return Told(_("Nothing was enqueued: %(why)s%(other)s.") % what)
    text = _("Job #%(id)d is enqueued with the same arguments.") % {"id": copy.job_id}
    return Told(text, _("enqueued anew as #%(id)d") % {"id": copy.job_id}, copy.job_id)


VERBS: dict[str, tuple[str, Callable[[int, Given, str], Told]]] = {
    "retry": (OPERATE, retry),
    "run-now": (OPERATE, run_now),
    "cancel": (OPERATE, cancel),
    DUPLICATE: (ENQUEUE, duplicate),
}
"""What the user must be allowed, and what is done."""


def told(result: OperationResult, job_id: int, done: str) -> Told:
    """Return in words what became of an operation on one job."""
    if result.done:
        return Told(_("Job #%(id)d was %(done)s.") % {"id": job_id, "done": done}, done)
    if result.again:
        return Told(_("No change: job #%(job)s was asked to stop already.") % {"job": job_id})
    if result.asked:
        text = _("Job #%(id)d was asked to stop; it ends by itself.") % {"id": job_id}
        return Told(text, _("asked to stop"))
    why = {"id": job_id, "why": result.refused.get(job_id, "")}
    return Told(_("Job #%(id)d is unchanged: %(why)s.") % why)
