"""The part of the Engine seam that is about events: its verbs, and what each promises.

Whoever ends a job that somebody watches or listens to writes an event in the same
transaction; whoever sends one does so in his own. Workers hand events out: they start what
listens to the ends of jobs, and wake what waits. A row is locked by the one that does it, so
that each event is handed out once, and done with when nothing is left to do for it.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django_jobs.engines.batches import Below
from django_jobs.listeners import Listening
from django_jobs.states import State
from django_jobs.subscriptions import Match


class NewEvent(NamedTuple):
    """An event that is about to be written; `data` is JSON text."""

    name: str
    data: str = "{}"
    key: str | None = None


class Sent(NamedTuple):
    """The row of an event. `fresh`: its key was not seen within the last day."""

    event_id: int
    fresh: bool
    sent_at: datetime


class WaitFor(NamedTuple):
    """What a step waits for, or what cancels a job: an event, and fields of its data.

    `child_id`: the job whose end it is. `had`: events that the job has had, and may not have again.
    """

    event: str
    match: Match
    child_id: int | None = None
    had: tuple[int, ...] = ()


class Pending(NamedTuple):
    """An event that is to be handed out.

    In our own events, `job_id`: the job that ended; `listeners`: what is to be started for it.
    """

    id: int
    name: str
    data: Mapping[str, Any]
    sent_at: datetime
    job_id: int | None = None
    is_heard: bool = True
    listeners: tuple[Listening, ...] = ()


class Delivery(NamedTuple):
    """An event with what a step gets that waits for it: a result as JSON text, or an error."""

    event: Pending
    result: str | None = None
    error_type: str = ""
    error: str = ""


class End(NamedTuple):
    """How a job has ended that somebody watched. `result` is JSON text."""

    job_id: int
    name: str
    queue: str
    state: State
    attempt: int
    args: Any
    kwargs: Any
    result: str | None = None
    error_type: str = ""
    error: str = ""


class Woken(NamedTuple):
    """What a delivery did: queues that have work now, events that are done with, ended waits."""

    queues: frozenset[str]
    done: frozenset[int]
    ended: int = 0
    asked_to_stop: bool = False


class EventVerbs(ABC):
    """The verbs about events and about what waits for them."""

    @abstractmethod
    def insert_event(self, event: NewEvent, now: datetime | None = None) -> Sent:
        """Write an event on the caller's connection; a key that was seen within a day counts not.

        Of two senders of one key at once the second waits for the first one's commit.
        """

    @abstractmethod
    def note_started(self, event_id: int, job_ids: Sequence[int]) -> None:
        """Record which jobs an event has started."""

    @abstractmethod
    def add_wait(
        self,
        job_id: int,
        key: str,
        wait: WaitFor,
        *,
        cancels: bool = False,
        now: datetime | None = None,
    ) -> None:
        """Let a step of a job, or its cancellation, wait; a second wait of that key is the first."""

    def let_cancel(
        self, job_id: int, waits: Sequence[WaitFor], now: datetime | None = None
    ) -> None:
        """Let a job be cancelled by what comes first of `waits`."""
        for wait in waits:
            self.add_wait(job_id, cancellation_key(wait), wait, cancels=True, now=now)

    @abstractmethod
    def note_had(self, events: Mapping[int, Collection[int]]) -> None:
        """Let no other step that waits now get the events that its job has had, by jobs."""

    @abstractmethod
    def has_had(self, job_id: int, key: str, event_id: int) -> bool:
        """Say whether another step of the job has had an event since this one began to wait."""

    @abstractmethod
    def forget_wait(self, job_id: int, key: str) -> None:
        """Let a step wait no longer."""

    @abstractmethod
    def let_cancel_anew(
        self, waits: Mapping[int, Sequence[WaitFor]], now: datetime | None = None
    ) -> None:
        """Let these jobs be cancelled by `waits`, and by nothing else; their ends are events then.

        The caller has the rows of these jobs locked.
        """

    @abstractmethod
    def forget_cancellations(self, job_ids: Collection[int]) -> None:
        """Let nothing cancel those of these jobs any more that have ended and stay so."""

    @abstractmethod
    def find_event(self, wait: WaitFor, since: datetime) -> Pending | None:
        """Return the oldest event that a step waits for and that was sent at `since` or later."""

    @abstractmethod
    def take_events(self, limit: int, after: int = 0) -> list[Pending]:
        """Return the oldest events that are to be handed out, and lock them; never waits.

        `after` leaves out the events up to that number.
        """

    @abstractmethod
    def ends_of(self, job_ids: Collection[int]) -> dict[int, End]:
        """Return how these jobs have ended."""

    @abstractmethod
    def wake(self, deliveries: Sequence[Delivery], now: datetime | None = None) -> Woken:
        """Give events to all that wait for them: end the steps, make the jobs READY, cancel some.

        A job that still runs finds its step ended, and is READY when it is suspended. Rows that
        others have locked are left for the next time, and so are the rest of very many.
        """

    @abstractmethod
    def watch(self, job_ids: Collection[int]) -> None:
        """Let the end of these jobs be an event."""

    @abstractmethod
    def cancel_below(self, parent_ids: Collection[int], now: datetime | None = None) -> Below:
        """Cancel the jobs for whose end these wait and which have not begun; never waits.

        These are the jobs that steps of theirs have enqueued, and their children in flows.
        """

    @abstractmethod
    def put_away(self, pending: Collection[int], now: datetime | None = None) -> None:
        """Note that events are handed out; delete those of ours of which nothing came."""

    @abstractmethod
    def give_up(self, event_id: int, problem: str, now: datetime | None = None) -> None:
        """Note that an event cannot be handed out, and why."""

    @abstractmethod
    def forgotten_ends(self, before: datetime, limit: int) -> int:
        """Write the events of ended or deleted jobs that somebody waits for in vain; how many."""

    @abstractmethod
    def prune_events(self, before: datetime, keys_before: datetime, limit: int) -> int:
        """Delete old events that are handed out, and old keys; return how many rows."""


def cancellation_key(wait: WaitFor) -> str:
    """Return the key under which a job waits for what cancels it."""
    return f"!{wait.event}"
