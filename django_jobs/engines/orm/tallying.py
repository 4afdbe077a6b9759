"""Figures of what was: added up, deleted when they are old; and which versions there were."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db.models import F, Value
from django.db.models.functions import Coalesce

from django_jobs.engines.orm.rows import Rows
from django_jobs.engines.tallies import KEY, in_order
from django_jobs.models import Release, Tally, Worker
from django_jobs.tallies import COLUMNS, HOUR, Counted

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tallying(Rows):
    """The verbs about figures."""

    def add_tallies(self, counted: Sequence[Counted]) -> None:
        """Add figures to the rows of their minutes and hours, which are made where they miss."""
        tallies = self.all_of(Tally)
        rows = in_order(counted)
        with self.transaction():
            keys = [dict(zip(KEY, row, strict=False)) for row in rows]
            tallies.bulk_create([Tally(**key) for key in keys], ignore_conflicts=True)
            for key, row in zip(keys, rows, strict=True):
                values = zip(COLUMNS, row[len(KEY) :], strict=True)
                more = {name: Coalesce(F(name), Value(0)) + n for name, n in values if n}
                tallies.filter(**key).update(**more)

    def prune_tallies(self, minutes_before: int, hours_before: int, limit: int) -> int:
        """Delete old rows, the oldest first; looks before it locks."""
        deleted = 0
        for span, before in ((1, minutes_before), (HOUR, hours_before)):
            old = self.all_of(Tally).filter(span=span, minute__lt=before).order_by("minute")
            if not old.exists():
                continue
            with self.transaction():
                ids = list(self.free(old).values_list("pk", flat=True)[:limit])
                deleted += self.all_of(Tally).filter(pk__in=ids).delete()[0]
        return deleted

    def see_release(self, version: str, at: datetime) -> None:
        """Note when a version was seen first."""
        releases = self.all_of(Release)
        if version and not releases.filter(version=version).exists():
            releases.bulk_create([Release(version=version, seen_at=at)], ignore_conflicts=True)

    def forget_releases(self, before: int, limit: int) -> int:
        """Forget old versions: one that a worker still has would be taken for a new one."""
        limited = EPOCH + timedelta(minutes=before)
        old = self.all_of(Release).filter(seen_at__lt=limited)
        present = Worker.objects.using(self.alias)
        gone = old.exclude(version__in=present.values("version"))
        ids = list(gone.order_by("seen_at").values_list("pk", flat=True)[:limit])
        return self.all_of(Release).filter(pk__in=ids).delete()[0] if ids else 0
