"""Giving events to what waits for them: `wake` and `cancel_below`.

Locks: jobs first, in the order of their ids and only those that nobody else has; then the claims
of those that are asked to stop, likewise; then steps and waits. A step that is being saved locks
its job first as well.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice, product

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from django_jobs.engines.batches import Below
from django_jobs.engines.events import Delivery, Pending, Woken
from django_jobs.engines.orm.ends import Ended, Ends
from django_jobs.engines.orm.eventing import name_for
from django_jobs.models import Batch, BatchJob, Event, Job, JobStep, Wait
from django_jobs.states import IDLE, State, StepState
from django_jobs.subscriptions import Match

PAGE = 1000
"""Jobs that one call wakes, or cancels below their parents, at most."""


class Waking(Ends):
    """The verbs that end waits."""

    def wake(self, deliveries: Sequence[Delivery], now: datetime | None = None) -> Woken:
        """Give events to all that wait for them."""
        now = self.at(now)
        by_event = {delivery.event.id: delivery for delivery in deliveries}
        with self.transaction():
            found = self._waits_of([delivery.event for delivery in deliveries])
            ids = {wait.job_id for wait, _ in found}
            jobs = self.free(self.jobs.filter(pk__in=sorted(ids)).order_by("pk")).in_bulk()
            gone = ids - set(self.jobs.filter(pk__in=ids).values_list("pk", flat=True))
            full = len(found) >= PAGE  # there may be more, also when some of these are over by now
            found, changed = self._still_there(found)  # nobody else can end them from here on
            jobs = self._reachable(jobs, {wait.job_id for wait, _ in found if wait.cancels})
            mine = [(wait, event_id) for wait, event_id in found if wait.job_id in jobs]
            for event_id, waits in _grouped(mine).items():
                self._end_steps([wait for wait in waits if not wait.cancels], by_event[event_id])
                woken = F("woken") + len(waits)
                Event.objects.using(self.alias).filter(pk=event_id).update(woken=woken)
            over = [wait.pk for wait, _ in found if wait.job_id in jobs or wait.job_id in gone]
            Wait.objects.using(self.alias).filter(pk__in=over).delete()
            self.note_had(_had(mine))
            cancelled = {wait.job_id for wait, _ in mine if wait.cancels}
            queues = self._wake({wait.job_id for wait, _ in mine} - cancelled, jobs, now)
            asked = self._cancel(cancelled, jobs, now)
        left = {event_id for wait, event_id in found if wait.pk not in set(over)}
        done = frozenset() if full or changed else frozenset(by_event.keys() - left)
        return Woken(frozenset(queues), done, len(over), bool(asked))

    def cancel_below(self, parent_ids: Collection[int], now: datetime | None = None) -> Below:
        """Cancel the jobs for whose end these wait and which have not begun."""
        parents = self._parents_below(parent_ids)
        if not parents:
            return Below()
        rows = self.jobs.filter(pk__in=sorted(parents), state__in=sorted(IDLE)).order_by("pk")
        with self.transaction():
            jobs = self.free(rows).in_bulk()
            self._cancel(set(jobs), jobs, self.at(now))
        over = parents.keys() if len(parents) >= PAGE else parents.keys() - jobs.keys()
        left = frozenset(parents[pk] for pk in over)
        return Below(frozenset(job.queue for job in jobs.values()), left)

    def _parents_below(self, parent_ids: Collection[int]) -> dict[int, int]:
        """Return a page of the jobs below these that have not begun, each with its parent."""
        idle = self.jobs.filter(state__in=sorted(IDLE))
        waits = Wait.objects.using(self.alias).filter(
            Exists(idle.filter(pk=OuterRef("child_id"))), job_id__in=parent_ids
        )
        found = {child or 0: pk for child, pk in waits.values_list("child_id", "job_id")}
        batches = Batch.objects.using(self.alias).filter(parent_id__in=parent_ids)
        flows = dict(batches.values_list("pk", "parent_id"))
        children = BatchJob.objects.using(self.alias).filter(
            Exists(idle.filter(pk=OuterRef("job_id"))), batch_id__in=list(flows), state=""
        )
        for child, batch_id in children.values_list("job_id", "batch_id")[:PAGE]:
            found[child] = flows[batch_id] or 0
        return found

    def _waits_of(self, events: Iterable[Pending]) -> list[tuple[Wait, int]]:
        """Return what waits for `events`, each with the first event it can have."""
        wanted: dict[str, list[Pending]] = defaultdict(list)
        for event in events:
            wanted[name_for(event)].append(event)
        found: list[tuple[Wait, int]] = []
        for name, these in wanted.items():
            waits = Wait.objects.using(self.alias).filter(event=name)
            matches = self._matches(waits, these)
            digests = {digest for _, digest in matches}
            fitting = self._fitting(waits.filter(digest__in=digests), matches)
            found += islice(fitting, PAGE)
        return found

    def _fitting(
        self, waits: QuerySet[Wait], matches: Mapping[tuple[str, str], Sequence[int]]
    ) -> Iterator[tuple[Wait, int]]:
        """Yield each of `waits` that can have an event: there may be pages of others before it."""
        rows = waits.order_by("job_id", "pk")
        given: dict[int, set[int]] = defaultdict(set)
        page = list(rows[:PAGE])
        while page:
            for wait in page:
                fit = matches.get((wait.fields, wait.digest), ())
                had = set() if wait.cancels else {*wait.had, *given[wait.job_id]}
                chosen = next((event_id for event_id in fit if event_id not in had), None)
                if chosen is not None:
                    yield wait, chosen
                if chosen is not None and not wait.cancels:
                    given[wait.job_id].add(chosen)
            last = page[-1]
            later = Q(job_id__gt=last.job_id) | Q(job_id=last.job_id, pk__gt=last.pk)
            page = list(rows.filter(later)[:PAGE]) if len(page) == PAGE else []

    def _matches(
        self, waits: QuerySet[Wait], events: Sequence[Pending]
    ) -> dict[tuple[str, str], list[int]]:
        """Return the fields and digests that `events` fit, each with these events."""
        matches: dict[tuple[str, str], list[int]] = defaultdict(list)
        fields = list(waits.order_by().values_list("fields", flat=True).distinct())
        for each, event in product(fields, events):
            if match := Match.in_data(each, event.data):
                matches[match.fields, match.digest].append(event.id)
        return matches

    def _still_there(self, found: list[tuple[Wait, int]]) -> tuple[list[tuple[Wait, int]], bool]:
        """Return what is there yet, and whether the job of one has had its event meanwhile."""
        waits = Wait.objects.using(self.alias).in_bulk([wait.pk for wait, _ in found])
        there = [(waits[wait.pk], event_id) for wait, event_id in found if wait.pk in waits]
        fresh = [(wait, event_id) for wait, event_id in there if event_id not in wait.had]
        return fresh, len(fresh) < len(there)

    def _reachable(self, jobs: dict[int, Job], cancelled: Collection[int]) -> dict[int, Job]:
        """Return `jobs` without those that run under a claim which somebody else has locked."""
        running = {jobs[pk].claim_id or 0 for pk in cancelled if pk in jobs} - {0}
        if not running:
            return jobs
        rows = self.claims.filter(pk__in=running).order_by("pk")
        free = set(self.free(rows).values_list("pk", flat=True))
        locked = set(rows.values_list("pk", flat=True)) - free
        return {
            pk: job for pk, job in jobs.items() if pk not in cancelled or job.claim_id not in locked
        }

    def _end_steps(self, waits: Sequence[Wait], delivery: Delivery) -> None:
        steps = JobStep.objects.using(self.alias).filter(
            job_id__in=[wait.job_id for wait in waits], state=StepState.WAITING
        )
        keys = {(wait.job_id, wait.key) for wait in waits}
        rows = steps.values_list("pk", "job_id", "key")
        mine = [pk for pk, job_id, key in rows if (job_id, key) in keys]
        JobStep.objects.using(self.alias).filter(pk__in=mine).update(
            state=StepState.FAILED if delivery.error_type else StepState.DONE,
            result=delivery.result,
            error_type=delivery.error_type[:255],
            error=delivery.error[:255],
            wake_at=None,
            finished_at=delivery.event.sent_at,
        )

    def _wake(self, ids: Collection[int], jobs: dict[int, Job], now: datetime) -> set[str]:
        waiting = {pk for pk in ids if jobs[pk].state == State.WAITING}
        running = {pk for pk in ids if jobs[pk].state == State.RUNNING}
        rows = self.jobs.filter(pk__in=waiting)
        rows.update(state=State.READY, run_at=now, waiting_for=None, woken=False)
        self.jobs.filter(pk__in=running).update(woken=True)
        return {jobs[pk].queue for pk in waiting}

    def _cancel(self, ids: Collection[int], jobs: dict[int, Job], now: datetime) -> set[int]:
        """Cancel those that do not run, ask the others to stop; all of them are locked."""
        idle = sorted(pk for pk in ids if jobs[pk].state in IDLE)
        rows = self.jobs.filter(pk__in=idle)
        rows.update(state=State.CANCELLED, finished_at=now, waiting_for=None)
        self.tell_ends(
            [Ended(pk, jobs[pk].name, State.CANCELLED, jobs[pk].watched) for pk in idle], now
        )
        return self.ask_to_stop([pk for pk in ids if jobs[pk].state == State.RUNNING], now)


def _grouped(found: Iterable[tuple[Wait, int]]) -> dict[int, list[Wait]]:
    groups: dict[int, list[Wait]] = defaultdict(list)
    for wait, event_id in found:
        groups[event_id].append(wait)
    return groups


def _had(given: Iterable[tuple[Wait, int]]) -> dict[int, set[int]]:
    """Return the events that steps of each job were given."""
    events: dict[int, set[int]] = defaultdict(set)
    for wait, event_id in given:
        if not wait.cancels and wait.child_id is None:
            events[wait.job_id].add(event_id)
    return events
