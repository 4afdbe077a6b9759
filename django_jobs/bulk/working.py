"""The workers' part of an operation on very many jobs: one page of it, in one transaction.

Who works on an operation has its row locked, so that no page is done twice; a death leaves the
page undone, and the next worker goes on there.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from django.utils.translation import gettext_lazy

from django_jobs import clock
from django_jobs.bulk.asking import VERBS, meant
from django_jobs.display import undated
from django_jobs.engines.base import Engine
from django_jobs.engines.bulk import BulkPage
from django_jobs.models import BulkOperation, Job
from django_jobs.operations import OperationResult
from django_jobs.searching.criteria import read
from django_jobs.searching.matching import matching
from django_jobs.searching.surveying import WINDOW
from django_jobs.searching.terms import split

BUSY = gettext_lazy("somebody keeps it locked; try again later")


Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Worked:
    """What was done: the operation as it was before, and what its page came to."""

    row: BulkOperation
    page: BulkPage


class PageFailed(Exception):
    """A page of an operation raised `error`; nothing of it is done."""

    def __init__(self, row: BulkOperation, error: Exception) -> None:
        super().__init__(f"A page of the bulk operation {row} failed: {error}")
        self.row = row
        self.error = error


def place_of(row: BulkOperation) -> Place:
    """Return which operation it is, and where its next page begins."""
    return row.pk, row.last_id


def is_waiting(alias: str) -> bool:
    """Say whether there is an unfinished operation. Takes no lock."""
    return BulkOperation.objects.using(alias).filter(finished_at=None).exists()


def work(
    engine: Engine,
    size: int,
    *,
    refuse: bool = False,
    beside: Collection[int] = (),
    given_up: Mapping[Place, str] = MappingProxyType({}),
) -> Worked | None:
    """Work off the next `size` jobs of an operation that nobody else works on; `None`: none.

    Call it on an engine whose connection is this thread's. `refuse`: do nothing to these jobs.
    `beside`: leave these operations alone. `given_up`: end those that
    stand at such a place, for the reason. Raises PageFailed.
    """
    with engine.transaction():
        row = engine.lock_bulk(beside)
        if row is None:
            return None
        if why := given_up.get(place_of(row)):
            page = BulkPage(row.last_id, refused={why: (0, 0)}, is_last=True)
        else:
            page = _tried_page(engine.connection.alias, row, size, refuse=refuse)
        engine.note_bulk(row, page, clock.now_or_none())
    return Worked(row, page)


def _tried_page(alias: str, row: BulkOperation, size: int, *, refuse: bool) -> BulkPage:
    try:
        return _page(alias, row, size, refuse=refuse)
    except Exception as error:
        raise PageFailed(row, error) from error


def _page(alias: str, row: BulkOperation, size: int, *, refuse: bool) -> BulkPage:
    criteria = read(split(row.search), row.as_of)
    if criteria.problems:
        return BulkPage(row.last_id, refused={criteria.problems[0]: (0, 0)}, is_last=True)
    jobs = Job.objects.using(alias)
    ahead = jobs.filter(pk__gt=row.last_id, pk__lte=row.high).order_by("pk")
    first = ahead.values_list("pk", flat=True).first()
    if first is None:
        return BulkPage(row.high, is_last=True)
    end = min(first - 1 + WINDOW, row.high)
    rows = matching(meant(row.verb, jobs, row.as_of), criteria)
    rows = rows.filter(pk__gt=row.last_id, pk__lte=end).order_by("pk")
    ids = list(rows.values_list("pk", flat=True)[:size])
    last = ids[-1] if len(ids) == size else end
    result = _refusal(ids) if refuse else VERBS[row.verb].do(ids)
    return BulkPage(
        last, len(result.done), len(result.asked), _grouped(result.refused), last >= row.high
    )


def _refusal(ids: Collection[int]) -> OperationResult:
    return OperationResult(refused=dict.fromkeys(ids, str(BUSY)))


def _grouped(refused: Mapping[int, str]) -> dict[str, tuple[int, int]]:
    """Return the reasons, each with how many jobs have it, and one of them."""
    found: dict[str, tuple[int, int]] = {}
    for job_id, why in refused.items():
        reason = undated(why)
        count, example = found.get(reason, (0, job_id))
        found[reason] = (count + 1, example)
    return found
