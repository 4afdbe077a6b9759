"""Who listens to the ends of which jobs, as it is written with each end.

The code that ends a job says who is started for it. Whoever hands the end out may run other
code, during a deploy, and know nothing of them.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from django_jobs import registry
from django_jobs.serializers import clean_text, load
from django_jobs.states import State
from django_jobs.subscriptions import ENDS, JOB, is_system

Listening = tuple[str, tuple[tuple[str, Any], ...]]
"""The name of a job that listens, and what fields of the event must be for it."""

NOBODY = "{}"
EVERY = "*"


def heard(states: Iterable[State]) -> Mapping[str, str]:
    """Return the data of ends in `states`: by "FAILED shop.jobs.send", by "FAILED *" for all others.

    A job that listens to the ends of all others would, failing, start itself for ever: its own
    ends, and those of its kind, are heard only by those that name it.
    """
    by_state = _heard(registry.generation())
    found: dict[str, str] = {}
    for state in states:
        found |= by_state.get(state, {})
    return found


def told(state: State, name: str) -> str:
    """Return the data of the end of that job in that state; `NOBODY` where none is told."""
    ears = heard((state,))
    return ears.get(f"{state} {name}", ears.get(f"{state} {EVERY}", NOBODY))


def listeners_in(data: str) -> tuple[Listening, ...]:
    """Return who is to be started, as the data of an end tells."""
    found: Mapping[str, Any] = load(data)
    return tuple(
        (name, tuple((path, value) for path, value in match))
        for name, match in found.get("listeners", ())
    )


@lru_cache(maxsize=1)
def _heard(_generation: int) -> Mapping[State, Mapping[str, str]]:
    return {state: _by_word(state, by_name) for state, by_name in _by_end().items()}


def _by_word(state: State, by_name: Mapping[str, list[Listening]]) -> Mapping[str, str]:
    data = {}
    nosy = _nosy()
    everybodys = by_name.get(EVERY, [])
    for name in {*by_name, *(nosy if everybodys else ())}:
        named = by_name.get(name, [])
        alone = name == EVERY or name in nosy
        data[f"{state} {name}"] = _data(named if alone else [*named, *everybodys])
    return data


def _nosy() -> set[str]:
    """Return the names, former ones included, of jobs that listen to the ends of jobs."""
    found = (job for trigger, job in registry.listeners() if is_system(trigger.pattern))
    return {name for job in found for name in (job.name, *job.aliases)}


def _by_end() -> dict[State, dict[str, list[Listening]]]:
    """Return who listens, by the state and the job that he names."""
    found: dict[State, dict[str, list[Listening]]] = {}
    for trigger, definition in registry.listeners():
        match = dict(trigger.match)
        names = _meant(match.pop("job")) if "job" in match else (EVERY,)
        for end in (end.removeprefix(JOB).upper() for end in ENDS if trigger.hears(end)):
            for name in names:
                these = found.setdefault(State(end), {}).setdefault(name, [])
                these.append((definition.name, tuple(match.items())))
    return found


def _meant(name: Any) -> Collection[str]:
    """Return all names of a job that a listener names: rows may bear a former one, or the new."""
    if not isinstance(name, str) or clean_text(name) != name:
        return ()  # no job is called so, and PostgreSQL would refuse each end for it
    definition = registry.find(name)
    return {name} if definition is None else {definition.name, *definition.aliases}


def _data(listeners: list[Listening]) -> str:
    return json.dumps({"listeners": listeners}) if listeners else NOBODY
