"""The buttons of queues beside pause and resume: their limit, and cancelling what waits."""

from dataclasses import replace

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_jobs import operations
from django_jobs.admin.buttons.pressing import (
    AT_ONCE,
    Given,
    Pressed,
    Verb,
    broken,
    queue_id,
    told_of,
)
from django_jobs.admin.given import instant_in, number_in
from django_jobs.conf import get_settings
from django_jobs.display import grouped
from django_jobs.models import Job, Queue
from django_jobs.reports.queues import ready_jobs


def limit(given: Given, _by: str) -> Pressed:
    """Say how long a job may wait in a queue; an empty field means the default."""
    name, text = given.get("queue", ""), given.get("seconds", "").strip()
    seconds = number_in(text) if text else None
    if text and not (seconds and seconds <= operations.LONGEST_LIMIT):
        return Pressed(_("No change: the limit is a whole number of seconds, or empty."))
    if not operations.set_latency_limit(name, seconds):
        return Pressed(_("No change: that was the limit already."))
    said = {"queue": name}
    if seconds is None:
        text = _("The queue “%(queue)s” has no limit of its own any more.")
        return Pressed(text % said, _("limit removed"), name, queue_id(name))
    text = ngettext(
        "A job may wait %(seconds)s second in the queue “%(queue)s”.",
        "A job may wait %(seconds)s seconds in the queue “%(queue)s”.",
        seconds,
    )
    said["seconds"] = grouped(seconds)
    return Pressed(text % said, _("limit set to %(seconds)s s") % said, name, queue_id(name))


def cancel_waiting(given: Given, _by: str) -> Pressed:
    """Cancel the jobs that were ready in a queue when the page was seen, 500 at once."""
    name, seen = given.get("queue", ""), instant_in(given.get("seen", ""))
    if seen is None:
        return broken()
    ready = ready_jobs(get_settings().DATABASE, name).filter(run_at__lte=seen)
    ids = list(ready.values_list("pk", flat=True)[: AT_ONCE + 1])
    result = operations.cancel(ids[:AT_ONCE], only_waiting=True)
    none = _("No change: none of these jobs waits any more.")
    told = told_of(
        result, _("cancelled"), _("waiting jobs of the queue %(name)s") % {"name": name}, none
    )
    if len(ids) <= AT_ONCE:
        return told
    more = _("More of them are left; press again for the next %(most)s.") % {"most": AT_ONCE}
    return replace(told, text=f"{told.text} {more}")


VERBS: dict[str, Verb] = {"limit": (Queue, limit), "cancel-waiting": (Job, cancel_waiting)}
