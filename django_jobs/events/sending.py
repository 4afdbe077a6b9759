"""Sends events: one row in the caller's transaction, and with it the jobs that listen.

Until that commits nobody sees any of it; if it does not, none of it has been. What waits for
the event in a step, and what it cancels, is seen to by a worker, after the commit.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from django_jobs import clock, registry
from django_jobs.announcements import tell_of_events
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.base import NewJob
from django_jobs.engines.events import NewEvent
from django_jobs.enqueueing import insert, new_job
from django_jobs.exceptions import InvalidEvent
from django_jobs.handles import JobHandle
from django_jobs.options import check_queue
from django_jobs.serializers import clean_text, dump_arguments
from django_jobs.subscriptions import LONGEST_KEY, Event, Trigger, check_sendable


class EventHandle:
    """An event that was sent.

    Attributes: `name`, `id` (the number of its row), `created` (False when its id was seen within
    the last 24 hours, so that it starts and wakes nothing) and `jobs` (the handles of the jobs that
    it has started). `id` and `created` are `None`, and `jobs` empty, only for a jobs database of its
    own, until the caller's transaction on "default" commits.
    """

    __slots__ = ("created", "id", "jobs", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.id: int | None = None
        self.created: bool | None = None
        self.jobs: list[JobHandle[Any]] = []

    def __repr__(self) -> str:
        return f"<EventHandle {self.name} #{self.id}, {len(self.jobs)} job(s)>"


def send_event(
    name: str,
    data: Mapping[str, Any] | None = None,
    *,
    id: str | None = None,  # noqa: A002 - the word that the field has for it
) -> EventHandle:
    """Send an event: start the jobs that listen, wake those that wait, cancel those it cancels.

    `name` (1 … 200 characters, such as "order/paid"). `data`: a dict that JSON holds, at most
    MAX_ARGUMENTS bytes. `id` (1 … 200 characters): a second event of this name and id within 24
    hours is stored, and starts and wakes nothing. Joins the caller's transaction. Raises
    InvalidEvent for a wrong name or id, or when a `where` of a listening job raises; TypeError or
    ArgumentsTooLarge for data that cannot be stored; then nothing was sent.
    """
    check_sendable(name)
    event = NewEvent(name, _as_text(name, data), _checked_key(name, id))
    handle, alias = EventHandle(name), get_settings().DATABASE
    if alias != DEFAULT_DB_ALIAS and connections[DEFAULT_DB_ALIAS].in_atomic_block:
        transaction.on_commit(partial(_send, alias, event, dict(data or {}), handle))
    else:
        _send(alias, event, dict(data or {}), handle)
    return handle


def send_along(using: str, name: str, data: Mapping[str, Any]) -> None:
    """Send an event with what the caller writes to the database `using`.

    In its transaction where the jobs live there, too, and else when that has committed. Raises
    what `send_event` raises, for wrong data at once.
    """
    event, alias = NewEvent(name, _as_text(name, data), None), get_settings().DATABASE
    send = partial(_send, alias, event, dict(data), EventHandle(name))
    if alias == using:
        send()
    else:
        transaction.on_commit(send, using=using)


asend_event = sync_to_async(send_event)
"""Do what `send_event` does, from async code."""


def jobs_for(event: Event, triggers: list[tuple[Trigger, Any]]) -> list[NewJob]:
    """Return the jobs that `event` starts; raises InvalidEvent when a `where` raises."""
    jobs: dict[str, NewJob] = {}
    for trigger, definition in triggers:
        if definition.name not in jobs and _takes(trigger, event, definition.name):
            if get_settings().QUEUES:
                check_queue(definition.queue, definition.name)
            jobs[definition.name] = new_job(definition, (event,), {})
    return list(jobs.values())


def ids_of(handles: list[JobHandle[Any]]) -> list[int]:
    """Return the ids of jobs that are written."""
    return [handle.id for handle in handles if handle.id is not None]


def _send(alias: str, new: NewEvent, data: dict[str, Any], handle: EventHandle) -> None:
    engine, now = get_engine(alias), clock.now_or_none()
    triggers = [pair for pair in registry.listeners() if pair[0].hears(new.name)]
    # An event that no job hears is one row, and needs no transaction around it.
    with engine.undoable() if triggers else nullcontext():
        sent = engine.insert_event(new, now)
        handle.id, handle.created = sent.event_id, sent.fresh
        if not sent.fresh:
            return
        jobs = jobs_for(Event(new.name, data, sent.event_id, sent.sent_at), triggers)
        handle.jobs += insert(engine, jobs)
        if jobs:
            engine.note_started(sent.event_id, ids_of(handle.jobs))
        tell_of_events(engine.connection)


def _takes(trigger: Trigger, event: Event, job: str) -> bool:
    try:
        return trigger.takes(event)
    except Exception as error:
        raise InvalidEvent(
            f"{event.name}: where= of {job} raised {type(error).__name__}: {error}. Let it return "
            "False for events that it does not mean. Nothing was sent."
        ) from error


def _as_text(name: str, data: Any) -> str:
    if data is not None and not isinstance(data, Mapping):
        raise InvalidEvent(f'"{name}": data is a dict, got {data!r}. Nothing was sent.')
    for key in data or {}:
        if not isinstance(key, str) or clean_text(key) != key:
            raise InvalidEvent(
                f'"{name}": the names in data are texts without NUL characters and lone surrogates, '
                f"got {key!r}. Nothing was sent."
            )
    try:
        limit = get_settings().MAX_ARGUMENTS
        _, text = dump_arguments(f'event "{name}"', (), data or {}, (), limit)
    except (TypeError, ValueError) as problem:
        words = str(problem).replace("The arguments of", "The data of")
        words = words.replace("argument", "data").replace("enqueued", "sent")
        raise type(problem)(words) from None
    return text


def _checked_key(name: str, key: Any) -> str | None:
    if key is None:
        return None
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or clean_text(key) != key:
        raise InvalidEvent(
            f'"{name}": id is a text of 1 to {LONGEST_KEY} characters, got {key!r}. '
            "Nothing was sent."
        )
    return key
