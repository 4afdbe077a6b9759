"""Operations on very many jobs: `add_bulk`, `lock_bulk`, `note_bulk`, `stop_bulk`, `prune_bulk`."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import F, QuerySet

from django_jobs.engines.bulk import BulkPage, BulkRequest
from django_jobs.engines.orm.rows import Rows
from django_jobs.models import BulkOperation

MOST_REASONS = 20
"""So many kinds of refusals are told apart."""

OTHERS = "…"


class BulkRows(Rows):
    """The verbs, on any database."""

    @property
    def bulks(self) -> QuerySet[BulkOperation]:
        """All operations."""
        return BulkOperation.objects.using(self.alias)

    def add_bulk(self, request: BulkRequest, now: datetime | None = None) -> tuple[int, bool]:
        """Write an operation, unless its key has one."""
        row, created = self.bulks.get_or_create(
            key=request.key,
            defaults={
                "verb": request.verb,
                "search": request.search,
                "as_of": request.as_of,
                "low": request.low,
                "high": request.high,
                "expected": request.expected,
                "created_at": self.at(now),
                "created_by": request.by[:150],
                "last_id": request.low,
            },
        )
        return row.pk, created

    def lock_bulk(self, beside: Collection[int] = ()) -> BulkOperation | None:
        """Lock the oldest unfinished operation that nobody has locked, none of `beside`."""
        rows = self.bulks.filter(finished_at=None).exclude(pk__in=beside)
        return self.free(rows.order_by("pk")).first()

    def note_bulk(self, row: BulkOperation, page: BulkPage, now: datetime | None = None) -> None:
        """Add what became of a page to the locked operation."""
        now = self.at(now)
        reasons = dict(row.reasons)
        for why, (count, job_id) in page.refused.items():
            reason = why if why in reasons or len(reasons) < MOST_REASONS else OTHERS
            known, example = reasons.get(reason, (0, job_id))
            reasons[reason] = [known + count, example]
        self.bulks.filter(pk=row.pk).update(
            last_id=page.last_id,
            done=F("done") + page.done,
            asked=F("asked") + page.asked,
            refused=F("refused") + sum(count for count, _ in page.refused.values()),
            reasons=reasons,
            started_at=row.started_at or now,
            finished_at=now if page.is_last else None,
        )

    def stop_bulk(self, bulk_id: int, by: str, now: datetime | None = None) -> bool:
        """End an unfinished operation; waits for the page that is worked on."""
        rows = self.bulks.filter(pk=bulk_id, finished_at=None)
        return bool(rows.update(finished_at=self.at(now), stopped_by=by[:150]))

    def prune_bulk(self, before: datetime, limit: int) -> int:
        """Delete operations that were finished before."""
        old = self.bulks.filter(finished_at__lt=before).order_by("finished_at")
        ids = list(old.values_list("pk", flat=True)[:limit])
        return self.bulks.filter(pk__in=ids).delete()[0]
