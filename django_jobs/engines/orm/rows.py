"""What every portable verb stands on: the rows, their locks, the clock, the transaction."""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import TypeVar

from django.db import transaction
from django.db.models import Expression, Model, Q, QuerySet, Value
from django.db.models.functions import Now
from django.db.models.sql import Query

from django_jobs import clock
from django_jobs.engines.base import Engine
from django_jobs.models import Claim, Job, JobRun, Queue

AnyModel = TypeVar("AnyModel", bound=Model)


class Rows(Engine):
    """The tables on this engine's connection."""

    @property
    def alias(self) -> str:
        """Django's name of the database."""
        return self.connection.alias

    @property
    def jobs(self) -> QuerySet[Job]:
        """All jobs."""
        return Job.objects.using(self.alias)

    @property
    def runs(self) -> QuerySet[JobRun]:
        """All runs."""
        return JobRun.objects.using(self.alias)

    @property
    def claims(self) -> QuerySet[Claim]:
        """All claims."""
        return Claim.objects.using(self.alias)

    def all_of(self, model: type[AnyModel]) -> QuerySet[AnyModel]:
        """Return all rows of `model`."""
        return QuerySet(model, using=self.alias)

    def transaction(self) -> AbstractContextManager[None]:
        """Open a transaction, or join the caller's."""
        return transaction.atomic(using=self.alias, savepoint=False)

    def at(self, now: datetime | None) -> datetime:
        """Return `now`, or else the instant by the clock that decides here.

        That is the database's, but on SQLite, which has none of its own, this machine's.
        """
        if now is not None:
            return now
        if self.connection.vendor == "sqlite":
            return clock.now()
        query = Query(None)
        query.add_annotation(Now(), "now")
        row: list[datetime] = next(query.get_compiler(connection=self.connection).results_iter())
        return row[0]

    def instant(self, now: datetime | None) -> Expression:
        """Return what `at` returns as an expression: no query of its own."""
        if now is not None or self.connection.vendor == "sqlite":
            return Value(self.at(now))
        return Now()

    def free(self, rows: QuerySet[AnyModel]) -> QuerySet[AnyModel]:
        """Return `rows` without those that somebody has locked, and lock them; never waits."""
        features = self.connection.features
        return rows.select_for_update(
            skip_locked=features.has_select_for_update_skip_locked,
            no_key=features.has_select_for_no_key_update,
        )

    def awaited(self, rows: QuerySet[AnyModel]) -> QuerySet[AnyModel]:
        """Return `rows` and lock them in the order of their ids, waiting where it must."""
        no_key = self.connection.features.has_select_for_no_key_update
        return rows.order_by("pk").select_for_update(no_key=no_key)

    def paused(self, now: datetime) -> set[str]:
        """Return the names of the queues that are paused at `now`."""
        open_ended = Q(paused_until__isnull=True) | Q(paused_until__gt=now)
        queues = Queue.objects.using(self.alias).filter(open_ended, paused_at__isnull=False)
        return set(queues.values_list("name", flat=True))
