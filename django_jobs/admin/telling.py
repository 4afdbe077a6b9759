"""What has become of jobs, in words for whoever did something to them."""

from collections.abc import Iterator

from django.contrib import messages
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_jobs.display import grouped
from django_jobs.operations import OperationResult

SHOWN_REASONS = 5


def told(result: OperationResult, done: str) -> Iterator[tuple[int, str]]:
    """Yield what became of the jobs, each with the level of its message."""
    number = len(result.done)
    if number:
        text = ngettext("%(number)s job %(done)s.", "%(number)s jobs %(done)s.", number)
        yield messages.SUCCESS, text % {"number": grouped(number), "done": done}
    if number := len(result.asked - result.again):
        text = ngettext(
            "%(number)s job asked to stop; running jobs end by themselves.",
            "%(number)s jobs asked to stop; running jobs end by themselves.",
            number,
        )
        yield messages.SUCCESS, text % {"number": grouped(number)}
    if number := len(result.again):
        text = ngettext(
            "%(number)s job was asked to stop already.",
            "%(number)s jobs were asked to stop already.",
            number,
        )
        yield messages.WARNING, text % {"number": grouped(number)}
    if number := len(result.refused):
        reasons = [f"#{job_id}: {why}" for job_id, why in result.refused.items()]
        text = ngettext("%(number)s job not %(done)s.", "%(number)s jobs not %(done)s.", number)
        text = text % {"number": grouped(number), "done": done}
        text += f" {'. '.join(reasons[:SHOWN_REASONS])}."
        more = number - SHOWN_REASONS
        text += " " + _("And %(number)s more.") % {"number": grouped(more)} if more > 0 else ""
        yield messages.WARNING, text
