"""Claims and their leases: `claim`, `extend`, `release`, `close`, `sweep`."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db.models import F, QuerySet

from django_jobs.engines.base import Answer, ClaimedJob, Extension, Hold, Only
from django_jobs.engines.lanes import in_turn
from django_jobs.engines.orm.ends import Ended, Ends
from django_jobs.models import Claim, Job
from django_jobs.states import State

Candidate = tuple[int, int]
"""The id and the `lost_count` of a job that may be claimed."""


def chosen(candidates: Sequence[Candidate]) -> list[int]:
    """Return the ids that one claim takes: the first job alone if its worker died, else the rest.

    Jobs under which a worker died never share a claim, so that a job that kills its worker
    costs its neighbours one loss at most.
    """
    if candidates and candidates[0][1] > 0:
        return [candidates[0][0]]
    return [job_id for job_id, lost_count in candidates if lost_count == 0]


class Claiming(Ends):
    """The verbs about claims."""

    turn = 0

    def claim(  # noqa: PLR0913 - most of them by name only
        self,
        queues: Collection[str] | None,
        limit: int,
        worker: str,
        lease: float,
        *,
        solo: bool = True,
        only: Only | None = None,
        now: datetime | None = None,
    ) -> list[ClaimedJob]:
        """Take ready jobs: lock candidates lane by lane, then write the claim and the jobs."""
        now = self.at(now)
        with self.transaction():
            ids = chosen(self._candidates(queues, limit, now, solo=solo, only=only))
            if not ids:
                return []
            until = now + timedelta(seconds=lease)
            claim = self.claims.create(worker=worker, expires_at=until, job_ids=[])
            ready = self.jobs.filter(pk__in=ids, state=State.READY)
            ready.update(
                state=State.RUNNING, attempt=F("attempt") + 1, claim_id=claim.pk, started_at=now
            )
            rows = self.jobs.filter(pk__in=ids, claim_id=claim.pk).in_bulk()
            self.claims.filter(pk=claim.pk).update(job_ids=sorted(rows))
        return [_claimed(rows[job_id], claim.pk, now) for job_id in ids if job_id in rows]

    def _candidates(
        self,
        queues: Collection[str] | None,
        limit: int,
        now: datetime,
        *,
        solo: bool,
        only: Only | None,
    ) -> list[Candidate]:
        self.turn += 1
        ready = self.jobs.filter(state=State.READY).order_by("run_at", "pk")
        ready = ready if solo else ready.filter(lost_count=0)
        names = ready if queues is None else ready.filter(queue__in=queues)
        names = names.exclude(queue__in=self.paused(now)).order_by()
        lanes = set(names.values_list("queue", "priority").distinct())
        found: list[Candidate] = []
        for queue, priority in in_turn(lanes, self.turn):
            if len(found) >= limit:
                break
            lane = self.free(self._near(ready.filter(queue=queue, priority=priority), only))
            found += lane.values_list("pk", "lost_count")[: limit - len(found)]
        return found

    def _near(self, lane: QuerySet[Job], only: Only | None) -> QuerySet[Job]:
        """Return those of the first jobs in `lane` that `only` allows."""
        if only is None:
            return lane
        rows = list(lane.values_list("pk", "name")[: self.WINDOW])
        near = [pk for pk, name in rows if (name in only.names) is not only.but]
        return lane.filter(pk__in=near)

    def extend(
        self, claim_ids: Sequence[int], lease: float, now: datetime | None = None
    ) -> dict[int, Extension]:
        """Push the deadline of the claims that nobody has locked."""
        until = self.at(now) + timedelta(seconds=lease)
        named = self.claims.filter(pk__in=claim_ids)
        with self.transaction():
            locked = self.free(named.order_by("pk")).in_bulk()
            self.claims.filter(pk__in=list(locked)).update(expires_at=until)
        existing = set(named.values_list("pk", flat=True))
        return {claim_id: _answer(claim_id, locked, existing) for claim_id in claim_ids}

    def release(
        self,
        holds: Sequence[Hold],
        *,
        delay: float = 0.0,
        unknown: bool = False,
        patient: bool = True,
        now: datetime | None = None,
    ) -> set[Hold]:
        """Hand back jobs that never started; their place in line is kept unless delayed."""
        del patient
        now = self.at(now)
        wanted = set(holds)
        ids = sorted({hold.job_id for hold in holds})
        released, ended = set(), []
        with self.transaction():
            for job in self.free(self.jobs.filter(pk__in=ids).order_by("pk")):
                hold = Hold(job.pk, job.claim_id or 0)
                if hold not in wanted:
                    continue
                ended.append(self._release(job, delay, now, unknown=unknown))
                released.add(hold)
            self.tell_ends(ended, now)
        return released

    def _release(self, job: Job, delay: float, now: datetime, *, unknown: bool) -> Ended:
        state = State.SCHEDULED if delay > 0 else State.READY
        state = State.CANCELLED if job.cancel_requested_at else state
        self.jobs.filter(pk=job.pk).update(
            state=state,
            claim_id=None,
            attempt=job.attempt - 1,
            run_at=now + timedelta(seconds=delay) if delay > 0 else job.run_at,
            finished_at=now if state is State.CANCELLED else None,
            unknown_since=(job.unknown_since or now) if unknown else job.unknown_since,
        )
        return Ended(job.pk, job.name, state, job.watched)

    def close(self, claim_ids: Sequence[int]) -> int:
        """Delete those of `claim_ids` under which no job runs any more."""
        with self.transaction():
            return self._delete_empty(self.claims.filter(pk__in=claim_ids))

    def sweep(self, limit: int, now: datetime | None = None) -> int:
        """Delete expired claims under which no job runs any more."""
        now = self.at(now)
        with self.transaction():
            expired = self.free(self.claims.filter(expires_at__lt=now).order_by("pk"))
            return self._delete_empty(expired, limit)

    def _delete_empty(self, claims: QuerySet[Claim], limit: int | None = None) -> int:
        # A claim's jobs only become fewer, so what is empty here stays empty.
        rows = list(claims)
        ids = {job_id for claim in rows for job_id in claim.job_ids}
        running = self.jobs.filter(pk__in=ids, claim_id__in=[claim.pk for claim in rows])
        busy = set(running.values_list("claim_id", flat=True))
        empty = [claim.pk for claim in rows if claim.pk not in busy][:limit]
        return self.claims.filter(pk__in=empty).delete()[0]


def _claimed(job: Job, claim_id: int, now: datetime) -> ClaimedJob:
    return ClaimedJob(
        job.pk,
        claim_id,
        job.name,
        job.queue,
        job.priority,
        json.dumps(job.args),
        json.dumps(job.kwargs),
        job.attempt,
        job.max_attempts,
        job.lost_count,
        job.planned_at,
        job.has_steps,
        (now - job.run_at).total_seconds(),
    )


def _answer(claim_id: int, locked: dict[int, Claim], existing: set[int]) -> Extension:
    if claim_id in locked:
        claim = locked[claim_id]
        return Extension(Answer.EXTENDED, frozenset(claim.job_ids), frozenset(claim.cancel_ids))
    return Extension(Answer.BUSY if claim_id in existing else Answer.MISSING)
