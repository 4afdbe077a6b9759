"""The steps that wait: for an instant, for an event, for another job. They hold nothing meanwhile."""

from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction

from django_jobs import clock
from django_jobs.engines.base import NewJob
from django_jobs.engines.events import WaitFor
from django_jobs.engines.steps import StepRecord
from django_jobs.enqueueing import insert, new_job, resolve
from django_jobs.events import send_event
from django_jobs.exceptions import InvalidStep
from django_jobs.retries import LONGEST_WAIT, as_seconds, bounded
from django_jobs.serializers import dump_result, load
from django_jobs.states import Later, StepState, Suspended
from django_jobs.steps.places import Place
from django_jobs.steps.recording import Recorder
from django_jobs.steps.running import Running
from django_jobs.subscriptions import FINISHED, Event, Match, check_sendable, pairs

if TYPE_CHECKING:
    from django_jobs.definitions import JobDefinition

LONGEST = timedelta(seconds=LONGEST_WAIT)
WITHOUT_LIMIT = 2**62

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Sleeping(Recorder):
    """The verbs that wait for an instant."""

    def sleep(self, name: str, span: float | timedelta) -> None:
        """Go on after `span` (seconds or a timedelta); meanwhile the job holds no slot.

        It survives restarts and deploys. Outside a worker it returns at once.
        """
        self._sleep(name, Later(seconds=bounded(as_seconds(span))))

    def sleep_until(self, name: str, instant: datetime) -> None:
        """Go on at `instant`, an aware datetime; raises InvalidStep for anything else."""
        if not isinstance(instant, datetime) or instant.utcoffset() is None:
            raise InvalidStep(
                f'{self._job}: step "{name}" sleeps until {instant!r}, which is no datetime with a '
                "time zone. Use timezone.now() + timedelta(…)."
            )
        self._sleep(name, Later(instant=min(instant, clock.now() + LONGEST)))

    async def asleep(self, name: str, span: float | timedelta) -> None:
        """Do what `sleep` does in an async job."""
        await sync_to_async(self.sleep)(name, span)

    async def asleep_until(self, name: str, instant: datetime) -> None:
        """Do what `sleep_until` does in an async job."""
        await sync_to_async(self.sleep_until)(name, instant)

    def _sleep(self, name: str, wake: Later) -> None:
        if self._hold is None:
            return
        place = self._enter(name)
        memo = place.memo
        if memo is not None and (memo.due or place.is_done):
            return
        until = memo.wake_at if memo else None
        if until is None:
            record = StepRecord(place.key, place.position, StepState.SLEEPING, wake=wake)
            until = self._save(record)
        self._interrupt(Suspended(Later(instant=until), f'step "{place.key}"'))


