"""Events: writing them, finding them, giving up on them, cleaning up after them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from django_jobs.engines.events import End, NewEvent, Pending, Sent, WaitFor, cancellation_key
from django_jobs.engines.orm.rows import Rows
from django_jobs.listeners import listeners_in
from django_jobs.models import Event, EventKey, Job, JobRun, Wait
from django_jobs.serializers import clean_text, dump_result, load
from django_jobs.states import FINAL, LIVE, State
from django_jobs.subscriptions import FINISHED, JOB, Match

REMEMBERED = timedelta(days=1)
"""How long an event's key starts nothing a second time."""

BLOCK = 500
"""Events that a look back reads at once."""

GONE = f"{JOB}cancelled"
"""What is told of a job that was deleted."""


class Eventing(Rows):
    """The verbs that write events and look for them."""

    def insert_event(self, event: NewEvent, now: datetime | None = None) -> Sent:
        """Write an event on the caller's connection."""
        now = self.at(now)
        with self.transaction():
            fresh = event.key is None or self._is_new(event.name, event.key, now)
            row = Event(
                name=event.name,
                data=event.data,
                key=event.key,
                sent_at=now,
                is_heard=True,
                is_repeated=not fresh,
                handed_out_at=None if fresh else now,
            )
            row.save(using=self.alias, force_insert=True)
        return Sent(row.pk, fresh, now)

    def _is_new(self, name: str, key: str, now: datetime) -> bool:
        keys = EventKey.objects.using(self.alias)
        _, created = keys.get_or_create(name=name, key=key, defaults={"seen_at": now})
        if created:
            return True
        old = keys.filter(name=name, key=key, seen_at__lte=now - REMEMBERED)
        return old.update(seen_at=now) == 1

    def note_started(self, event_id: int, job_ids: Sequence[int]) -> None:
        """Record which jobs an event has started."""
        Event.objects.using(self.alias).filter(pk=event_id).update(
            started=list(job_ids), is_heard=True
        )

    def add_wait(
        self,
        job_id: int,
        key: str,
        wait: WaitFor,
        *,
        cancels: bool = False,
        now: datetime | None = None,
    ) -> None:
        """Let a step of a job, or its cancellation, wait."""
        Wait.objects.using(self.alias).get_or_create(
            job_id=job_id,
            key=key,
            defaults={
                "event": wait.event,
                "fields": wait.match.fields,
                "digest": wait.match.digest,
                "cancels": cancels,
                "child_id": wait.child_id,
                "had": list(wait.had),
                "since": self.at(now),
            },
        )

    def note_had(self, events: Mapping[int, Collection[int]]) -> None:
        """Let no other step that waits now get the events that its job has had."""
        waits = Wait.objects.using(self.alias).filter(job_id__in=list(events))
        for wait in waits.filter(cancels=False, child_id=None):
            had = sorted({*wait.had, *events[wait.job_id]})
            Wait.objects.using(self.alias).filter(pk=wait.pk).update(had=had)

    def has_had(self, job_id: int, key: str, event_id: int) -> bool:
        """Say whether another step of the job has had an event since this one began to wait."""
        waits = Wait.objects.using(self.alias).filter(job_id=job_id, key=key)
        return any(event_id in had for had in waits.values_list("had", flat=True))

    def forget_wait(self, job_id: int, key: str) -> None:
        """Let a step wait no longer."""
        Wait.objects.using(self.alias).filter(job_id=job_id, key=key).delete()

    def let_cancel_anew(
        self, waits: Mapping[int, Sequence[WaitFor]], now: datetime | None = None
    ) -> None:
        """Write anew what cancels these jobs."""
        now = self.at(now)
        # Deleted even where the same is written again: a relay may be about to forget these, and
        # whoever is second waits for the first.
        self._cancellations(waits).delete()
        rows = (
            Wait(
                job_id=job_id,
                key=cancellation_key(wait),
                event=wait.event,
                fields=wait.match.fields,
                digest=wait.match.digest,
                cancels=True,
                since=now,
            )
            for job_id, these in waits.items()
            for wait in these
        )
        Wait.objects.using(self.alias).bulk_create(rows, ignore_conflicts=True)
        self.watch([job_id for job_id, these in waits.items() if these])

    def forget_cancellations(self, job_ids: Collection[int]) -> None:
        """Let nothing cancel these jobs any more; one that was retried lives, and so do its waits."""
        # Looked at in the very statement: a retry that commits before it is seen as a whole.
        live = self.jobs.filter(pk=OuterRef("job_id"), state__in=sorted(LIVE))
        self._cancellations(job_ids).filter(~Exists(live)).delete()

    def _cancellations(self, job_ids: Iterable[int]) -> QuerySet[Wait]:
        return Wait.objects.using(self.alias).filter(job_id__in=list(job_ids), cancels=True)

    def find_event(self, wait: WaitFor, since: datetime) -> Pending | None:
        """Return the oldest event that a step waits for and that was sent at `since` or later."""
        events = Event.objects.using(self.alias).filter(
            name=wait.event, sent_at__gte=since, is_repeated=False
        )
        rows = events.exclude(pk__in=wait.had).order_by("sent_at", "pk")
        # Not iterator(): behind a pooler its cursor may be gone with the next page.
        page = list(rows[:BLOCK])
        while page:
            for event in map(pending, page):
                if Match.in_data(wait.match.fields, event.data) == wait.match:
                    return event
            last = page[-1]
            later = Q(sent_at__gt=last.sent_at) | Q(sent_at=last.sent_at, pk__gt=last.pk)
            page = list(rows.filter(later)[:BLOCK]) if len(page) == BLOCK else []
        return None

    def take_events(self, limit: int, after: int = 0) -> list[Pending]:
        """Return the oldest events that are to be handed out, and lock them."""
        events = Event.objects.using(self.alias).filter(handed_out_at=None, pk__gt=after)
        rows = events.order_by("pk")
        return [pending(row) for row in self.free(rows)[:limit]]

    def ends_of(self, job_ids: Collection[int]) -> dict[int, End]:
        """Return how these jobs have ended."""
        jobs = self.jobs.filter(pk__in=job_ids).order_by("pk")
        newest: dict[int, JobRun] = {}
        runs = self.runs.filter(job_id__in=job_ids).order_by("pk")
        for run in runs.only("job_id", "result", "error_type", "error"):  # logs are long
            newest[run.job_id] = run
        return {job.pk: _end(job, newest.get(job.pk)) for job in jobs}

    def put_away(self, pending: Collection[int], now: datetime | None = None) -> None:
        """Note that events are handed out; delete those of ours of which nothing came."""
        rows = Event.objects.using(self.alias).filter(pk__in=pending)
        rows.filter(job_id__isnull=False, started=[], woken=0, problem="").delete()
        rows.update(handed_out_at=self.at(now))

    def give_up(self, event_id: int, problem: str, now: datetime | None = None) -> None:
        """Note that an event cannot be handed out, and why."""
        row = Event.objects.using(self.alias).filter(pk=event_id)
        row.update(handed_out_at=self.at(now), problem=clean_text(problem))

    def watch(self, job_ids: Collection[int]) -> None:
        """Let the end of these jobs be an event."""
        self.jobs.filter(pk__in=job_ids).update(watched=True)

    def forgotten_ends(self, before: datetime, limit: int) -> int:
        """Write the events of ended or deleted jobs that somebody waits for in vain."""
        child = self.jobs.filter(pk=OuterRef("child_id"))
        events = Event.objects.using(self.alias)
        coming = events.filter(job_id=OuterRef("child_id"), handed_out_at=None)
        waits = Wait.objects.using(self.alias).filter(child_id__isnull=False, since__lt=before)
        ended = Q(Exists(child.filter(state__in=sorted(FINAL)))) | ~Q(Exists(child))
        vain = waits.filter(ended, ~Exists(coming)).order_by("pk")
        ids = sorted({pk for pk in vain.values_list("child_id", flat=True)[:limit] if pk})
        states = dict(self.jobs.filter(pk__in=ids).values_list("pk", "state"))
        now = self.at(None)
        events.bulk_create(
            Event(
                name=f"{JOB}{states[pk].lower()}" if pk in states else GONE,
                job_id=pk,
                sent_at=now,
                is_heard=True,
            )
            for pk in ids
        )
        return len(ids)

    def prune_events(self, before: datetime, keys_before: datetime, limit: int) -> int:
        """Delete old events that are handed out, and old keys; look no farther than at `limit`."""
        keys = EventKey.objects.using(self.alias)
        seen = keys.filter(seen_at__lt=keys_before).order_by("seen_at")
        old_keys = list(seen.values_list("pk", flat=True)[:limit])
        events = Event.objects.using(self.alias)
        first = events.order_by("pk").values_list("pk", "sent_at", "handed_out_at")[:limit]
        old = [pk for pk, sent_at, done_at in first if done_at is not None and sent_at < before]
        keys.filter(pk__in=old_keys).delete()
        events.filter(pk__in=old).delete()
        return len(old) + len(old_keys)


def pending(row: Event) -> Pending:
    """Return an event as it is handed out; one of ours is found by the job that has ended."""
    if row.job_id is None:
        return Pending(row.pk, row.name, load(row.data), row.sent_at, None, row.is_heard)
    told = listeners_in(row.data)
    data = {"job_id": row.job_id}
    return Pending(row.pk, row.name, data, row.sent_at, row.job_id, row.is_heard, told)


def name_for(event: Pending) -> str:
    """Return the name under which steps wait for `event`."""
    return FINISHED if event.job_id is not None else event.name


def _end(job: Job, run: JobRun | None) -> End:
    return End(
        job.pk,
        job.name,
        job.queue,
        State(job.state),
        job.attempt,
        job.args,
        job.kwargs,
        dump_result(job.name, run.result, 2**62) if run else None,
        run.error_type if run else "",
        run.error if run else "",
    )
