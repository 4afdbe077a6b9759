"""Everything about one job for people to see: a few queries, none without a bound.

What the page of a job shows at once is read by `read`, what of it changes while it runs by
`glance`. Neither asks more with more runs, steps or children.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Case, F, QuerySet, Subquery, TextField, When
from django.db.models.expressions import OuterRef
from django.db.models.functions import Cast, Length

from django_jobs.conf import get_settings
from django_jobs.engines.bounded import beside
from django_jobs.engines.endings import NEVER
from django_jobs.models import (
    Batch,
    BatchJob,
    Job,
    JobLog,
    JobProgress,
    JobRun,
    JobStep,
    Schedule,
    Wait,
    Worker,
)
from django_jobs.models.conditions import in_unique_index
from django_jobs.reports import stored
from django_jobs.states import FINAL, State
from django_jobs.subscriptions import FINISHED, Match

MOST_RUNS = 20
MOST_STEPS = 200
MOST_CHILDREN = 20
MOST_LINES = 200

ALIKE = 1_000
"""Failures of one kind are not counted further."""

COUNTED_IN = FINAL | {State.SCHEDULED}
"""In other states nobody decides by that number, and the page has more to ask."""

LARGEST_RESULT = 256 * 1024
"""A result that takes more characters is not read, only measured."""

LARGEST_STEP = 2_000
BEGINNINGS = ("error_text", "traceback")


@dataclass(frozen=True, slots=True)
class Closeup:
    """One job with what belongs to it, the newest runs first.

    `job` has what `LINKS` names beside its own fields, its runs have `size` and `kept` (the
    result's length and its text) and `version` (of the worker's code). `alike`: how many jobs failed
    in one way, by fingerprint, this one included. `more_…`: there are others that were not read.
    `unreadable`: what is stored as args, kwargs or original_args and is none; the job has none then.
    """

    job: Any
    runs: tuple[Any, ...] = ()
    more_runs: bool = False
    steps: tuple[Any, ...] = ()
    more_steps: bool = False
    children: tuple[BatchJob, ...] = ()
    more_children: bool = False
    lines: tuple[JobLog, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    alike: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether the job has ended."""
        return self.job.state in FINAL

    @property
    def due(self) -> datetime | None:
        """When the job goes on at the latest, if that is known."""
        waits = self.job.state in (State.SCHEDULED, State.WAITING)
        return self.job.run_at if waits and self.job.run_at < NEVER else None


def read(jobs: "QuerySet[Job]", job_id: int, *, payload: bool) -> Closeup | None:
    """Return everything about one of `jobs`; results and logs with `payload` only."""
    job, unreadable = one(with_links(jobs, job_id), job_id)
    if job is None:
        return None
    runs = _runs(job, MOST_RUNS + 1, payload=payload)
    steps = _steps(job, payload=payload) if job.has_steps else []
    children = _children(job.flow_id) if job.flow_id else []
    return Closeup(
        job,
        tuple(runs[:MOST_RUNS]),
        len(runs) > MOST_RUNS,
        tuple(steps[:MOST_STEPS]),
        len(steps) > MOST_STEPS,
        tuple(children[:MOST_CHILDREN]),
        len(children) > MOST_CHILDREN,
        _lines(job) if payload else (),
        unreadable,
        _alike(job, runs[:MOST_RUNS]),
    )


def glance(jobs: "QuerySet[Job]", job_id: int, *, payload: bool) -> Closeup | None:
    """Return what of a job changes while it runs: itself, its newest run, its log."""
    job, unreadable = one(with_links(jobs, job_id), job_id)
    if job is None:
        return None
    runs = _runs(job, 2, payload=payload)
    return Closeup(
        job,
        tuple(runs[:1]),
        len(runs) > 1,
        lines=_lines(job) if payload else (),
        unreadable=unreadable,
        alike=_alike(job, runs[:1]),
    )


def one(jobs: "QuerySet[Job]", job_id: int) -> tuple[Any, Mapping[str, str]]:
    """Return one of `jobs`, `None` if it is not there, with the texts of its call that are none.

    Raises Garbled.
    """
    rows = stored.with_call(jobs).filter(pk=job_id)
    job: Any = stored.reading_stored(rows.first)
    if job is None:
        return None, {}
    stored.tame_job(job)
    return job, stored.unpack(job)


