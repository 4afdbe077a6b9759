"""The end of a run: `finish`, and what to say about finishes that changed nothing."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q

from django_jobs.engines.base import Finish, Finished, Hold
from django_jobs.engines.endings import is_repeated, job_ending, run_ending
from django_jobs.engines.orm.ends import Ended, Ends
from django_jobs.models import Job, JobLog, JobRun
from django_jobs.serializers import load
from django_jobs.states import State


class Finishing(Ends):
    """The verb that ends runs."""

    def finish(
        self,
        finishes: Sequence[Finish],
        worker: str,
        now: datetime | None = None,
        *,
        patient: bool = True,
    ) -> Finished:
        """Write how runs ended, where the claim still holds and nobody has locked the job."""
        del patient
        now = self.at(now)
        ordered = sorted(finishes, key=lambda finish: finish.hold)
        with self.transaction():
            applied, told = self._apply(ordered, worker, now)
            self.forget_lines(finish for finish in ordered if finish.hold in applied)
            return self.account(ordered, applied, now, told=told)

    def _apply(
        self, finishes: Sequence[Finish], worker: str, now: datetime
    ) -> tuple[set[Hold], bool]:
        ids = [finish.hold.job_id for finish in finishes]
        locked = {
            (job.pk, job.claim_id): job
            for job in self.free(self.jobs.filter(pk__in=ids).order_by("pk"))
        }
        runs, ended, applied = [], [], set()
        for finish in finishes:
            job = locked.pop(finish.hold, None)
            if job is None:
                continue
            state, run = self._end(job, finish, worker, now)
            runs += [run] if run else []
            ended.append(Ended(job.pk, job.name, state, job.watched))
            applied.add(finish.hold)
        self.runs.bulk_create(runs)
        return applied, self.tell_ends(ended, now)

    def _end(
        self, job: Job, finish: Finish, worker: str, now: datetime
    ) -> tuple[State, JobRun | None]:
        asked = job.cancel_requested_at is not None
        ending = job_ending(finish, job.attempt, now, asked_to_stop=asked, woken=job.woken)
        unchanged = {"lost_count", "run_at", "fingerprint"}
        values: dict[str, Any] = {
            name: value
            for name, value in ending._asdict().items()
            if value is not None or name not in unchanged
        }
        self.jobs.filter(pk=job.pk, claim_id=finish.hold.claim_id).update(
            claim_id=None, unknown_since=None, woken=False, **values
        )
        run = run_ending(finish, job.attempt, worker, now, asked_to_stop=asked)
        row = JobRun(**{**run._asdict(), "result": load(run.result)}) if run else None
        return ending.state, row

    def forget_lines(self, finishes: Iterable[Finish]) -> None:
        """Delete the log lines of runs whose log is in their JobRun now."""
        for finish in finishes:
            if finish.log:
                job_id, claim_id = finish.hold
                lines = JobLog.objects.using(self.alias)
                lines.filter(job_id=job_id, claim_id=claim_id).delete()

    def account(
        self,
        finishes: Sequence[Finish],
        applied: Iterable[Hold],
        now: datetime | None,
        *,
        told: bool = False,
    ) -> Finished:
        """Return what became of `finishes`, of which `applied` were just written.

        Of the others, those still ours are locked by somebody; those whose run is on record
        as we would write it were applied before; the rest came too late.
        """
        applied = frozenset(applied)
        rest = {finish.hold: finish for finish in finishes if finish.hold not in applied}
        if not rest:
            return Finished(applied, told=told)
        busy = self.still_held(rest)
        recorded = self._recorded(rest)
        repeated = {
            hold
            for hold, (outcome, error_type) in recorded.items()
            if hold not in busy and is_repeated(rest[hold], outcome, error_type)
        }
        fenced = frozenset(rest) - busy - repeated
        self._mark_fenced(fenced & set(recorded), now)
        return Finished(applied | repeated, frozenset(busy), fenced, told)

    def still_held(self, holds: Iterable[Hold]) -> set[Hold]:
        """Return those of `holds` whose job still runs under the claim."""
        wanted = set(holds)
        rows = self.jobs.filter(pk__in={hold.job_id for hold in wanted}, claim_id__isnull=False)
        return wanted & {
            Hold(pk, claim_id or 0) for pk, claim_id in rows.values_list("pk", "claim_id")
        }

    def _recorded(self, holds: Iterable[Hold]) -> dict[Hold, tuple[str, str]]:
        wanted = set(holds)
        rows = self.runs.filter(
            job__in={hold.job_id for hold in wanted},
            claim_id__in={hold.claim_id for hold in wanted},
        )
        found = rows.values_list("job_id", "claim_id", "outcome", "error_type")
        runs = {Hold(row[0], row[1]): (row[2], row[3]) for row in found}
        return {hold: run for hold, run in runs.items() if hold in wanted}

    def _mark_fenced(self, holds: Iterable[Hold], now: datetime | None) -> None:
        late = Q(pk__in=[])
        for job_id, claim_id in holds:
            late |= Q(job_id=job_id, claim_id=claim_id)
        if late != Q(pk__in=[]):
            self.runs.filter(late, fenced_at__isnull=True).update(fenced_at=self.at(now))
