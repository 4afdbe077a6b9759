"""Errors that people know of already: muted, they are no problem for the verdict for a while.

Nothing else changes: their jobs stay failed, are shown and can be retried.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.exceptions import ErrorNotFound
from django_jobs.models import Job, MutedError
from django_jobs.states import State

USUAL = timedelta(hours=24)
"""So long an error is muted when nobody says how long."""

GROWTH = 10
"""When it has struck so many times as many jobs, an error is loud again."""

COUNTED = 10_000
"""The failed jobs of one kind are not counted further."""


def mute(fingerprint: str, *, by: str = "", until: datetime | None = None) -> bool:
    """Keep an error out of the verdict; return False when it was muted already.

    `by` (at most 150 characters) is for people to read. It ends at `until`, an aware datetime
    (default: in 24 hours), or when ten times as many jobs have failed of it. Raises ErrorNotFound
    when no failed job has this fingerprint, and ValueError for an instant that is naive or past.
    """
    now = clock.now()
    until = now + USUAL if until is None else until
    if until.utcoffset() is None or until <= now:
        raise ValueError("until is naive or past. Use timezone.now() + timedelta(…).")
    alias = get_settings().DATABASE
    count = _count(alias, fingerprint)
    if not fingerprint or not count:
        text = _('no failed job has the fingerprint "%(fingerprint)s"')
        raise ErrorNotFound(text % {"fingerprint": fingerprint})
    values = {"muted_at": now, "muted_by": by[:150], "muted_until": until, "count": count}
    rows = MutedError.objects.using(alias)
    with transaction.atomic(using=alias):
        rows.filter(muted_until__lte=now).delete()
        row, created = rows.get_or_create(fingerprint=fingerprint, defaults=values)
        if created:
            return True
        if is_quiet(row, count, now):
            return False
        # Of two who press at once, one finds the row as it was.
        return rows.filter(pk=row.pk, muted_at=row.muted_at).update(**values) > 0


def unmute(fingerprint: str) -> bool:
    """Let the verdict tell of an error again; return False when it was not muted."""
    alias = get_settings().DATABASE
    rows = MutedError.objects.using(alias).filter(fingerprint=fingerprint)
    was_muted = rows.filter(muted_until__gt=clock.now()).exists()
    return rows.delete()[0] > 0 and was_muted


def is_quiet(row: MutedError, count: int, now: datetime) -> bool:
    """Say whether the muting of an error holds at `now`, when `count` jobs have failed of it.

    Ten times as many may be more than are counted; then it holds for less, but for twice as many.
    """
    most = GROWTH * row.count
    if 2 * row.count <= COUNTED < most:
        most = COUNTED
    return row.muted_until > now and count < most


def _count(alias: str, fingerprint: str) -> int:
    failed = Job.objects.using(alias).filter(state=State.FAILED, fingerprint=fingerprint)
    return failed.order_by().values("pk")[:COUNTED].count()
