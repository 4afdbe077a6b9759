"""What operators do to jobs: `move`, `ask_to_stop`, `take`. Locks: jobs first, then claims."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db import transaction

from django_jobs.engines.endings import TAKEN_AWAY, TAKEN_TEXTS
from django_jobs.engines.orm.ends import Ended, Ends
from django_jobs.models import Job, JobRun
from django_jobs.states import FINAL, RunOutcome, State

RETRY: dict[str, Any] = {
    "attempt": 0,
    "lost_count": 0,
    "cancel_requested_at": None,
    "finished_at": None,
    "fingerprint": "",
    "unknown_since": None,
}
"""What an operator's retry resets; the history stays."""


class Operating(Ends):
    """The operators' verbs."""

    def move(
        self,
        job_ids: Collection[int],
        to: State,
        allowed_from: Iterable[State],
        now: datetime | None = None,
    ) -> set[int]:
        """Move jobs that do not run; of those that changed meanwhile nothing is written."""
        now = self.at(now)
        allowed = set(allowed_from) - {State.RUNNING}
        with transaction.atomic(using=self.alias):
            rows = self.awaited(self.jobs.filter(pk__in=sorted(job_ids), state__in=allowed))
            found = {row[0]: row[1:] for row in rows.values_list("pk", "state", "name", "watched")}
            final = {pk for pk, (state, *_) in found.items() if state in FINAL}
            idle = found.keys() - final
            self._move(idle, to, now, {})
            self._move(final, to, now, RETRY if to is State.READY else {})
            self.tell_ends([Ended(pk, found[pk][1], to, found[pk][2]) for pk in sorted(idle)], now)
        return idle | final

    def _move(self, ids: set[int], to: State, now: datetime, values: dict[str, Any]) -> None:
        instants = {"run_at": now} if to not in FINAL else {"finished_at": now}
        rows = self.jobs.filter(pk__in=ids).exclude(state=State.RUNNING)
        rows.update(state=to, waiting_for=None, **{**values, **instants})

    def ask_to_stop(self, job_ids: Collection[int], now: datetime | None = None) -> set[int]:
        """Record the request on the jobs, where it survives, and on the claims, as a message."""
        now = self.at(now)
        with self.transaction():
            jobs = self._running(job_ids)
            new = [job.pk for job in jobs if job.cancel_requested_at is None]
            self.jobs.filter(pk__in=new).update(cancel_requested_at=now)
            by_claim = _by_claim(jobs)
            for claim in self.awaited(self.claims.filter(pk__in=list(by_claim))):
                asked = sorted({*claim.cancel_ids, *by_claim[claim.pk]})
                self.claims.filter(pk=claim.pk).update(cancel_ids=asked)
        return {job.pk for job in jobs}

    def take(
        self,
        job_ids: Collection[int],
        to: State,
        outcome: RunOutcome,
        now: datetime | None = None,
    ) -> set[int]:
        """Take running jobs away, end their runs, and take them off their claims."""
        now = self.at(now)
        with self.transaction():
            jobs = self._running(job_ids)
            by_claim = _by_claim(jobs)
            claims = self.awaited(self.claims.filter(pk__in=list(by_claim))).in_bulk()
            for job in jobs:
                claim = claims.get(job.claim_id or 0)
                worker = claim.worker if claim else ""
                text = TAKEN_TEXTS[to].format(worker=worker)
                self._record_taken(job, outcome, worker, text, now)
                self._take(job, to, now)
            self.tell_ends([Ended(job.pk, job.name, to, job.watched) for job in jobs], now)
            for claim in claims.values():
                left = [pk for pk in claim.job_ids if pk not in by_claim[claim.pk]]
                self.claims.filter(pk=claim.pk).update(job_ids=left)
        return {job.pk for job in jobs}

    def _running(self, job_ids: Collection[int]) -> list[Job]:
        return list(self.awaited(self.jobs.filter(pk__in=sorted(job_ids), state=State.RUNNING)))

    def _take(self, job: Job, to: State, now: datetime) -> None:
        final = to in FINAL
        self.jobs.filter(pk=job.pk).update(
            state=to,
            claim_id=None,
            attempt=job.attempt if final else job.attempt - 1,
            run_at=job.run_at if final else now,
            finished_at=now if final else None,
            cancel_requested_at=job.cancel_requested_at if final else None,
        )

    def _record_taken(
        self, job: Job, outcome: RunOutcome, worker: str, text: str, now: datetime
    ) -> None:
        run = JobRun(
            job_id=job.pk,
            claim_id=job.claim_id or 0,
            attempt=job.attempt,
            outcome=outcome,
            started_at=job.started_at,
            finished_at=now,
            worker=worker,
            error_type=TAKEN_AWAY,
            error=text[:255],
            error_text=text,
        )
        run.save(using=self.alias, force_insert=True)


def _by_claim(jobs: Iterable[Job]) -> dict[int, set[int]]:
    ids: dict[int, set[int]] = {}
    for job in jobs:
        ids.setdefault(job.claim_id or 0, set()).add(job.pk)
    return ids
