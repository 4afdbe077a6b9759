"""The verbs about schedules: due ones, their ticks, the jobs that wait for each other.

Whoever writes ticks of a schedule holds the lock of its row. The unique key of (schedule,
planned time) stands behind that: it makes a mistake here an error, never a second job.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db.models import (
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce

from django_jobs.engines.endings import NEVER
from django_jobs.engines.orm.inserting import new_row
from django_jobs.engines.orm.rows import Rows
from django_jobs.engines.schedules import Ticking
from django_jobs.models import Job, Schedule, Tick
from django_jobs.states import FINAL, State
from django_jobs.timetables.planning import LiveJob, Planned, TickOutcome

PREDECESSOR = "the job before it"
"""What a held job waits for, as people read it."""

PRUNED = "PRUNED"
"""What stands in `job_state` when a job was pruned before anybody looked how it had ended."""

ENDS = frozenset({*map(str, FINAL), PRUNED})
"""What `job_state` says of jobs that have ended."""

BLOCK = 500
Moment = tuple[int, datetime]
"""A schedule's id and a planned time."""


class TickVerbs(Rows):
    """The verbs about schedules."""

    @property
    def schedules(self) -> QuerySet[Schedule]:
        """All schedules."""
        return Schedule.objects.using(self.alias)

    @property
    def ticks(self) -> QuerySet[Tick]:
        """All ticks."""
        return Tick.objects.using(self.alias)

    def next_due(
        self, names: Collection[str], aside: Collection[int] = (), now: datetime | None = None
    ) -> float | None:
        """Return the seconds until a schedule of one of the jobs `names` is due."""
        away = ExpressionWrapper(F("next_run_at") - self.instant(now), DurationField())
        rows = self._in_order(names, aside).annotate(away=away)
        nearest: timedelta | None = rows.values_list("away", flat=True).first()
        return None if nearest is None else nearest.total_seconds()

    def lock_due(
        self,
        names: Collection[str],
        limit: int,
        aside: Collection[int] = (),
        now: datetime | None = None,
    ) -> tuple[datetime, list[Schedule]]:
        """Lock the schedules that are due and that nobody has locked."""
        now = self.at(now)
        due = self._in_order(names, aside).filter(next_run_at__lte=now)
        return now, list(self.free(due)[:limit])

    def _in_order(self, names: Collection[str], aside: Collection[int]) -> QuerySet[Schedule]:
        active = self.schedules.filter(next_run_at__isnull=False, job_name__in=sorted(names))
        active = active.exclude(pk__in=sorted(aside)) if aside else active
        return active.order_by("next_run_at")

    def lock_schedule(self, schedule_id: int) -> Schedule | None:
        """Lock a schedule, waiting where it must."""
        return self.awaited(self.schedules.filter(pk=schedule_id)).first()

    def doubt(
        self,
        schedule_ids: Collection[int],
        reason: str,
        patience: float,
        now: datetime | None = None,
    ) -> set[int]:
        """Note that schedules cannot be dealt with here; disable those that nobody could."""
        now = self.at(now)
        with self.transaction():
            rows = self.free(self.schedules.filter(pk__in=schedule_ids, next_run_at__lte=now))
            since = {row.pk: row.doubted_at for row in rows}
            new = [pk for pk, doubted_at in since.items() if doubted_at is None]
            self.schedules.filter(pk__in=new).update(doubted_at=now)
            limit = now - timedelta(seconds=patience)
            hopeless = {pk for pk, doubted_at in since.items() if doubted_at and doubted_at < limit}
            self.schedules.filter(pk__in=hopeless).update(
                disabled_at=now, disabled_reason=reason, next_run_at=None
            )
        return hopeless

    def live_jobs(self, schedule_ids: Collection[int]) -> dict[int, list[LiveJob]]:
        """Return the jobs that have not ended; note of the others how they did."""
        job = self.jobs.filter(pk=OuterRef("job_id")).order_by()
        state = Coalesce(Subquery(job.values("state")[:1]), Value(PRUNED))
        opened = self.ticks.filter(schedule_id__in=schedule_ids, job_id__isnull=False, job_state="")
        rows = opened.annotate(state=state).order_by("pk")
        live: dict[int, list[LiveJob]] = {}
        ended = []
        columns = rows.values_list("pk", "state", "schedule_id", "job_id", "held", "planned_at")
        for pk, job_state, schedule_id, job_id, held, planned_at in columns:
            if job_state in ENDS:
                ended.append(pk)
            else:
                assert job_id is not None
                live.setdefault(schedule_id, []).append(LiveJob(job_id, held, planned_at))
        for start in range(0, len(ended), BLOCK):
            block = self.ticks.filter(pk__in=ended[start : start + BLOCK]).annotate(state=state)
            # Asked once more: somebody may have retried it in between.
            block.filter(state__in=ENDS).update(job_state=state, held=False)
        return live

    def tick(self, tickings: Sequence[Ticking], now: datetime | None = None) -> dict[Moment, int]:
        """Write jobs, ticks and next planned times of locked schedules, all in one transaction."""
        now = self.at(now)
        with self.transaction():
            rows = self._new_rows(tickings, now)
            jobs = {moment: job for moment, (_, job) in rows.items() if job is not None}
            self.jobs.bulk_create(jobs.values(), batch_size=BLOCK)
            asked = {(one.schedule.pk, at): new for one in tickings for at, new in one.jobs.items()}
            for moment, row in jobs.items():
                self.let_cancel(row.pk, asked[moment].cancels, now)
            for tick, job in rows.values():
                tick.job_id = job.pk if job else None
            ticks = [tick for tick, _ in rows.values()]
            new, old = [row for row in ticks if not row.pk], [row for row in ticks if row.pk]
            self.ticks.bulk_create(new, batch_size=BLOCK)
            self.ticks.bulk_update(old, ["outcome", "job_id", "held", "made_at"], BLOCK)
            self._move_on(tickings)
        return {moment: job.pk for moment, job in jobs.items()}

    def _new_rows(
        self, tickings: Sequence[Ticking], now: datetime
    ) -> dict[Moment, tuple[Tick, Job | None]]:
        """Return the rows of the planned times that do not have theirs yet."""
        existing = self._existing(tickings)
        rows: dict[Moment, tuple[Tick, Job | None]] = {}
        for ticking in tickings:
            for planned in ticking.plan.times:
                moment = ticking.schedule.pk, planned.at
                tick = existing.get(moment) if _is_single(planned) else None
                if tick is not None and not (planned.has_job and tick.job_id is None):
                    continue
                job = _job(ticking, planned, now) if planned.has_job else None
                rows[moment] = _filled(tick or Tick(schedule=ticking.schedule), planned, now), job
        return rows

    def _existing(self, tickings: Sequence[Ticking]) -> dict[Moment, Tick]:
        """Return the ticks that these planned times have already."""
        times = {planned.at for ticking in tickings for planned in ticking.plan.times}
        ids = [ticking.schedule.pk for ticking in tickings]
        ticks = self.ticks.filter(schedule_id__in=ids, planned_at__in=times)
        return {(tick.schedule_id, tick.planned_at): tick for tick in ticks if tick.planned_at}

    def _move_on(self, tickings: Sequence[Ticking]) -> None:
        for ticking in tickings:
            schedule = ticking.schedule
            times = [time.until or time.at for time in ticking.plan.times if not _by_hand(time)]
            known = [schedule.last_planned_at] if schedule.last_planned_at else []
            schedule.last_planned_at = max([*known, *times], default=None)
            schedule.next_run_at, schedule.doubted_at = ticking.plan.next_at, None
        fields = ["next_run_at", "last_planned_at", "doubted_at"]
        self.schedules.bulk_update([ticking.schedule for ticking in tickings], fields, BLOCK)

    def release_held(self, limit: int, now: datetime | None = None) -> tuple[set[str], bool]:
        """Make held jobs READY whose predecessors have ended."""
        holding = self.ticks.filter(held=True)
        if not holding.exists():
            return set(), False
        # Only those whose turn has come: a hundred that wait for long must not hide the others.
        ready = self.schedules.filter(
            ~Exists(self._unended()), pk__in=holding.order_by().values("schedule_id")
        )
        ids = list(ready.order_by("pk").values_list("pk", flat=True)[:limit])
        if not ids:
            return set(), True
        now = self.at(now)
        with self.transaction():
            locked = self.free(self.schedules.filter(pk__in=ids).order_by("pk"))
            live = self.live_jobs(locked.values_list("pk", flat=True))
            turn = [jobs[0].job_id for jobs in live.values() if all(job.held for job in jobs)]
            rows = self.jobs.filter(pk__in=turn, state=State.WAITING)
            queues = set(rows.values_list("queue", flat=True))
            rows.update(state=State.READY, run_at=now, waiting_for=None)
            self.ticks.filter(schedule_id__in=ids, job_id__in=turn).update(held=False)
        return queues, True

    def _unended(self) -> QuerySet[Tick]:
        """Return the ticks of the schedule around it whose jobs live and are not held."""
        living = self.jobs.filter(pk=OuterRef("job_id")).exclude(state__in=sorted(FINAL))
        return self.ticks.filter(
            Exists(living.order_by()),
            schedule_id=OuterRef("pk"),
            job_id__isnull=False,
            job_state="",
            held=False,
        ).order_by()

    def prune_ticks(self, before: datetime, limit: int, after: int = 0) -> tuple[int, int | None]:
        """Delete old ticks in one window of ids."""
        window = self.ticks.filter(pk__gt=after).order_by("pk").values_list("pk", "made_at")
        found = list(window[:limit])
        ended = Q(job_id__isnull=True) | ~Q(job_state="")
        old = self.ticks.filter(ended, pk__in=[pk for pk, _ in found], made_at__lt=before)
        count, _ = old.delete()
        # Ids rise with the time: behind a page without anything old there is nothing old.
        more = len(found) == limit and any(made_at < before for _, made_at in found)
        return count, found[-1][0] if more else None

    def reopen(self, job_ids: Collection[int]) -> None:
        """Note that ended jobs live again: their schedules reckon with them."""
        made = self.jobs.filter(pk__in=job_ids, schedule_id__isnull=False)
        for job in made.only("schedule_id"):
            ticks = self.ticks.filter(schedule_id=job.schedule_id or 0, job_id=job.pk)
            ticks.update(job_state="")


def _is_single(planned: Planned) -> bool:
    return planned.until is None and planned.outcome is not TickOutcome.MANUAL


def _by_hand(planned: Planned) -> bool:
    """Whether it says nothing about how far the schedule itself has come."""
    return planned.outcome in (TickOutcome.MANUAL, TickOutcome.BACKFILLED)


def _filled(tick: Tick, planned: Planned, now: datetime) -> Tick:
    tick.planned_at = planned.at if _is_single(planned) else None
    tick.outcome, tick.held, tick.made_at = planned.outcome, planned.hold, now
    if planned.until is not None:
        tick.count, tick.since, tick.until = planned.count, planned.at, planned.until
    return tick


def _job(ticking: Ticking, planned: Planned, now: datetime) -> Job:
    row = new_row(ticking.jobs[planned.at], now)
    row.schedule_id = ticking.schedule.pk
    row.planned_at = planned.at if _is_single(planned) else None
    if planned.hold:
        row.state, row.run_at, row.waiting_for = State.WAITING, NEVER, PREDECESSOR
    return row