def with_links(jobs: "QuerySet[Job]", job_id: int) -> "QuerySet[Job]":
    """Return `jobs`, of which one is wanted, with its progress and the numbers of what it hangs together with.

    All in one statement: each of them is one look into an index.
    """
    progress = JobProgress.objects.filter(pk=job_id)
    mine = BatchJob.objects.filter(job_id=job_id).values("batch_id")
    batches = Batch.objects.filter(pk__in=mine).order_by("-id")
    above = batches.filter(parent_id__isnull=False)
    flow = Batch.objects.filter(parent_id=job_id)
    match = Match.of([("job_id", job_id)])
    waits = Wait.objects.filter(event=FINISHED, fields=match.fields, digest=match.digest)
    rivals = Job.objects.filter(in_unique_index(), unique_key=OuterRef("unique_key"))
    return jobs.annotate(
        progress_done=Subquery(progress.values("done")),
        progress_total=Subquery(progress.values("total")),
        progress_note=Subquery(progress.values("note")),
        schedule_name=Subquery(Schedule.objects.filter(pk=OuterRef("schedule_id")).values("name")),
        batch_id=Subquery(batches.filter(parent_id=None).values("id")[:1]),
        parent_id=Subquery(above.values("parent_id")[:1]),
        invoked_by=Subquery(waits.filter(child_id=job_id).order_by("id").values("job_id")[:1]),
        flow_id=Subquery(flow.values("id")),
        flow_total=Subquery(flow.values("total")),
        flow_pending=Subquery(flow.values("pending")),
        rival_id=Subquery(rivals.exclude(pk=job_id).order_by().values("id")[:1]),
    )


def _runs(job: Job, most: int, *, payload: bool) -> list[Any]:
    worker = Worker.everyone.filter(name=OuterRef("worker"))
    runs = JobRun.objects.using(get_settings().DATABASE).filter(job=job.pk).order_by("-id")
    ends = ("log",) if payload else ()
    runs = stored.with_texts(runs.defer("result", "log"), BEGINNINGS, ends)
    runs = runs.annotate(version=Subquery(worker.values("version")[:1]))
    if payload:
        text = Cast("result", TextField())
        runs = runs.annotate(size=Length(text))
        runs = runs.annotate(kept=Case(When(size__lte=LARGEST_RESULT, then=text)))
    found = list(runs[:most])
    for run in found:
        stored.tame(run)
        stored.take_texts(run, BEGINNINGS, ends)
    return found


def _alike(job: Job, runs: Iterable[JobRun]) -> dict[str, int]:
    """Return how many jobs failed like each of these runs, in one statement.

    The fingerprints stand in it as values, so that a rare one is looked up in the index although
    another fills the table.
    """
    kinds = sorted({run.fingerprint for run in runs if run.fingerprint})
    if not kinds or job.state not in COUNTED_IN:
        return {}
    alias = get_settings().DATABASE
    failed = Job.objects.using(alias).filter(state=State.FAILED).order_by("finished_at")
    counts = {
        f"kind_{number}": beside(failed.filter(fingerprint=kind).values("finished_at")[: ALIKE + 1])
        for number, kind in enumerate(kinds)
    }
    found = Job.objects.using(alias).filter(pk=job.pk).order_by().aggregate(**counts)
    return dict(zip(kinds, found.values(), strict=True))


def _steps(job: Job, *, payload: bool) -> list[Any]:
    steps = JobStep.objects.using(get_settings().DATABASE).filter(job_id=job.pk).defer("result")
    if payload:
        short = When(size__lte=LARGEST_STEP, then=F("result"))
        steps = steps.annotate(size=Length("result"), short=Case(short, output_field=TextField()))
    found = list(steps[: MOST_STEPS + 1])
    for step in found:
        stored.tame(step)
    return found


def _children(flow_id: int) -> list[BatchJob]:
    members = BatchJob.objects.using(get_settings().DATABASE).filter(batch_id=flow_id)
    return list(members.order_by("id")[: MOST_CHILDREN + 1])


def _lines(job: Job) -> tuple[JobLog, ...]:
    """Return the last lines of the run that is going on; those of the others are in their rows."""
    if job.state != State.RUNNING:
        return ()
    lines = JobLog.objects.using(get_settings().DATABASE).filter(job_id=job.pk)
    lines = lines.filter(claim_id=job.claim_id or 0).order_by("-id")
    return tuple(reversed(lines[:MOST_LINES]))
