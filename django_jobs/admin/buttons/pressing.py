"""What the buttons of the dashboard do. Whoever comes second hears that it is done already.

Everything goes through `operations`, is told to the one who pressed and written to the admin's
log, once per press.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_jobs import bulk, clock, operations
from django_jobs.admin.given import instant_in, number_in
from django_jobs.conf import get_settings
from django_jobs.display import grouped
from django_jobs.models import Claim, Job, Queue
from django_jobs.operations import OperationResult
from django_jobs.states import State

AT_ONCE = bulk.AT_ONCE
"""One press moves no more jobs than this; more retries are left to the workers."""

MINUTES = (15, 60, 4 * 60, 12 * 60, 24 * 60)
"""After so long a queue can be made to resume by itself."""

SHOWN_REASONS = 3
MOST_CLAIMS = 1_000

Given = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pressed:
    """What became of a press: `text` for the one who pressed, `log` for the admin's log.

    `target`: the row it was done to, if it was one; `what` names it, or them, in the log.
    `operation`: what the workers have to do yet.
    """

    text: str
    log: str = ""
    what: str = ""
    target: int | None = None
    operation: int | None = None


def retry(given: Given, _by: str) -> Pressed:
    """Retry one failed job."""
    job_id = number_in(given.get("job", ""))
    if job_id is None:
        return broken()
    told = told_of(operations.retry([job_id]), _("retried"), f"#{job_id}")
    return replace(told, target=job_id)


def retry_all(given: Given, by: str) -> Pressed:
    """Retry the failures of one kind that the page had seen; more than 500 by the workers."""
    seen = instant_in(given.get("seen", ""))
    fingerprint = given.get("fingerprint")
    if seen is None or fingerprint is None:
        return broken()
    alias = get_settings().DATABASE
    failed = Job.objects.using(alias).filter(
        state=State.FAILED, fingerprint=fingerprint, finished_at__lte=seen
    )
    ids = list(failed.order_by("finished_at").values_list("pk", flat=True)[: AT_ONCE + 1])
    none = _("No change: none of these jobs is failed any more.")
    if len(ids) > AT_ONCE:
        return _started(*bulk.start_retry(fingerprint, seen, by), fingerprint)
    return told_of(
        operations.retry(ids),
        _("retried"),
        _("error %(fingerprint)s") % {"fingerprint": fingerprint},
        none,
    )


def requeue(given: Given, _by: str) -> Pressed:
    """Take the jobs of a worker that is silent, those whose lease has run out."""
    worker = given.get("worker", "")
    expired = Claim.objects.using(get_settings().DATABASE).filter(
        worker=worker, expires_at__lt=clock.now()
    )
    held = expired.order_by("pk").values_list("job_ids", flat=True)[:MOST_CLAIMS]
    ids = [job_id for job_ids in held for job_id in job_ids]
    none = _("No change: that worker holds no job past its lease.")
    told = told_of(
        operations.requeue(ids[:AT_ONCE]),
        _("requeued"),
        _("worker %(name)s") % {"name": worker},
        none,
    )
    left = len(ids) - AT_ONCE
    if left <= 0:
        return told
    more = _("%(number)s more are left; press again.") % {"number": grouped(left)}
    return Pressed(f"{told.text} {more}", told.log, told.what)


def cancel(given: Given, _by: str) -> Pressed:
    """Ask one running job to stop, or take it from its worker: `force`."""
    job_id = number_in(given.get("job", ""))
    if job_id is None:
        return broken()
    result = operations.cancel([job_id], force=bool(given.get("force")))
    if result.again:
        text = _("No change: job #%(job)s was asked to stop already.")
        return Pressed(text % {"job": job_id})
    if result.asked:
        text = _("Job #%(job)s was asked to stop.") % {"job": job_id}
        return Pressed(text, _("asked to stop"), f"#{job_id}", job_id)
    return replace(told_of(result, _("cancelled"), f"#{job_id}"), target=job_id)


def pause(given: Given, by: str) -> Pressed:
    """Pause a queue."""
    name, reason = given.get("queue", ""), given.get("reason", "").strip()
    minutes = given.get("minutes", "")
    if minutes not in {"", *(str(number) for number in MINUTES)}:
        return broken()
    until = clock.now() + timedelta(minutes=int(minutes)) if minutes else None
    if not operations.pause_queue(name, by=by, reason=reason, until=until, only_open=True):
        return Pressed(_("No change: the queue “%(queue)s” was paused already.") % {"queue": name})
    text = _("The queue “%(queue)s” is paused; its running jobs go on.") % {"queue": name}
    return Pressed(
        text,
        _("paused: %(reason)s") % {"reason": reason} if reason else _("paused"),
        name,
        queue_id(name),
    )


def resume(given: Given, _by: str) -> Pressed:
    """Let a queue go on."""
    name = given.get("queue", "")
    if not operations.resume_queue(name):
        return Pressed(_("No change: the queue “%(queue)s” was not paused.") % {"queue": name})
    text = _("The queue “%(queue)s” goes on.") % {"queue": name}
    return Pressed(text, _("resumed"), name, queue_id(name))


Verb = tuple[Any, Callable[[Given, str], Pressed]]
VERBS: dict[str, Verb] = {
    "retry": (Job, retry),
    "retry-all": (Job, retry_all),
    "requeue": (Job, requeue),
    "cancel": (Job, cancel),
    "pause": (Queue, pause),
    "resume": (Queue, resume),
}
"""The model whose permission is asked for, and what is done."""


def told_of(result: OperationResult, done: str, what: str, none: str = "") -> Pressed:
    """Return what became of jobs in words; `none`: what is said where there were none."""
    number, parts = len(result.done), []
    if number:
        text = ngettext("%(number)s job %(done)s.", "%(number)s jobs %(done)s.", number)
        parts.append(text % {"number": grouped(number), "done": done})
    if result.refused:
        reasons = [f"#{job_id}: {why}" for job_id, why in result.refused.items()]
        text = ngettext("%(number)s job unchanged.", "%(number)s jobs unchanged.", len(reasons))
        parts += [
            text % {"number": grouped(len(reasons))},
            "; ".join(reasons[:SHOWN_REASONS]) + ".",
        ]
    log = f"{grouped(number)} {done}" if number else ""
    return Pressed(" ".join(parts) or none, log, what)


def _started(number: int, created: bool, fingerprint: str) -> Pressed:  # noqa: FBT001 - as `start` returns them
    if not created:
        return Pressed(_("No change: they are left to the workers already."), operation=number)
    text = _("They are left to the workers.")
    return Pressed(
        text,
        _("retry started"),
        _("error %(fingerprint)s") % {"fingerprint": fingerprint},
        operation=number,
    )


def broken() -> Pressed:
    """Return what is said of a request that lacks something."""
    return Pressed(_("Nothing was done: the request was incomplete. Load the page anew."))


def queue_id(name: str) -> int | None:
    """Return the number of the queue called `name`."""
    queues = Queue.objects.using(get_settings().DATABASE).filter(name=name)
    return queues.values_list("pk", flat=True).first()
