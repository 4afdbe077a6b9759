"""What is on record of one job, and goes with it when it is deleted; bounded."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from django_jobs.conf import get_settings
from django_jobs.engines.bounded import beside
from django_jobs.models import Job, JobRun, JobStep
from django_jobs.reports.closeup import with_links
from django_jobs.reports.overview import Amount, amount
from django_jobs.reports.stored import HEAVY, tame_job
from django_jobs.states import LIVE

MOST = 1_000
"""Runs and steps are not counted further."""


@dataclass(frozen=True, slots=True)
class Belongings:
    """One job, with the numbers of what it hangs together with (as in a `Closeup`), and of its rows.

    `needed_by`: the jobs that wait for it and have not ended.
    """

    job: Any
    runs: Amount
    steps: Amount
    needed_by: tuple[int, ...]


def belongings(jobs: QuerySet[Job], job_id: int) -> Belongings | None:
    """Return what is on record of one of `jobs`, `None` if it is not there; three queries.

    Raises Garbled.
    """
    job: Any = with_links(jobs.filter(pk=job_id), job_id).defer(*HEAVY).first()
    if job is None:
        return None
    tame_job(job)
    alias = get_settings().DATABASE
    runs = JobRun.objects.using(alias).filter(job=job_id).order_by().values("pk")
    steps = JobStep.objects.using(alias).filter(job_id=job_id).order_by().values("pk")
    found = Job.objects.using(alias).filter(pk=job_id).order_by()
    numbers = found.aggregate(runs=beside(runs[: MOST + 1]), steps=beside(steps[: MOST + 1]))
    above = {job.parent_id, job.invoked_by} - {None}
    live = Job.objects.using(alias).filter(pk__in=above, state__in=sorted(LIVE)).order_by("pk")
    needed_by = tuple(live.values_list("pk", flat=True))
    runs_seen, steps_seen = amount(numbers["runs"], MOST), amount(numbers["steps"], MOST)
    return Belongings(job, runs_seen, steps_seen, needed_by)
