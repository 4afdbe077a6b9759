"""What became of the planned times of schedules, as people read it. Only reads.

However many schedules or planned times there are, three queries tell of them, or one of the last
of each, and all read along an index.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, NullIf
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_jobs.conf import get_settings
from django_jobs.display import grouped
from django_jobs.engines.bounded import BoundedRows
from django_jobs.models import Job, Schedule, Tick
from django_jobs.states import State, spoken
from django_jobs.timetables.planning import COUNT_CAP, TickOutcome

GONE = gettext_lazy("no longer on record")
"""How a job ended that was pruned before anybody looked."""

IN_LINE = gettext_lazy("waiting for the job before it")
PUNCTUAL_OR_NOT = (TickOutcome.ON_TIME, TickOutcome.CAUGHT_UP)

WORDS = {
    TickOutcome.ON_TIME: gettext_lazy("on time"),
    TickOutcome.CAUGHT_UP: gettext_lazy("caught up"),
    TickOutcome.SKIPPED: gettext_lazy("skipped"),
    TickOutcome.MISSED: gettext_lazy("missed"),
    TickOutcome.BACKFILLED: gettext_lazy("backfilled"),
    TickOutcome.MANUAL: gettext_lazy("by hand"),
}


@dataclass(frozen=True, slots=True)
class Record:
    """What became of a planned time, or of `count` of them from `since` to `at`.

    `at`: the planned time; of a job that was started by hand, when it was. `late`: how long
    after it somebody dealt with it; `None` where that says nothing. `job_id`: the job that it
    led to; `has_job_row`: whether that is still there. `ending`: how the job ended or where it
    stands, "" when there is none.
    """

    outcome: TickOutcome
    at: datetime
    since: datetime | None = None
    count: int = 1
    late: timedelta | None = None
    job_id: int | None = None
    has_job_row: bool = False
    ending: str = ""

    @property
    def by_hand(self) -> bool:
        """Whether it is no planned time: somebody started the job."""
        return self.outcome is TickOutcome.MANUAL

    @property
    def words(self) -> str:
        """What became of it: gettext_lazy("on time"), "skipped", "missed 4,219 planned times"."""
        word = str(WORDS[self.outcome])
        if self.since is None:
            return word
        text = _("%(word)s %(number)s planned times")
        if self.count >= COUNT_CAP:
            text = _("%(word)s at least %(number)s planned times")
        return text % {"word": word, "number": grouped(self.count)}

    @property
    def summary(self) -> str:
        """The same with the end of its job: "on time: failed"."""
        return f"{self.words}: {self.ending}" if self.ending else self.words


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A planned time at a glance. `state`: of its job, `None` where that is not known any more."""

    outcome: TickOutcome
    has_job: bool
    state: State | None


def recent(schedule: Schedule, limit: int) -> list[Record]:
    """Return the newest `limit` records of a schedule, the newest first."""
    ticks = _ticks().filter(schedule=schedule)
    return _records(_newest_first([*_timed(ticks)[:limit], *_others(ticks)[:limit]])[:limit])


def newest(schedules: Iterable[Schedule]) -> dict[int, Record]:
    """Return the newest record of each schedule that has any, by the schedule's id."""
    own = _ticks().filter(schedule=OuterRef("pk"))
    picked = Schedule.objects.using(get_settings().DATABASE).values_list(
        Subquery(_timed(own).values("pk")[:1]), Subquery(_others(own).values("pk")[:1])
    )
    found = picked.filter(pk__in=[schedule.pk for schedule in schedules])
    ids = {pk for pair in found for pk in pair if pk is not None}
    latest: dict[int, Tick] = {}
    for tick in _newest_first(_ticks().filter(pk__in=ids)):
        latest.setdefault(tick.schedule_id, tick)
    return dict(zip(latest, _records(list(latest.values())), strict=True))


def lately(schedules: Iterable[Schedule], limit: int) -> dict[int, list[Glimpse]]:
    """Return the last `limit` planned times of each schedule by its id, the newest last; one query."""
    jobs = Job.objects.filter(pk=OuterRef("job_id")).order_by()
    known = Coalesce(NullIf("job_state", Value("")), Subquery(jobs.values("state")), Value(""))
    own = _timed(_ticks().filter(schedule=OuterRef("pk")))[:limit]
    columns = ("planned_at", "outcome", "job_id", "now_state")
    past = BoundedRows(own.annotate(now_state=known), columns)
    rows = Schedule.objects.using(get_settings().DATABASE).order_by()
    found = rows.filter(pk__in=[schedule.pk for schedule in schedules])
    return {
        pk: [_glimpse(*values) for _at, *values in sorted(ticks or ())]
        for pk, ticks in found.values_list("pk", past)
    }


def _glimpse(outcome: str, job_id: int | None, state: str) -> Glimpse:
    known = State(state) if state in State.__members__ else None
    return Glimpse(TickOutcome(outcome), job_id is not None, known)


def newest_id() -> int:
    """Return the id of the newest record of all: what people have seen who look now."""
    return _ticks().order_by("-pk").values_list("pk", flat=True).first() or 0


def by_hand_since(schedule: Schedule, seen: int) -> int | None:
    """Return the id of the newest job that somebody started by hand after record `seen`, if any.

    Ids, not times: the clocks of two machines need not agree.
    """
    manual = _others(_ticks()).filter(schedule=schedule, outcome=TickOutcome.MANUAL)
    found: int | None = manual.filter(pk__gt=seen).values_list("job_id", flat=True).first()
    return found


def _ticks() -> "QuerySet[Tick]":
    return Tick.objects.using(get_settings().DATABASE)


# One index serves both: that of (schedule, planned time).
def _timed(ticks: "QuerySet[Tick]") -> "QuerySet[Tick]":
    return ticks.filter(planned_at__isnull=False).order_by("-planned_at")


def _others(ticks: "QuerySet[Tick]") -> "QuerySet[Tick]":
    """Those started by hand, and those that stand for many; few compared with the rest."""
    return ticks.filter(planned_at__isnull=True).order_by("-pk")


def _newest_first(ticks: Iterable[Tick]) -> list[Tick]:
    return sorted(ticks, key=lambda tick: (_place(tick), tick.pk), reverse=True)


def _place(tick: Tick) -> datetime:
    return tick.planned_at or tick.until or tick.made_at


def _records(ticks: Sequence[Tick]) -> list[Record]:
    ids = [tick.job_id for tick in ticks if tick.job_id is not None]
    rows = Job.objects.using(get_settings().DATABASE).order_by()
    jobs = rows.only("state", "attempt", "cancel_requested_at", "waiting_for").in_bulk(ids)
    return [_record(tick, jobs.get(tick.job_id or 0)) for tick in ticks]


def _record(tick: Tick, job: Job | None) -> Record:
    outcome, at = TickOutcome(tick.outcome), _place(tick)
    return Record(
        outcome=outcome,
        at=at,
        since=tick.since if tick.until else None,
        count=tick.count,
        late=max(tick.made_at - at, timedelta()) if outcome in PUNCTUAL_OR_NOT else None,
        job_id=tick.job_id,
        has_job_row=job is not None,
        ending=_ending(tick, job),
    )


def _ending(tick: Tick, job: Job | None) -> str:
    if tick.job_id is None:
        return ""
    if job is None:
        known = tick.job_state in State.__members__
        return _(spoken(State(tick.job_state))) if known else str(GONE)
    return str(IN_LINE) if tick.held and job.state == State.WAITING else _(job.label)
