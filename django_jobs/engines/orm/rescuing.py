"""Duties that every worker does for all: `promote`, `rescue`, `expire`, `prune`; and `delete`."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from django_jobs.engines.base import Hold, Pruned, Rescued
from django_jobs.engines.endings import LOST_FINGERPRINT, WORKER_LOST, lost_text
from django_jobs.engines.orm.ends import Ended, Ends
from django_jobs.models import Claim, Event, Job, JobLog, JobProgress, JobRun, JobStep, Tick, Wait
from django_jobs.models.conditions import in_due_index
from django_jobs.states import FINAL, RunOutcome, State


class Rescuing(Ends):
    """The verbs of the maintenance duties."""

    def promote(self, limit: int, now: datetime | None = None) -> set[str]:
        """Make due jobs READY; they keep `run_at` as their place in line."""
        due = in_due_index() & Q(run_at__lte=self.at(now))
        queues: set[str] = set()
        if self.jobs.filter(due).exists():  # a look in vain takes no lock
            with self.transaction():
                locked = self.free(self.jobs.filter(due).order_by("run_at"))
                rows = dict(locked.values_list("pk", "queue")[:limit])
                self.jobs.filter(due, pk__in=list(rows)).update(state=State.READY, waiting_for=None)
                queues |= set(rows.values())
        if Event.objects.using(self.alias).filter(handed_out_at=None).exists():
            queues.add(self.EVENTS)
        return queues

    def rescue(self, limit: int, now: datetime | None = None) -> list[Rescued]:
        """Take the jobs of expired claims, page by page, each page in its own transaction."""
        now = self.at(now)
        last: tuple[datetime, int] | None = None
        rescued: list[Rescued] = []
        while True:
            with self.transaction():
                page = self._expired(limit, now, last)
                for claim in page:
                    rescued += self._rescue(claim, now)
            if len(page) < limit:
                return rescued
            last = (page[-1].expires_at, page[-1].pk)

    def _expired(
        self, limit: int, now: datetime, last: tuple[datetime, int] | None
    ) -> Sequence[Claim]:
        expired = self.claims.filter(expires_at__lt=now).order_by("expires_at", "pk")
        if last is not None:
            later = Q(expires_at__gt=last[0]) | Q(expires_at=last[0], pk__gt=last[1])
            expired = expired.filter(later)
        return list(self.free(expired)[:limit])

    def _rescue(self, claim: Claim, now: datetime) -> Iterator[Rescued]:
        held = self.jobs.filter(pk__in=claim.job_ids, claim_id=claim.pk).order_by("pk")
        jobs = list(self.free(held))
        for job in jobs:
            state = _state_after_loss(job)
            self._lose(job, state, now)
            self._record_loss(job, claim, state, now)
            yield Rescued(job.pk, claim.pk, job.queue, state, claim.worker, job.name)
        if jobs:
            self.tell_ends(
                [Ended(job.pk, job.name, _state_after_loss(job), job.watched) for job in jobs], now
            )
            taken = {job.pk for job in jobs}
            left = [job_id for job_id in claim.job_ids if job_id not in taken]
            self.claims.filter(pk=claim.pk).update(job_ids=left)

    def _lose(self, job: Job, state: State, now: datetime) -> None:
        self.jobs.filter(pk=job.pk, claim_id=job.claim_id).update(
            state=state,
            claim_id=None,
            attempt=job.attempt - 1,
            lost_count=job.lost_count + 1,
            run_at=now if state is State.READY else job.run_at,
            finished_at=now if state in FINAL else None,
            fingerprint=LOST_FINGERPRINT if state is State.FAILED else job.fingerprint,
        )

    def _record_loss(self, job: Job, claim: Claim, state: State, now: datetime) -> None:
        text = lost_text(state, claim.worker, claim.expires_at)
        self.runs.create(
            job_id=job.pk,
            claim_id=claim.pk,
            attempt=job.attempt,
            outcome=RunOutcome.LOST,
            started_at=job.started_at,
            finished_at=now,
            worker=claim.worker,
            error_type=WORKER_LOST,
            error=text[:255],
            error_text=text,
            fingerprint=LOST_FINGERPRINT,
        )

    def expire(self, worker: str, now: datetime | None = None) -> list[Hold]:
        """Let the claims of a dead worker expire a moment ago; return the jobs under them."""
        just_before = self.at(now) - timedelta(milliseconds=1)
        with self.transaction():
            claims = self.free(self.claims.filter(worker=worker).order_by("pk"))
            held = {job_id: claim.pk for claim in claims for job_id in claim.job_ids}
            self.claims.filter(pk__in=[claim.pk for claim in claims]).update(expires_at=just_before)
            rows = self.jobs.filter(pk__in=list(held), claim_id__isnull=False).order_by("pk")
            found = list(rows.values_list("pk", "claim_id"))
        return [Hold(pk, claim_id) for pk, claim_id in found if claim_id == held[pk]]

    def prune(
        self,
        successful_before: datetime,
        failed_before: datetime,
        limit: int,
        after: int = 0,
    ) -> Pruned:
        """Delete old finished jobs in one window of ids; whatever is locked stays for later."""
        old = Q(state=State.SUCCESSFUL, finished_at__lt=successful_before) | Q(
            state__in=[State.FAILED, State.CANCELLED], finished_at__lt=failed_before
        )
        with self.transaction():
            window = self.jobs.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)
            ids = list(window[:limit])
            doomed = self._delete(self.free(self.jobs.filter(old, pk__in=ids)))
        return Pruned(len(doomed), ids[-1] if len(ids) == limit else None)

    def delete(self, job_ids: Collection[int]) -> set[int]:
        """Delete finished jobs, waiting for those that somebody has locked."""
        final = self.jobs.filter(pk__in=sorted(job_ids), state__in=sorted(FINAL))
        with self.transaction():
            return self._delete(self.awaited(final))

    def _delete(self, locked: QuerySet[Job]) -> set[int]:
        """Delete jobs with all that is on record of them; ticks keep how they ended."""
        found = list(locked.values_list("pk", "state", "schedule_id"))
        doomed = {pk for pk, _, _ in found}
        self._note_ends((pk, state, owner) for pk, state, owner in found if owner is not None)
        for model in (JobRun, JobLog, JobProgress, JobStep, Wait):
            self.all_of(model).filter(job_id__in=doomed).delete()
        self.jobs.filter(pk__in=doomed).delete()
        return doomed

    def _note_ends(self, made: Iterable[tuple[int, str, int]]) -> None:
        """Write into the ticks of schedules how their jobs ended: ticks are kept longer."""
        ends: dict[tuple[int, str], list[int]] = {}
        for job_id, state, schedule_id in made:
            ends.setdefault((schedule_id, state), []).append(job_id)
        for (schedule_id, state), ids in ends.items():
            ticks = Tick.objects.using(self.alias).filter(schedule_id=schedule_id, job_id__in=ids)
            ticks.update(job_state=state)


def _state_after_loss(job: Job) -> State:
    if job.cancel_requested_at is not None:
        return State.CANCELLED
    return State.FAILED if job.lost_count + 1 > job.max_lost else State.READY
