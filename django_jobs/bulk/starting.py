"""Does to all jobs that fit what somebody has confirmed: at once, or by the workers."""

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from django.db import connections, transaction
from django.db.models import F

from django_jobs import clock
from django_jobs.announcements import tell_of_bulk
from django_jobs.bulk.asking import VERBS, meant
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.bulk import BulkRequest
from django_jobs.models import Job
from django_jobs.operations import OperationResult
from django_jobs.searching.criteria import read
from django_jobs.searching.matching import matching
from django_jobs.searching.surveying import CAP
from django_jobs.searching.terms import Term, Terms, split

if TYPE_CHECKING:
    from collections.abc import Iterable


class Grown(Exception):
    """More jobs fit than were confirmed: it has to be asked again."""


def requested(  # noqa: PLR0913 - the fields of the record, by name
    *,
    key: str,
    verb: str,
    search: str,
    as_of: datetime,
    low: int,
    high: int,
    expected: int,
    by: str,
) -> BulkRequest:
    """Return what is to be done, as `carry_out` and `start` take it."""
    return BulkRequest(key, verb, search, as_of, low, high, expected, by)


def carry_out(wanted: BulkRequest) -> OperationResult:
    """Do it at once, to 500 jobs at most; raises Grown when more fit than `wanted` expects."""
    ids = _ids(wanted)
    if len(ids) > wanted.expected:
        raise Grown
    return VERBS[wanted.verb].do(ids)


def start(wanted: BulkRequest) -> tuple[int, bool]:
    """Write an operation for the workers, who hear of it when this is committed.

    Returns its number, and False when its key has one already: nothing is begun twice.
    """
    alias = get_settings().DATABASE
    with transaction.atomic(using=alias):
        number, created = get_engine(alias).add_bulk(wanted, clock.now_or_none())
        if created:
            tell_of_bulk(connections[alias])
    return number, created


def start_retry(fingerprint: str, seen: datetime, by: str) -> tuple[int, bool]:
    """Start to retry the failures of one kind that had ended when they were `seen`."""
    alias = get_settings().DATABASE
    search = Terms((Term("fp", fingerprint), Term("state", "failed")))
    criteria = read(search, seen)
    rows = matching(meant("retry", Job.objects.using(alias), seen), criteria)
    newest = Job.objects.using(alias).order_by("-pk").values_list("pk", flat=True).first()
    wanted = requested(
        key=sha256(f"retry {fingerprint} {seen.isoformat()}".encode()).hexdigest(),
        verb="retry",
        search=str(search),
        as_of=seen,
        low=0,
        high=newest or 0,
        expected=rows.values("pk")[: CAP + 1].count(),
        by=by,
    )
    return start(wanted)


def stop(number: int, by: str) -> bool:
    """End an operation; what is done stays done. Returns False when it had ended already."""
    alias = get_settings().DATABASE
    return get_engine(alias).stop_bulk(number, by, clock.now_or_none())


def _ids(wanted: BulkRequest) -> list[int]:
    """Return the jobs that fit, the oldest first; one more than expected at most."""
    criteria = read(split(wanted.search), wanted.as_of)
    jobs = Job.objects.using(get_settings().DATABASE)
    rows = matching(meant(wanted.verb, jobs, wanted.as_of), criteria)
    rows = rows.filter(pk__gt=wanted.low, pk__lte=wanted.high)
    # By the bare number a plan may walk all jobs from the oldest on, however rare these are.
    key = F("pk") + 0 if wanted.low == 0 else F("pk")
    found: Iterable[int] = rows.order_by(key.asc()).values_list("pk", flat=True)
    return list(found[: wanted.expected + 1])  # type: ignore[index]
