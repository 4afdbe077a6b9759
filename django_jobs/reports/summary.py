"""The state of everything in a few bounded queries: counts, queues, workers. Only reads."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, DateTimeField, F, Max, Min, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _

from django_jobs.conf import get_settings
from django_jobs.display import grouped
from django_jobs.engines.bounded import BoundedCount, BoundedMin, as_instant, groups_beside
from django_jobs.models import Batch, BatchJob, Claim, Job, JobRun, Queue, Worker
from django_jobs.operations import is_paused
from django_jobs.states import State, Wish

CAP = 10_000
"""Nothing is counted further than this; then it reads `10,000+`."""

QUEUE_CAP = 1_000
"""The ready jobs of one queue are not counted further, nor is an older one looked for."""

MOST_QUEUES = 200
MOST_WORKERS = 10_000
"""So many queues, and workers, are read; of workers those that were heard of last."""

SHOWN_WORKERS = 200
MOST_CHILDREN = 5
"""So many children of one flow are named."""

INDEXED = (State.READY, State.SCHEDULED, State.WAITING, State.FAILED)
ENDED = (State.SUCCESSFUL, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class QueueSummary:
    """A queue: how many jobs wait in it, since when the oldest does, whether it is paused."""

    name: str
    waiting: str
    oldest: datetime | None
    paused: bool


@dataclass(frozen=True, slots=True)
class WorkerSummary:
    """A worker: name, queues (none: all), newest sign of life, "alive" or "silent", its orders.

    `boot`: what all processes of one start have in common, "" if it is not known.
    """

    name: str
    queues: tuple[str, ...]
    beat_at: datetime
    word: str
    wish: Wish = Wish.NONE
    boot: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether it gave a sign of life within one lease."""
        return self.word == "alive"

    def serves(self, queue: str) -> bool:
        """Say whether it is alive and takes jobs of `queue`: nobody wants it to be quiet."""
        return self.is_alive and self.wish is Wish.NONE and self.is_for(queue)

    def is_for(self, queue: str) -> bool:
        """Say whether it was started for jobs of `queue`."""
        return not self.queues or queue in self.queues


