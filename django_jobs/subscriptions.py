"""Events as they are declared and passed on: what one is, which names are heard, what matches.

Pure: it knows names and data, no database. A match compares fields of an event's data with
plain values; both sides are reduced to one digest, so that a database finds what waits for
an event by an index, whatever the fields are.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from django_jobs.exceptions import InvalidEvent
from django_jobs.serializers import clean_text

LONGEST_NAME = 200
LONGEST_KEY = 200
MOST_TRIGGERS = 10
MOST_FIELDS = 10
LONGEST_FIELDS = 1000
"""Bytes of the names of a match's fields as JSON, which is what a wait stores."""

SYSTEM = "django_jobs/"
"""What the names of our own events begin with; nobody else may send such."""

JOB = f"{SYSTEM}job."
SUCCESSFUL = f"{JOB}successful"
FAILED = f"{JOB}failed"
CANCELLED = f"{JOB}cancelled"
FINISHED = f"{JOB}finished"
"""A listener of `FINISHED` hears of all three ends."""

ENDS = (SUCCESSFUL, FAILED, CANCELLED)

Filter = Callable[["Event"], bool]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened: what a listening job gets as its first argument.

    `name` ("order/paid"), `data` (a dict that JSON holds), `id` (the number of its row, `None`
    for one that was not sent) and `sent_at` (aware, in UTC).
    """

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    id: int | None = None
    sent_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as arguments of jobs and results of steps hold it."""
        return {
            "name": self.name,
            "data": dict(self.data),
            "id": self.id,
            "sent_at": self.sent_at.isoformat() if self.sent_at else None,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the event that `as_json` gave `value` of."""
        sent_at = value.get("sent_at")
        return cls(
            str(value["name"]),
            value.get("data") or {},
            value.get("id"),
            datetime.fromisoformat(sent_at) if sent_at else None,
        )


@dataclass(frozen=True, slots=True)
class Trigger:
    """Which events start a job: a name or a pattern, values of fields, a function that says yes."""

    pattern: str
    match: tuple[tuple[str, Any], ...] = ()
    where: Filter | None = None

    def hears(self, name: str) -> bool:
        """Say whether events called `name` are meant, by their name alone."""
        if self.pattern == FINISHED:
            return name in ENDS
        if self.pattern.endswith("*"):
            return name.startswith(self.pattern[:-1])
        return name == self.pattern

    def takes(self, event: Event) -> bool:
        """Say whether `event` starts a job; raises whatever `where` raises."""
        if not self.hears(event.name):
            return False
        for path, value in self.match:
            found, there = look_up(event.data, path)
            if not there or plain(found) != plain(value):
                return False
        return self.where is None or bool(self.where(event))

    def __str__(self) -> str:
        fields = ", ".join(f"{path}={value!r}" for path, value in self.match)
        parts = [fields] if fields else []
        if self.where is not None:
            parts.append(getattr(self.where, "__name__", "where"))
        return f"{self.pattern} ({', '.join(parts)})" if parts else self.pattern


def when(
    pattern: str, *, match: Mapping[str, Any] | None = None, where: Filter | None = None
) -> Trigger:
    """Declare which events start a job: `@job(on=when("order/paid", match={"country": "DE"}))`.

    `pattern`: an event's name, or one that ends in "/*" or ".*". `match`: values that fields of
    the event's data must have; "customer.id" looks into a dict. `where`: a function of the event
    that says yes or no, called by whoever sends the event. Raises InvalidEvent.
    """
    _check_pattern(pattern)
    if where is not None and not callable(where):
        raise InvalidEvent(f"where must be a function of the event, got {where!r}.")
    if where is not None and pattern.startswith(SYSTEM):
        raise InvalidEvent(
            f'"{pattern}" is sent by workers, which call nobody\'s functions meanwhile: use match=.'
        )
    return Trigger(pattern, pairs(match or {}), where)


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Which event cancels a job: its name, and (field of the event, argument of the job) pairs."""

    event: str
    fields: tuple[tuple[str, str], ...] = ()


def cancellations(value: Any) -> Iterator[Cancellation]:
    """Yield what `cancel_on=` says; raises InvalidEvent."""
    if isinstance(value, str):
        value = {value: []}
    if not isinstance(value, Mapping):
        raise InvalidEvent(
            f'cancel_on takes an event\'s name or {{"order/cancelled": "order_id"}}, got {value!r}.'
        )
    for event, given in value.items():
        check_sendable(event)
        names = [given] if isinstance(given, str) else given
        fields = names if isinstance(names, Mapping) else {each: each for each in names}
        pairs(fields)
        pairs(dict.fromkeys(fields.values()))
        yield Cancellation(event, tuple(fields.items()))


@dataclass(frozen=True, slots=True)
class Match:
    """Fields and the values they must have, reduced to what a database compares."""

    fields: str
    digest: str

    @classmethod
    def of(cls, wanted: Iterable[tuple[str, Any]]) -> Self:
        """Return the match of (path, value) pairs."""
        ordered = sorted((path, plain(value)) for path, value in wanted)
        names = json.dumps([path for path, _ in ordered])
        return cls(names, _digest([value for _, value in ordered]))

    @classmethod
    def in_data(cls, fields: str, data: Mapping[str, Any]) -> Self | None:
        """Return the match that `data` fits among those of `fields`; `None` when one is missing."""
        values = []
        for path in json.loads(fields):
            value, there = look_up(data, path)
            if not there:
                return None
            values.append(plain(value))
        return cls(fields, _digest(values))


def is_system(name: str) -> bool:
    """Say whether events of that name, or pattern, are our own."""
    return name.startswith(SYSTEM)


def look_up(data: Any, path: str) -> tuple[Any, bool]:
    """Return what stands under `path` in `data`, and whether anything does."""
    if isinstance(data, Mapping) and path in data:
        return data[path], True
    for part in path.split("."):
        if not isinstance(data, Mapping) or part not in data:
            return None, False
        data = data[part]
    return data, True


def plain(value: Any) -> Any:
    """Return `value` so that equal numbers are the same: 1.0 is 1, but True is not."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return (str(value), "truth") if isinstance(value, bool) else value


def pairs(match: Any) -> tuple[tuple[str, Any], ...]:
    """Return what `match=` says as (path, value) pairs; raises InvalidEvent."""
    if not isinstance(match, Mapping):
        raise InvalidEvent(f'match takes a dict such as {{"order_id": 17}}, got {match!r}.')
    if len(match) > MOST_FIELDS:
        raise InvalidEvent(f"match takes at most {MOST_FIELDS} fields, got {len(match)}.")
    if len(json.dumps([str(path) for path in match])) > LONGEST_FIELDS:
        raise InvalidEvent(f"the names of match's fields take more than {LONGEST_FIELDS} bytes.")
    for path, value in match.items():
        if not isinstance(path, str) or not path or clean_text(path) != path:
            raise InvalidEvent(f"match has the field {path!r}; fields are texts.")
        if value is not None and not isinstance(value, (str, int, float)):
            raise InvalidEvent(
                f'match compares "{path}" with {value!r}; it takes texts, numbers, booleans, None.'
            )
        _check_spelled(path, value)
    return tuple(match.items())


def check_name(name: Any) -> None:
    """Raise InvalidEvent unless `name` can be the name of somebody's event."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or clean_text(name) != name:
        raise InvalidEvent(
            f"an event's name is a text of 1 to {LONGEST_NAME} characters, got {name!r}."
        )
    if "*" in name:
        raise InvalidEvent(f'"{name}": an event\'s name has no "*"; patterns belong into on=.')


def check_sendable(name: Any) -> None:
    """Raise InvalidEvent unless anybody may send events called `name`, and wait for them."""
    check_name(name)
    if name.startswith(SYSTEM):
        raise InvalidEvent(f'"{name}": events of the name "{SYSTEM}…" are sent by workers only.')


def triggers(value: Any) -> Iterator[Trigger]:
    """Yield what `on=` says as triggers; raises InvalidEvent."""
    for item in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(item, Trigger):
            yield item
        elif isinstance(item, str):
            yield when(item)
        else:
            raise InvalidEvent(f'on takes names of events or when("…"), got {item!r}.')


def _check_pattern(pattern: Any) -> None:
    if isinstance(pattern, str) and pattern.endswith(("/*", ".*")):
        check_name(pattern[:-1])
        return
    if isinstance(pattern, str) and "*" in pattern:
        raise InvalidEvent(f'"{pattern}": "*" stands only at the end, after "/" or ".".')
    check_name(pattern)
    if pattern.startswith(SYSTEM) and pattern not in (*ENDS, FINISHED):
        raise InvalidEvent(f'"{pattern}": our events are {", ".join((*ENDS, FINISHED))}.')


def _check_spelled(path: str, value: Any) -> None:
    try:
        json.dumps(value)
    except ValueError:  # so many digits that Python refuses to write them
        raise InvalidEvent(f'match compares "{path}" with a number too long for JSON.') from None


def _digest(values: list[Any]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
