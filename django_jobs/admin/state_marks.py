"""The state of a job as a shape and a word: no page says it by a colour alone."""

from collections.abc import Mapping

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_jobs.models import Job

WORDS: Mapping[str, tuple[str, object, str]] = {
    "scheduled": ("◔", _("scheduled"), ""),
    "ready": ("○", _("ready"), ""),
    "running": ("●", _("running"), "ok"),
    "stopping": ("◍", _("stopping"), "warning"),
    "retrying": ("▲", _("retrying"), "warning"),
    "waiting": ("◇", _("waiting"), ""),
    "successful": ("✓", _("successful"), "ok"),
    "failed": ("✕", _("failed"), "bad"),
    "cancelled": ("–", _("cancelled"), ""),
}
"""Of each word that `Job.label` says: its shape, the word for people, and how good it is."""


def state_mark(job: Job, oob: str = "") -> SafeString:
    """Return the mark of a job, to be put into the page anew; `oob`: `screens.OUT_OF_BAND`."""
    shape, word, level = WORDS.get(job.label, ("?", job.state, ""))
    return format_html(
        '<span id="job-state-{}" class="jobs-state{}"{}><span aria-hidden="true">{}</span> {}</span>',
        job.pk,
        f" jobs-{level}" if level else "",
        oob,
        shape,
        word,
    )
