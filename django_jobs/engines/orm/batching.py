"""Batches and flows as their makers see them: written, added to, read, deleted when they are old."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Exists, F, OuterRef, QuerySet

from django_jobs.engines.base import NewJob
from django_jobs.engines.batches import Callback, ChildRow, Member, Standing
from django_jobs.engines.endings import NEVER
from django_jobs.engines.events import WaitFor
from django_jobs.engines.orm.rows import Rows
from django_jobs.models import Batch, BatchCallback, BatchJob, Job, JobRun
from django_jobs.states import IDLE, Later, State
from django_jobs.subscriptions import Match

ITS_CHILDREN = "its children"
"""What the parent of a flow waits for, in words."""


class BatchRows(Rows):
    """The tables of batches."""

    @property
    def batches(self) -> QuerySet[Batch]:
        """All batches."""
        return Batch.objects.using(self.alias)

    @property
    def members(self) -> QuerySet[BatchJob]:
        """All jobs in batches."""
        return BatchJob.objects.using(self.alias)

    @property
    def callbacks(self) -> QuerySet[BatchCallback]:
        """All callbacks."""
        return BatchCallback.objects.using(self.alias)


class Batching(BatchRows):
    """The verbs of those who make batches, and of whoever cleans up after them."""

    def open_batch(
        self, name: str, parent_id: int | None = None, now: datetime | None = None
    ) -> int:
        """Write a batch without jobs on the caller's connection."""
        row = Batch(name=name, parent_id=parent_id, created_at=self.at(now))
        row.save(using=self.alias, force_insert=True)
        return row.pk

    def hold_batch(self, batch_id: int) -> int | None:
        """Lock an unfinished batch; a write from the start, for SQLite knows no other lock."""
        if not self.batches.filter(pk=batch_id, finished_at=None).update(total=F("total")):
            return None
        members = self.members.filter(batch_id=batch_id).order_by("-pk")
        return members.values_list("pk", flat=True).first() or 0

    def add_members(self, batch_id: int, members: Sequence[Member]) -> None:
        """Write members, in order."""
        old = {member.job_id for member in members if not member.fresh}
        if old:  # jobs that were there under their unique keys
            found = self.members.filter(batch_id=batch_id, job_id__in=old)
            known = set(found.values_list("job_id", flat=True))
            members = [member for member in members if member.job_id not in known]
            self.jobs.filter(pk__in=old).update(watched=True)
        rows = {
            member.job_id: BatchJob(
                batch_id=batch_id, job_id=member.job_id, name=member.name, policy=member.policy
            )
            for member in members
        }
        self.members.bulk_create(rows.values())

    def count_members(self, batch_id: int, after: int) -> Standing:
        """Count the members that were added since the one number `after`."""
        new = self.members.filter(batch_id=batch_id, pk__gt=after).count()
        batch = self.batches.filter(pk=batch_id)
        batch.update(total=F("total") + new, pending=F("pending") + new)
        row = batch.get()
        return standing(row, parent_waits=row.parent_id is not None)

    def add_callback(self, batch_id: int, callback: Callback) -> None:
        """Write what is to be enqueued when the batch is finished."""
        self.callbacks.create(batch_id=batch_id, on=callback.on, job=_as_text(callback.job))

    def callbacks_of(self, batch_id: int, ons: Collection[str]) -> list[Callback]:
        """Return what is to be enqueued at these ends of a batch."""
        rows = self.callbacks.filter(batch_id=batch_id, on__in=ons, job_id=None).order_by("pk")
        return [Callback(row.on, _from_text(row.job), row.pk) for row in rows]

    def note_called(self, job_ids: Mapping[int, int]) -> None:
        """Note which jobs callbacks have become."""
        for callback_id, job_id in job_ids.items():
            self.callbacks.filter(pk=callback_id).update(job_id=job_id)

    def let_wait(self, parent_id: int) -> None:
        """Let a job that the caller has written just now wait for its children."""
        self.jobs.filter(pk=parent_id).update(
            state=State.WAITING, run_at=NEVER, waiting_for=ITS_CHILDREN
        )

    def idle_members(self, batch_id: int, limit: int) -> list[int]:
        """Return jobs of a batch that have not begun."""
        members = self.members.filter(batch_id=batch_id, state="").values("job_id")
        rows = self.jobs.filter(pk__in=members, state__in=sorted(IDLE)).order_by("pk")
        return list(rows.values_list("pk", flat=True)[:limit])

    def children_of(self, parent_id: int) -> list[ChildRow]:
        """Return the children of a flow's parent, in the order in which they were added."""
        batch_ids = self.batches.filter(parent_id=parent_id).values("pk")
        members = self.members.filter(batch_id__in=batch_ids)
        job_ids = members.values("job_id")
        jobs = self.jobs.filter(pk__in=job_ids).only("state").in_bulk()
        runs: dict[int, JobRun] = {}
        for run in self.runs.filter(job_id__in=job_ids).order_by("pk"):
            runs[run.job_id] = run
        return [
            _child(row, jobs.get(row.job_id), runs.get(row.job_id))
            for row in members.order_by("pk")
        ]

    def prune_batches(self, before: datetime, limit: int) -> int:
        """Delete batches finished before, their members first, a page at a time."""
        parent = self.jobs.filter(pk=OuterRef("parent_id"))
        old = self.batches.filter(~Exists(parent), finished_at__lt=before).order_by("finished_at")
        with self.transaction():
            ids = list(self.free(old).values_list("pk", flat=True)[:limit])
            rows = self.members.filter(batch_id__in=ids).values_list("pk", flat=True)
            self.members.filter(pk__in=list(rows[:limit])).delete()
            left = set(self.members.filter(batch_id__in=ids).values_list("batch_id", flat=True))
            doomed = [pk for pk in ids if pk not in left]
            self.callbacks.filter(batch_id__in=doomed).delete()
            self.batches.filter(pk__in=doomed).delete()
        return len(doomed)


def standing(row: Batch, **more: Any) -> Standing:
    """Return where the batch of `row` stands."""
    return Standing(
        row.pk,
        row.total,
        row.pending,
        row.successful,
        row.failed,
        row.cancelled,
        row.parent_id,
        **more,
    )


def _child(member: BatchJob, job: Job | None, run: JobRun | None) -> ChildRow:
    state = State(job.state if job else member.state or State.CANCELLED)
    if run is None:
        return ChildRow(member.job_id, member.name, state)
    if state is State.SUCCESSFUL:
        return ChildRow(member.job_id, member.name, state, run.result)
    return ChildRow(member.job_id, member.name, state, None, run.error_type, run.error)


def _as_text(job: NewJob) -> str:
    later = job.later
    instant = later.instant.isoformat() if later and later.instant else None
    waits = [(each.event, each.match.fields, each.match.digest) for each in job.cancels]
    whole = job._asdict() | {"cancels": waits, "later": later and [later.seconds, instant]}
    return json.dumps(whole)


def _from_text(text: str) -> NewJob:
    whole = json.loads(text)
    waits = whole.pop("cancels")
    cancels = tuple(WaitFor(event, Match(fields, digest)) for event, fields, digest in waits)
    if later := whole.pop("later"):
        seconds, instant = later
        later = Later(seconds, datetime.fromisoformat(instant) if instant else None)
    return NewJob(**whole, cancels=cancels, later=later)
