"""The buttons that mute an error and make it loud again."""

from datetime import timedelta

from django.utils.translation import gettext as _

from django_jobs import clock, muting
from django_jobs.admin.buttons.pressing import Given, Pressed, Verb, broken
from django_jobs.display import duration
from django_jobs.models import Job

HOURS = (1, 4, 24, 7 * 24, 30 * 24)
"""So long an error can be muted by a press."""

USUAL = 24


def mute(given: Given, by: str) -> Pressed:
    """Keep an error out of the verdict for some hours."""
    fingerprint, hours = given.get("fingerprint", ""), given.get("hours", str(USUAL))
    if not fingerprint or hours not in {str(number) for number in HOURS}:
        return broken()
    span = timedelta(hours=int(hours))
    if not muting.mute(fingerprint, by=by, until=clock.now() + span):
        return Pressed(_("No change: somebody has muted this error already."))
    text = _("The error is muted for %(span)s, or until ten times as many jobs have failed of it.")
    said = {"span": duration(span)}
    return Pressed(
        text % said,
        _("muted for %(span)s") % said,
        _("error %(fingerprint)s") % {"fingerprint": fingerprint},
    )


def unmute(given: Given, _by: str) -> Pressed:
    """Let the verdict tell of an error again."""
    fingerprint = given.get("fingerprint", "")
    if not muting.unmute(fingerprint):
        return Pressed(_("No change: this error was not muted."))
    return Pressed(
        _("The error is muted no more."),
        _("unmuted"),
        _("error %(fingerprint)s") % {"fingerprint": fingerprint},
    )


VERBS: dict[str, Verb] = {"mute": (Job, mute), "unmute": (Job, unmute)}