class Waiting(Running):
    """The verbs that wait for events and for other jobs, and the one that sends events."""

    def wait_for_event(
        self,
        name: str,
        event: str,
        *,
        match: Mapping[str, Any] | None = None,
        timeout: float | timedelta,
        lookback: float | timedelta = 0,
    ) -> Event | None:
        """Return the first event called `event` from here on, or `None` after `timeout`.

        `match`: values that fields of its data must have (`{"order_id": 17}`; "customer.id" looks
        into a dict). `timeout` (seconds or a timedelta). `lookback` (the same, default 0): take
        one that was sent that long ago, too, but none that another step of this job has had.
        Raises InvalidEvent for a name that nobody can send. Outside a worker it returns `None`.
        """
        check_sendable(event)
        matched = Match.of(pairs(match or {}))
        span, back = bounded(as_seconds(timeout)), timedelta(seconds=bounded(as_seconds(lookback)))
        if self._hold is None:
            return None
        place = self._enter(name)
        if place.is_done:
            return self._received(place.result)
        memo = place.memo
        wait = WaitFor(event, matched, had=tuple(sorted(self._had)))
        until = memo.wake_at if memo else self._begin_wait(place, wait, Later(seconds=span))
        assert until is not None
        # Each time: the run that has begun the wait may have died before it looked.
        since = until - timedelta(seconds=span) - back
        while back and (found := self._look_back(wait, since)):
            if taken := self._end_wait(place, found):
                return taken
            wait = wait._replace(had=(*wait.had, found.id or 0))  # by another step, meanwhile
        if memo is not None and memo.due:
            return self._end_wait(place, None)
        return self._interrupt(Suspended(Later(instant=until), f"event {event}"))

    @overload
    def invoke(
        self,
        name: str,
        definition: "JobDefinition[P, Awaitable[T]]",
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T: ...
    @overload
    def invoke(
        self, name: str, definition: "JobDefinition[P, R]", /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    def invoke(self, name: str, definition: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Enqueue another job, wait for its end, and return its result.

        It runs by its own options, with attempts of its own, anywhere; `job.using(…)` changes
        them. Raises StepFailed when it failed, was cancelled or deleted. Cancelling this job
        cancels the other one, if that has not begun. Outside a worker its function is called.
        """
        called = resolve(definition)
        if self._hold is None:
            return (
                async_to_sync(called)(*args, **kwargs)
                if called.is_async
                else called(*args, **kwargs)
            )
        place = self._enter(name)
        if place.is_done:
            return place.result
        if place.memo is None:
            self._enqueue_child(place, new_job(called, args, kwargs)._replace(watched=True))
        return self._interrupt(Suspended(None, f"a job of {called.name.rpartition('.')[2]}"))

    def send_event(
        self,
        name: str,
        event: str,
        data: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - as send_event() calls it
    ) -> int | None:
        """Send an event, once however often the job runs; return the number of its row."""
        return self.atomic(name, lambda: send_event(event, data, id=id).id)

    async def await_for_event(self, name: str, event: str, **options: Any) -> Event | None:
        """Do what `wait_for_event` does in an async job."""
        return await sync_to_async(self.wait_for_event)(name, event, **options)

    async def ainvoke(self, name: str, definition: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Do what `invoke` does in an async job."""
        return await sync_to_async(self.invoke)(name, definition, *args, **kwargs)

    async def asend_event(
        self, name: str, event: str, data: Mapping[str, Any] | None = None, **options: Any
    ) -> int | None:
        """Do what `send_event` does in an async job."""
        return await sync_to_async(self.send_event)(name, event, data, **options)

    def _begin_wait(self, place: Place, wait: WaitFor, limit: Later) -> datetime:
        record = StepRecord(place.key, place.position, StepState.WAITING, wake=limit)

        def begin() -> datetime:
            with self._engine.undoable():
                until = self._write(record)
                self._let_wait(place, wait)
            return until

        until = self._patiently(begin)
        self._note(record)
        return until

    def _let_wait(self, place: Place, wait: WaitFor) -> None:
        assert self._hold is not None
        self._engine.add_wait(self._hold.job_id, place.key, wait, now=clock.now_or_none())

    def _look_back(self, wait: WaitFor, since: datetime) -> Event | None:
        """Return an event that came before the wait was on record; later ones find the wait."""
        found = self._patiently(lambda: self._engine.find_event(wait, since))
        return Event(found.name, found.data, found.id, found.sent_at) if found else None

    def _end_wait(self, place: Place, event: Event | None) -> Event | None:
        """Write that the step is over, by an event found or by its time (`None`).

        Returns the event; `None`, too, when another step of the job has had it meanwhile.
        """
        assert self._hold is not None
        job_id = self._hold.job_id
        value = None if event is None else event.as_json()
        text = dump_result(place.key, value, WITHOUT_LIMIT)
        record = StepRecord(place.key, place.position, StepState.DONE, result=text)

        event_id = event.id if event else None

        def end() -> bool:
            with self._engine.undoable():
                self._write(record)  # which locks the job
                if event_id and self._engine.has_had(job_id, place.key, event_id):
                    transaction.set_rollback(True, using=self._engine.connection.alias)
                    return False
                self._engine.forget_wait(job_id, place.key)
                self._engine.note_had({job_id: [event_id]} if event_id else {})
            return True

        if not self._patiently(end):
            return None
        self._note(record)
        return self._received(load(text))

    def _received(self, value: Any) -> Event | None:
        if value is None:
            return None
        event = Event.from_json(value)
        if event.id is not None:
            self._had.add(event.id)
        return event

    def _enqueue_child(self, place: Place, child: NewJob) -> None:
        assert self._hold is not None
        parent = self._hold.job_id
        record = StepRecord(place.key, place.position, StepState.WAITING)
        tries = count()

        def begin() -> None:
            if next(tries) and place.key in self._load():
                return  # it is on record: only the reply to the commit was lost
            with self._engine.undoable():
                [handle] = insert(self._engine, [child])
                assert handle.id is not None
                if handle.id == parent:
                    raise InvalidStep(
                        f'{self._job}: step "{place.key}" invokes the job itself, whose unique_key '
                        "it carries, and would wait for ever. Give it another key."
                    )
                # A parent's end is watched, so that cancelling it reaches its children.
                self._engine.watch([parent] if handle.created else [parent, handle.id])
                self._write(record)
                match = Match.of([("job_id", handle.id)])
                self._let_wait(place, WaitFor(FINISHED, match, handle.id))

        self._patiently(begin)
        self._note(record)
