"""What the pages say about a job: its state in a word, its attempts, its newest error, its progress.

Reads the tables of django_jobs, which are there to be read; changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils import timezone

from django_jobs import State
from django_jobs.models import Job, JobProgress, JobRun

LIVE = [State.SCHEDULED, State.READY, State.RUNNING, State.WAITING]
GIVEN_UP = [State.FAILED, State.CANCELLED]
TONES = {State.SUCCESSFUL: "good", State.FAILED: "bad", State.CANCELLED: "bad"}


@dataclass(frozen=True, slots=True)
class Watched:
    """One look at a job. A job that was pruned has no state, and "gone" for a word."""

    id: int | None
    state: str = ""
    word: str = "gone"
    attempt: int = 0
    max_attempts: int = 0
    run_at: datetime | None = None
    error: str = ""
    percent: int = 0

    @property
    def live(self) -> bool:
        """Whether it may still do something by itself."""
        return self.state in LIVE

    @property
    def queued(self) -> bool:
        """Whether it waits for a worker and never ran."""
        return self.live and self.state != State.RUNNING and not self.attempt

    @property
    def successful(self) -> bool:
        """Whether it has done what it was there for."""
        return self.state == State.SUCCESSFUL

    @property
    def given_up(self) -> bool:
        """Whether it ended without success; an operator may have it run again."""
        return self.state in GIVEN_UP

    @property
    def tone(self) -> str:
        """The style of its state."""
        return TONES.get(State(self.state), "warm") if self.state else "muted"

    @property
    def next_try(self) -> int | None:
        """Seconds until it is tried again; `None` when no try is planned."""
        if self.state != State.SCHEDULED or self.run_at is None:
            return None
        return max(0, round((self.run_at - timezone.now()).total_seconds()))

    @property
    def url(self) -> str:
        """The address of its page in the admin; "" when it is gone."""
        return job_url(self.id) if self.state else ""


def watch(job_ids: Iterable[int | None]) -> dict[int | None, Watched]:
    """Return a look at each job, in three queries, however many jobs there are."""
    wanted = set(job_ids)
    runs = JobRun.objects.filter(job_id__in=wanted).exclude(error="").order_by("pk")
    errors = dict(runs.values_list("job_id", "error"))
    percents = {row.job_id: _percent(row) for row in JobProgress.objects.filter(job_id__in=wanted)}
    found: dict[int | None, Watched] = {
        job.pk: Watched(
            id=job.pk,
            state=job.state,
            word=job.label,
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            run_at=job.run_at,
            error=errors.get(job.pk, ""),
            percent=percents.get(job.pk, 0),
        )
        for job in Job.objects.filter(pk__in=wanted)
    }
    return {job_id: found.get(job_id, Watched(job_id)) for job_id in wanted}


def watch_one(job_id: int | None) -> Watched:
    """Return a look at one job."""
    return watch([job_id])[job_id]


def job_url(job_id: int | None) -> str:
    """Return the address of a job's page in the admin."""
    return reverse("admin:django_jobs_job_change", args=[job_id])


def _percent(row: JobProgress) -> int:
    """Return the progress in percent, rounded down so that 100 means all."""
    return 100 * row.done // row.total if row.total else 0
