"""How far a search looks, how many jobs it sees in each state, and its pages. Only reads.

An index answers searches for numbers, for errors, and for one of the states that have an index,
up to 10,000 jobs. All others look at 100,000 jobs at once: at the newest, or at those before a
number. Nothing is counted further than 10,000.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.db.models import Count, F, Max, Q, QuerySet

from django_jobs.engines.bounded import beside
from django_jobs.models import Job, JobRun
from django_jobs.models.conditions import in_due_index
from django_jobs.reports.overview import Amount
from django_jobs.searching.criteria import Criteria
from django_jobs.searching.matching import Held, Jobs, held_by_worker, matching
from django_jobs.states import State

WINDOW = 100_000
"""So many numbers of jobs are looked at where no index answers."""

CAP = 10_000
LATER = (State.SCHEDULED, State.WAITING)
UNINDEXED = (State.SUCCESSFUL, State.CANCELLED)
IN_INDEX = "in_index"


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, newest first, and whether there are newer and older ones that fit."""

    jobs: tuple[Job, ...] = ()
    newer: bool = False
    older: bool = False


class Survey:
    """One search in the jobs of one database.

    `to`: the newest number that is looked at (default: the newest there is). Nothing is read before
    it is asked for, so that it can be within a limit of time.
    """

    def __init__(self, alias: str, criteria: Criteria, to: int | None = None) -> None:
        self.alias = alias
        self.criteria = criteria
        self._to = to

    @cached_property
    def newest(self) -> int:
        """The biggest number of all jobs, 0 where there are none."""
        jobs = Job.objects.using(self.alias).order_by()
        return jobs.aggregate(newest=Max("pk"))["newest"] or 0

    @property
    def high(self) -> int:
        """The biggest number that is looked at."""
        return self.newest if self._to is None else min(self._to, self.newest)

    @property
    def low(self) -> int:
        """The numbers that are looked at are above this one."""
        return max(self.high - WINDOW, 0)

    @cached_property
    def counts(self) -> dict[str, Amount]:
        """How many jobs there are in each state that fit but for their state, by its word."""
        found = dict(self._numbers)
        states = self.criteria.stored_states
        if states and self._by_index and not (self.criteria.only_states or self.is_indexed):
            rows = self.rows(Job.objects.using(self.alias)).values("pk")[: CAP + 1]
            (state,) = states
            found[state.value] = _amount(rows.count(), more=False)
        return {state.value.lower(): found[state.value] for state in State}

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left out: an index has answered, or all jobs were looked at."""
        return self._by_index or self._sees_all

    @property
    def is_indexed(self) -> bool:
        """Whether an index has all that fit, however many they are."""
        criteria = self.criteria
        others = replace(criteria, states=None, fingerprints=None)
        return self._index is not None and others.is_empty and not self._has_words

    def rows(self, jobs: Jobs) -> Jobs:
        """Return those of `jobs` that fit, as far as is looked, without an order."""
        anywhere = self._by_index or self.criteria.is_empty
        found = matching(jobs.order_by(), self.criteria, self._held, walks=not anywhere)
        if self.criteria.stored_states == frozenset({State.RUNNING}):
            found = found.filter(pk__in=self._running)
        if not anywhere:
            return self._within(found)
        states = self.criteria.stored_states
        return found.filter(in_due_index()) if states and states.issubset(LATER) else found

    def page(
        self, rows: Jobs, size: int, *, before: int | None = None, after: int | None = None
    ) -> Page:
        """Return the newest of `rows`, which `rows()` gave: `before` a number, or next `after` it."""
        if self.criteria.problems or not self.newest:
            return Page()
        # By the bare number a plan may walk all jobs from the newest on, however rare these are.
        key: Any = F("pk") + 0 if self._by_index else F("pk")
        if after is not None:
            found = list(rows.filter(pk__gt=after).order_by(key.asc())[: size + 1])
            return Page(tuple(found[:size][::-1]), newer=len(found) > size, older=True)
        rows = rows if before is None else rows.filter(pk__lt=before)
        found = list(rows.order_by(key.desc())[: size + 1])
        return Page(tuple(found[:size]), newer=before is not None, older=len(found) > size)

    def newer(self, than: int, most: int) -> int:
        """Return how many jobs that fit are newer `than` a number, at most `most`."""
        rows = matching(Job.objects.using(self.alias), self.criteria, self._held)
        rows = rows.filter(pk__gt=than, pk__lte=than + WINDOW).order_by("pk")
        return 0 if self.newest <= than else rows.values("pk")[:most].count()

    @cached_property
    def _held(self) -> Held:
        return held_by_worker(self.alias)

    @cached_property
    def _running(self) -> list[int]:
        # 0 is no job; without any, Django would leave the question out, and its answer with it.
        return [job_id for job_ids in self._held.values() for job_id in job_ids] or [0]

    def _within(self, rows: Jobs) -> Jobs:
        """Return those of `rows` that are looked at."""
        rows = rows.filter(pk__gt=self.low, pk__lte=self.high)
        runs = JobRun.objects.filter(job__gt=self.low, job__lte=self.high)
        for name in self.criteria.workers:
            # The newest run of each job is looked up for these only, not for all.
            ran = runs.filter(worker__contains=name).values("job_id")
            rows = rows.filter(Q(pk__in=ran) | Q(pk__in=self._running))
        return rows

    @property
    def _sees_all(self) -> bool:
        return self.high == self.newest and (self.low == 0 or self.criteria.is_empty)

    @property
    def _has_words(self) -> bool:
        return bool(self.criteria.states) and "retrying" in (self.criteria.states or ())

    @cached_property
    def _by_index(self) -> bool:
        if self.criteria.ids is not None:
            return True
        return self._index is not None and not self._numbers[IN_INDEX].capped

    @cached_property
    def _index(self) -> "QuerySet[Any, Any] | None":
        """The rows of the index that has all that fit, one more than are counted; `None`: none."""
        jobs, criteria = Job.objects.using(self.alias).order_by(), self.criteria
        states = criteria.stored_states
        if criteria.fingerprints is not None:
            failed = jobs.filter(state=State.FAILED, fingerprint__in=criteria.fingerprints)
            return failed.order_by("-finished_at").values("finished_at")[: CAP + 1]
        if states is None or len(states) != 1:
            return None
        (state,) = states
        return self._of_state(jobs, state, criteria.queues)

    def _of_state(
        self, jobs: Jobs, state: State, queues: Collection[str] | None
    ) -> "QuerySet[Any, Any] | None":
        if state is State.READY:
            ready = jobs.filter(state=state) if queues is None else jobs.filter(queue__in=queues)
            return ready.filter(state=state).values("queue")[: CAP + 1]
        if state is State.RUNNING:
            return jobs.filter(pk__in=self._running, state=state).values("pk")[: CAP + 1]
        if state is State.FAILED:
            failed = jobs.filter(state=state).order_by("-finished_at")
            return failed.values("finished_at")[: CAP + 1]
        if state in LATER:
            # Both, for their index has no column for the state.
            return jobs.filter(in_due_index()).order_by("run_at").values("run_at")[: CAP + 1]
        return None

    @cached_property
    def _numbers(self) -> dict[str, Amount]:
        """All counts in one query: by state, and what is in the index of this search."""
        in_index = {} if self._index is None else {IN_INDEX: beside(self._index)}
        by_state = self._by_state if self.criteria.only_states else self._by_state_of_those
        return by_state(in_index)

    def _by_state(self, more: dict[str, Any]) -> dict[str, Amount]:
        """Return how many jobs there are in each state; no index has those that ended well."""
        jobs = Job.objects.using(self.alias).order_by()
        later = jobs.filter(in_due_index()).order_by("run_at")[: CAP + 1]
        window = jobs.filter(pk__gt=self.low, pk__lte=self.high)
        indexed = {state: self._of_state(jobs, state, None) for state in _PLAIN}
        found = later.aggregate(
            seen=Count("id"),
            **{state.value: Count("id", filter=Q(state=state)) for state in LATER},
            **{state.value: beside(rows) for state, rows in indexed.items() if rows is not None},
            **{s.value: beside(window.filter(state=s).values("pk")[: CAP + 1]) for s in UNINDEXED},
            **more,
        )
        many = found.pop("seen") > CAP
        partly = {state.value for state in UNINDEXED} if self.low or self._is_older else set()
        partly |= {state.value for state in LATER} if many else set()
        return {name: _amount(number, more=name in partly) for name, number in found.items()}

    def _by_state_of_those(self, more: dict[str, Any]) -> dict[str, Amount]:
        """Return how many of those that fit but for their state are in each state."""
        criteria = replace(self.criteria, states=None)
        rows = matching(Job.objects.using(self.alias).order_by(), criteria, self._held)
        direct = criteria.ids is not None
        if not direct:
            rows = self._within(rows)
        states = {state.value: Count("id", filter=Q(state=state)) for state in State}
        found = rows.aggregate(**states, **more)
        if self.is_indexed:  # by fingerprints, which only failed jobs have in the index
            found[State.FAILED.value] = found[IN_INDEX]
            return {name: _amount(number, more=False) for name, number in found.items()}
        partly = not direct and bool(self.low or self._is_older)
        return {name: _amount(n, more=partly and name != IN_INDEX) for name, n in found.items()}

    @property
    def _is_older(self) -> bool:
        return self.high < self.newest


_PLAIN = (State.READY, State.RUNNING, State.FAILED)


def _amount(number: int, *, more: bool) -> Amount:
    return Amount(min(number, CAP), more or number > CAP)
