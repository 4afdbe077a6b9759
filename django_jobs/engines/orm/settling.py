"""Counting the ends of jobs in their batches, and what that means to the parents of flows.

Locks: batches first, in the order of their numbers, then parents; only those that nobody else has.
Each batch is counted as a whole or not at all.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q

from django_jobs.engines.batches import Settled, Standing, Trouble
from django_jobs.engines.endings import CHILD_FAILED, CHILD_FINGERPRINT, NEVER
from django_jobs.engines.orm.batching import ITS_CHILDREN, BatchRows, standing
from django_jobs.engines.orm.ends import Ended, Ends
from django_jobs.engines.orm.eventing import GONE
from django_jobs.models import Batch, BatchJob, Event, Job
from django_jobs.states import FINAL, LIVE, IfFailed, RunOutcome, State
from django_jobs.subscriptions import JOB

COUNTERS = {State.SUCCESSFUL: "successful", State.FAILED: "failed", State.CANCELLED: "cancelled"}


class Settling(BatchRows, Ends):
    """The workers' verbs about batches."""

    def settle(self, ends: Mapping[int, State]) -> Settled:
        """Count these ends in the batches of these jobs, each job once."""
        with self.transaction():
            asked = {member.batch_id for member in self._uncounted(ends)}
            if not asked:
                return Settled()
            batches = self.free(self.batches.filter(pk__in=asked).order_by("pk")).in_bulk()
            waiting = self._hold_parents(batches)
            there = set(self.batches.filter(pk__in=asked).values_list("pk", flat=True))
            members = [row for row in self._uncounted(ends) if row.batch_id in there]
            mine = defaultdict(list)
            for member in members:
                if member.batch_id in batches:
                    mine[member.batch_id].append(member)
            self._mark(mine, ends)
            standings = [
                self._count(batches[pk], mine[pk], ends, waits=batches[pk].parent_id in waiting)
                for pk in sorted(mine)
            ]
        busy = {member.job_id for member in members if member.batch_id not in batches}
        unfinished = [each for each in standings if batches[each.batch_id].finished_at is None]
        return Settled(tuple(unfinished), frozenset(busy))

    def _uncounted(self, job_ids: Collection[int]) -> list[BatchJob]:
        return list(self.members.filter(job_id__in=job_ids, state="").order_by("batch_id", "pk"))

    def _hold_parents(self, batches: dict[int, Batch]) -> set[int]:
        """Lock the parents of unfinished flows, drop the others; return who waits."""
        unfinished = [row for row in batches.values() if row.finished_at is None]
        parent_ids = {row.parent_id for row in unfinished if row.parent_id is not None}
        rows = self.jobs.filter(pk__in=parent_ids).order_by("pk")
        parents = self.free(rows).in_bulk()
        there = set(rows.values_list("pk", flat=True))
        for batch in unfinished:
            if batch.parent_id in there and batch.parent_id not in parents:
                del batches[batch.pk]
        return {pk for pk, job in parents.items() if job.state == State.WAITING}

    def _mark(self, mine: Mapping[int, list[BatchJob]], ends: Mapping[int, State]) -> None:
        by_state = defaultdict(list)
        for members in mine.values():
            for member in members:
                by_state[ends[member.job_id]].append(member.pk)
        for state, ids in by_state.items():
            self.members.filter(pk__in=ids).update(state=state)

    def _count(
        self, row: Batch, members: list[BatchJob], ends: Mapping[int, State], *, waits: bool
    ) -> Standing:
        counts = Counter(ends[member.job_id] for member in members)
        values = {name: getattr(row, name) + counts[state] for state, name in COUNTERS.items()}
        values["pending"] = row.pending - len(members)
        self.batches.filter(pk=row.pk).update(**values)
        troubles = tuple(
            Trouble(each.job_id, each.name, ends[each.job_id], IfFailed(each.policy))
            for each in members
            if ends[each.job_id] is not State.SUCCESSFUL
        )
        whole: dict[str, Any] = {"parent_waits": waits, "troubles": troubles}
        return standing(row, **whole)._replace(**values)

    def finish_batches(self, batch_ids: Collection[int], now: datetime | None = None) -> None:
        """Note that batches are finished."""
        self.batches.filter(pk__in=batch_ids).update(finished_at=self.at(now))

    def let_go(self, parent_ids: Collection[int], now: datetime | None = None) -> set[str]:
        """Make waiting parents READY."""
        rows = self.jobs.filter(pk__in=parent_ids, state=State.WAITING)
        queues = set(rows.values_list("queue", flat=True))
        rows.update(state=State.READY, run_at=self.at(now), waiting_for=None)
        return queues

    def fail_waiting(self, reasons: Mapping[int, str], now: datetime | None = None) -> None:
        """Fail waiting parents; each gets a run that says why, which nobody has claimed."""
        now = self.at(now)
        jobs = list(self.jobs.filter(pk__in=reasons, state=State.WAITING).order_by("pk"))
        runs = self.runs.filter(job_id__in=reasons).values_list("job_id").order_by()
        counts = dict(runs.annotate(count=Count("pk")))
        for job in jobs:
            self._record_failure(job, -1 - counts.get(job.pk, 0), reasons[job.pk], now)
        self.jobs.filter(pk__in=[job.pk for job in jobs]).update(
            state=State.FAILED,
            run_at=now,
            finished_at=now,
            waiting_for=None,
            fingerprint=CHILD_FINGERPRINT,
        )
        self.tell_ends([Ended(job.pk, job.name, State.FAILED, job.watched) for job in jobs], now)

    def _record_failure(self, job: Job, claim_id: int, text: str, now: datetime) -> None:
        self.runs.create(
            job_id=job.pk,
            claim_id=claim_id,
            attempt=job.attempt,
            outcome=RunOutcome.FAILED,
            finished_at=now,
            error_type=CHILD_FAILED,
            error=text.partition("\n")[0][:255],
            error_text=text,
            fingerprint=CHILD_FINGERPRINT,
        )

    def reopen_flows(self, parent_ids: Collection[int], now: datetime | None = None) -> set[int]:
        """Let retried parents wait for those of their children that have not ended."""
        waiting = set()
        with self.transaction():
            for batch in self.awaited(self.batches.filter(parent_id__in=parent_ids)):
                members = self.members.filter(batch_id=batch.pk)
                live = self.jobs.filter(pk__in=members.values("job_id"), state__in=sorted(LIVE))
                again = list(live.values_list("pk", flat=True))
                members.filter(job_id__in=again).update(state="")
                self._recount(batch.pk, None if again else batch.finished_at or self.at(now))
                waiting |= {batch.parent_id} if again and batch.parent_id else set()
            self.jobs.filter(pk__in=waiting).update(
                state=State.WAITING, run_at=NEVER, waiting_for=ITS_CHILDREN
            )
        return waiting

    def _recount(self, batch_id: int, finished_at: datetime | None) -> None:
        rows = self.members.filter(batch_id=batch_id).values_list("state").order_by()
        counts = dict(rows.annotate(count=Count("pk")))
        values = {name: counts.get(state.value, 0) for state, name in COUNTERS.items()}
        batch = self.batches.filter(pk=batch_id)
        batch.update(pending=counts.get("", 0), finished_at=finished_at, **values)

    def forgotten_members(self, after: int, limit: int) -> tuple[int, int]:
        """Write the events of ended or deleted members that are told to nobody."""
        window = self.members.filter(state="", pk__gt=after).order_by("pk")
        numbers = list(window.values_list("pk", flat=True)[:limit])
        job = self.jobs.filter(pk=OuterRef("job_id"))
        ended = Q(Exists(job.filter(state__in=sorted(FINAL)))) | ~Q(Exists(job))
        events = Event.objects.using(self.alias)
        coming = events.filter(job_id=OuterRef("job_id"), handed_out_at=None)
        vain = self.members.filter(ended, ~Exists(coming), state="")
        if numbers:
            vain = vain.filter(pk__gte=numbers[0], pk__lte=numbers[-1])
        ids = sorted(set(vain.values_list("job_id", flat=True))) if numbers else []
        self._tell_again(ids)
        return len(ids), numbers[-1] if len(numbers) == limit else 0

    def _tell_again(self, ids: list[int]) -> None:
        states = dict(self.jobs.filter(pk__in=ids).values_list("pk", "state"))
        now = self.at(None)
        Event.objects.using(self.alias).bulk_create(
            Event(
                name=f"{JOB}{states[pk].lower()}" if pk in states else GONE,
                job_id=pk,
                sent_at=now,
                is_heard=True,
            )
            for pk in ids
        )

    def stalled_batches(self, limit: int) -> list[Standing]:
        """Return unfinished batches without pending jobs, and lock them."""
        rows = self.batches.filter(finished_at=None, pending__lte=0).order_by("pk")
        ids: Iterable[int] = list(rows.values_list("pk", flat=True)[:limit])
        batches = self.free(rows.filter(pk__in=ids)).in_bulk()
        waiting = self._hold_parents(batches)
        return [standing(row, parent_waits=row.parent_id in waiting) for row in batches.values()]
