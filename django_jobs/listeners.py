"""Who listens to the ends of which jobs, as it is written with each end.

The code that ends a job says who is started for it. Whoever hands the end out may run other
code, during a deploy, and know nothing of them.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django_jobs import registry
from django_jobs.serializers import load
from django_jobs.subscriptions import ENDS, JOB, is_system

Listening = tuple[str, tuple[tuple[str, Any], ...]]
"""The name of a job that listens, and what fields of the event must be for it."""

NOBODY = "{}"
EVERY = "*"


def heard() -> Mapping[str, str]:
    """Return the data of ends: by "FAILED shop.jobs.send", by "FAILED *" for all other jobs.

    A job that listens to the ends of all others would, failing, start itself for ever: its own
    ends, and those of its kind, are heard only by those that name it.
    """
    return _heard(registry.generation())


def told(state: str, name: str) -> str:
    """Return the data of the end of that job in that state; `NOBODY` where none is told."""
    ears = heard()
    return ears.get(f"{state} {name}", ears.get(f"{state} {EVERY}", NOBODY))


def listeners_in(data: str) -> tuple[Listening, ...]:
    """Return who is to be started, as the data of an end tells."""
    found: Mapping[str, Any] = load(data)
    return tuple(
        (name, tuple((path, value) for path, value in match))
        for name, match in found.get("listeners", ())
    )


@lru_cache(maxsize=1)
def _heard(_generation: int) -> Mapping[str, str]:
    data = {}
    nosy = {job.name for trigger, job in registry.listeners() if is_system(trigger.pattern)}
    for end, by_name in _by_end().items():
        everybodys = by_name.get(EVERY, [])
        for name in {*by_name, *(nosy if everybodys else ())}:
            named = by_name.get(name, [])
            alone = name == EVERY or name in nosy
            data[f"{end} {name}"] = _data(named if alone else [*named, *everybodys])
    return data


def _by_end() -> dict[str, dict[str, list[Listening]]]:
    """Return who listens, by the state and the job that he names."""
    found: dict[str, dict[str, list[Listening]]] = {}
    for trigger, definition in registry.listeners():
        match = dict(trigger.match)
        name = str(match.pop("job", EVERY))
        for end in (end.removeprefix(JOB).upper() for end in ENDS if trigger.hears(end)):
            these = found.setdefault(end, {}).setdefault(name, [])
            these.append((definition.name, tuple(match.items())))
    return found


def _data(listeners: list[Listening]) -> str:
    return json.dumps({"listeners": listeners}) if listeners else NOBODY
