"""For how long nothing has been wrong, as far as the figures of four hours tell."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from django_jobs.display import duration
from django_jobs.reports.error_groups import RECENT, TREND
from django_jobs.reports.overview import Overview

SPIKE = 10
"""So many failures of one kind within 15 minutes are a problem."""

FEW = 5
"""Fewer failures of one kind are no problem, however little else there is."""

SHARE = 0.05
"""A bigger share of failures of one kind in what finishes is a problem."""

WINDOW = 4
"""So many stretches of five minutes hold every quarter of an hour that ends in the last one."""


def clear_for(seen: Overview) -> str:
    """Return for how long nothing has been wrong, as far as the figures of four hours tell.

    That is since the end of the newest stretch in which failures would have been a problem, or a run
    began late, or of the first one in which something ran: when in it is not known. Where nothing ran
    nothing is known; nor is more than that of the time before.
    """
    stretches = seen.recent.stretches
    known = [place for place, stretch in enumerate(stretches) if stretch.finished or stretch.late]
    if not known:
        return ""
    bad = [place for place in known if _was_bad(seen, place)]
    first = stretches[known[0]]
    since = stretches[bad[-1]].end if bad else first.end if known[0] else first.begin
    since = min(max([since, *_spikes(seen)]), seen.now)
    span = duration((seen.now - since) // timedelta(minutes=1) * 60)
    if seen.now - since < timedelta(minutes=1):
        return ""
    if since == stretches[0].begin:
        return _("%(span)s or more") % {"span": span}
    return span


def _was_bad(seen: Overview, place: int) -> bool:
    window = seen.recent.stretches[max(place - WINDOW + 1, 0) : place + 1]
    failed = sum(stretch.failed for stretch in window)
    finished = sum(stretch.finished for stretch in window)
    often = failed >= FEW and failed > SHARE * finished
    return bool(window[-1].late) or failed >= SPIKE or often


def _spikes(seen: Overview) -> Iterator[datetime]:
    """Yield when quarters of an hour ended in which one error had struck many jobs."""
    for group in seen.groups:
        for place, number in enumerate(group.trend):
            if number >= SPIKE:
                yield seen.now - (TREND - 1 - place) * RECENT
