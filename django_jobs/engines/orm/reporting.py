"""What workers tell people: `report`, `see_queues`, `beat`, `leave`. No truth hangs on it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django_jobs.engines.base import Report
from django_jobs.engines.orm.tallying import Tallying
from django_jobs.engines.workers import WorkerCard
from django_jobs.models import JobLog, JobProgress, Queue, Worker
from django_jobs.serializers import clean_text
from django_jobs.states import Wish


class Reporting(Tallying):
    """The verbs for progress, log lines, queues and workers."""

    def report(self, reports: Sequence[Report], now: datetime | None = None) -> None:
        """Write progress and log lines of the jobs that still run under the named claim."""
        ids = {report.hold.job_id for report in reports}
        with self.transaction():
            held = set(self.jobs.filter(pk__in=ids).values_list("pk", "claim_id"))
            current = [report for report in reports if report.hold in held]
            JobLog.objects.using(self.alias).bulk_create(
                JobLog(
                    job_id=report.hold.job_id,
                    claim_id=report.hold.claim_id,
                    at=at,
                    line=clean_text(line),
                )
                for report in current
                for at, line in report.lines
            )
            self._write_progress(current, now)

    def _write_progress(self, reports: Sequence[Report], now: datetime | None) -> None:
        newest = {report.hold.job_id: report for report in reports if report.done is not None}
        if not newest:
            return
        at = self.at(now)
        JobProgress.objects.using(self.alias).bulk_create(
            (
                JobProgress(
                    job_id=job_id,
                    done=report.done or 0,
                    total=report.total,
                    note=clean_text(report.note)[:255],
                    updated_at=at,
                )
                for job_id, report in sorted(newest.items())
            ),
            update_conflicts=True,
            unique_fields=["job_id"],
            update_fields=["done", "total", "note", "updated_at"],
        )

    def see_queues(self, names: Collection[str]) -> None:
        """Make sure that a Queue row exists for each of `names`."""
        queues = Queue.objects.using(self.alias)
        known = set(queues.filter(name__in=names).values_list("name", flat=True))
        missing = [Queue(name=name) for name in sorted(set(names) - known)]
        if missing:
            queues.bulk_create(missing, ignore_conflicts=True)

    def beat(self, card: WorkerCard, now: datetime | None = None) -> Wish:
        """Write a worker's sign of life; the first one makes its row."""
        rows = Worker.objects.using(self.alias).filter(name=card.name)
        if not rows.update(**_facts(card), beat_at=self.at(now)):
            return self.first_beat(card, now)
        found = rows.values_list("wish", flat=True).first()
        return card.wish if found is None else Wish(found)

    def first_beat(self, card: WorkerCard, now: datetime | None) -> Wish:
        """Make the row of a worker that obeys what it has been told before.

        One of its name that has gone is another, whose number the system has given anew: nothing
        of its row holds for this one.
        """
        at = self.at(now)
        row = Worker(name=card.name, started_at=at, beat_at=at, wish=card.wish, **_facts(card))
        fields = [each.attname for each in Worker._meta.concrete_fields if not each.unique]
        self.all_of(Worker).bulk_create(
            [row], update_conflicts=True, unique_fields=["name"], update_fields=fields
        )
        self.see_release(card.version, at)
        return card.wish

    def wish_of(self, worker: str) -> Wish | None:
        """Return what somebody wants of a worker; one look into an index."""
        rows = self.all_of(Worker).filter(name=worker).order_by()
        found = rows.values_list("wish", flat=True).first()
        return None if found is None else Wish(found)

    def leave(self, worker: str, now: datetime | None = None) -> None:
        """Note that a worker has gone."""
        Worker.objects.using(self.alias).filter(name=worker).update(left_at=self.at(now))

    def forget_workers(self, before: datetime) -> int:
        """Forget the workers that gave no sign of life since `before`."""
        return self.all_of(Worker).filter(beat_at__lt=before).delete()[0]


def _facts(card: WorkerCard) -> dict[str, Any]:
    return {
        "boot": card.boot,
        "queues": list(card.queues),
        "processes": card.processes,
        "threads": card.threads,
        "version": card.version,
    }