@dataclass(frozen=True, slots=True)
class Backlog:
    """The ready jobs of some queues: how many, in words, and since when the oldest waits.

    Past the cap it is the oldest of those that were counted.
    """

    waiting: str
    oldest: datetime | None

    @property
    def capped(self) -> bool:
        """Whether there are more than were counted."""
        return self.waiting.endswith("+")


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts as (word, number in words), queues by name, workers by name.

    `more_queues`, `more_workers`: there are others.
    """

    counts: tuple[tuple[str, str], ...]
    queues: tuple[QueueSummary, ...]
    workers: tuple[WorkerSummary, ...]
    more_queues: bool = False
    more_workers: bool = False


def summarise(alias: str, now: datetime) -> Summary:
    """Return the state of the jobs database `alias` at `now`."""
    queues, known = _queues(alias, now), workers(alias, now)
    return Summary(
        _counts(alias),
        queues[:MOST_QUEUES],
        shown_workers(known),
        len(queues) > MOST_QUEUES,
        len(known) > SHOWN_WORKERS,
    )


def backlog(alias: str, queues: Collection[str]) -> Backlog:
    """Return what waits in `queues` (none: in all), reading no more rows than the cap."""
    ready = Job.objects.using(alias).filter(state=State.READY).order_by()
    ready = ready.filter(queue__in=queues) if queues else ready
    found = ready[: CAP + 1].aggregate(number=Count("id"), oldest=Min("run_at"))
    return Backlog(capped(found["number"]), found["oldest"])


def scheduled(alias: str, queues: Collection[str]) -> str:
    """Return in words how many jobs are scheduled in `queues` (none: in all).

    No index has their queues: no more rows than the cap are read, of whatever queue.
    """
    rows = Job.objects.using(alias).filter(state=State.SCHEDULED).order_by()[: CAP + 1]
    served = Q(queue__in=queues) if queues else Q(id__isnull=False)
    found = rows.aggregate(seen=Count("id"), served=Count("id", filter=served))
    return grouped(min(found["served"], CAP)) + ("+" if found["seen"] > CAP else "")


def unserved(alias: str, now: datetime) -> list[str]:
    """Return the queues in which jobs wait while no living worker serves them."""
    known = workers(alias, now)
    return [
        item.name
        for item in _queues(alias, now)
        if item.oldest is not None
        and not item.paused
        and not any(worker.serves(item.name) for worker in known)
    ]


def workers(alias: str, now: datetime) -> tuple[WorkerSummary, ...]:
    """Return the workers by name, each with whether it is alive; those that were heard of last."""
    silent_before = now - timedelta(seconds=get_settings().LEASE)
    rows = Worker.objects.using(alias).only("name", "queues", "beat_at", "wish", "boot")
    found = [
        WorkerSummary(
            worker.name,
            tuple(worker.queues),
            worker.beat_at,
            "alive" if worker.beat_at >= silent_before else "silent",
            Wish(worker.wish),
            worker.boot,
        )
        for worker in rows.order_by("-beat_at")[:MOST_WORKERS]
    ]
    return tuple(sorted(found, key=lambda worker: worker.name))


def shown_workers(known: tuple[WorkerSummary, ...]) -> tuple[WorkerSummary, ...]:
    """Return those that people are shown, by name: of very many those that were heard of last."""
    if len(known) <= SHOWN_WORKERS:
        return known
    last = sorted(known, key=lambda worker: worker.beat_at, reverse=True)[:SHOWN_WORKERS]
    return tuple(sorted(last, key=lambda worker: worker.name))


def with_error(jobs: "QuerySet[Job]") -> "QuerySet[Job]":
    """Return `jobs` with `error_type` and `error_line` of the newest run of each."""
    newest = JobRun.objects.filter(job=OuterRef("pk")).order_by("-id")
    return jobs.annotate(
        error_type=Subquery(newest.values("error_type")[:1]),
        error_line=Subquery(newest.values("error")[:1]),
    )


def its_children(job: Job) -> tuple[str, int | None]:
    """Return what the parent of a flow waits for, in words, and the first such child; else ""."""
    alias = get_settings().DATABASE
    flow = Batch.objects.using(alias).filter(parent_id=job.pk, finished_at=None).first()
    if flow is None:
        return "", None
    left = BatchJob.objects.using(alias).filter(batch_id=flow.pk, state="").order_by("id")
    ids = list(left.exclude(job_id=job.pk).values_list("job_id", flat=True)[: MOST_CHILDREN + 1])
    named = ", ".join(f"#{child_id}" for child_id in ids[:MOST_CHILDREN])
    more = " …" if len(ids) > MOST_CHILDREN else ""
    text = _("its children: %(pending)s of %(total)s have not ended") % {
        "pending": grouped(flow.pending),
        "total": grouped(flow.total),
    }
    return (f"{text}, {named}{more}", ids[0]) if ids else (text, None)


def _counts(alias: str) -> tuple[tuple[str, str], ...]:
    jobs = Job.objects.using(alias).order_by()
    counts = [(state, capped(jobs.filter(state=state)[: CAP + 1].count())) for state in INDEXED]
    held = Claim.objects.using(alias).order_by("pk").values_list("job_ids", flat=True)[:CAP]
    counts.insert(2, (State.RUNNING, capped(sum(len(ids) for ids in held))))
    newest = jobs.aggregate(newest=Max("id"))["newest"] or 0
    recent = jobs.filter(id__gt=newest - CAP, state__in=ENDED).values_list("state")
    ended = dict(recent.annotate(number=Count("id")))
    words = [(state.value.lower(), count) for state, count in counts]
    words += [(state.value.lower(), grouped(ended.get(state, 0))) for state in ENDED]
    return tuple(words)


def capped(count: int, cap: int | None = None) -> str:
    """Return a number in words; counting ended at the cap."""
    cap = CAP if cap is None else cap
    return f"{grouped(cap)}+" if count > cap else grouped(count)


def _queues(alias: str, now: datetime) -> tuple[QueueSummary, ...]:
    """Return the first queues by name, and others that the first jobs of all wait in; two queries."""
    ready = Job.objects.using(alias).filter(state=State.READY)
    mine = ready.filter(queue=OuterRef("name")).order_by(F("priority").desc(), "run_at", "id")
    rows: Any = Queue.objects.using(alias).annotate(
        number=BoundedCount(mine.values("run_at")[: QUEUE_CAP + 1]),
        oldest=BoundedMin(mine[:QUEUE_CAP], "run_at", DateTimeField()),
    )
    found = {
        row.name: QueueSummary(
            row.name, capped(row.number, QUEUE_CAP), row.oldest, is_paused(row, now)
        )
        for row in rows[: MOST_QUEUES + 1]
    }
    if len(found) <= MOST_QUEUES:
        found |= _without_rows(alias, found)
    return tuple(found[name] for name in sorted(found)[: MOST_QUEUES + 1])


def _without_rows(alias: str, known: Collection[str]) -> dict[str, QueueSummary]:
    """Return the queues that nobody has a row of, as far as the first ready jobs are in them."""
    jobs = Job.objects.using(alias).order_by()
    first = jobs.filter(state=State.READY)[: CAP + 1]
    groups = jobs.filter(pk=0).aggregate(found=groups_beside(first, ("queue",), "run_at"))
    return {
        name: QueueSummary(name, capped(number), as_instant(least), paused=False)
        for name, number, least, *_ in groups["found"] or ()
        if name not in known
    }
