"""Maps names to definitions, and nothing else: a row's name is looked up here, never imported."""

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django_jobs.exceptions import JobNotFound
from django_jobs.subscriptions import FAILED, Trigger

if TYPE_CHECKING:
    from django_jobs.definitions import JobDefinition

    Definition = JobDefinition[Any, Any]

OURS = "django_jobs."

_definitions: dict[str, "Definition"] = {}
_aliases: dict[str, str] = {}
_doubles: list[tuple[str, str, str]] = []
_generation = 0


def register(definition: "Definition") -> None:
    """Add `definition` under its name and its aliases.

    A second function under one name replaces the first, as an import does on reload; the
    system check E008 reports it when both come from different places.
    """
    known = _definitions.get(definition.name)
    if known is not None and known.source != definition.source:
        _doubles.append((definition.name, known.source, definition.source))
    _definitions[definition.name] = definition
    for alias in definition.aliases:
        _aliases[alias] = definition.name
    _change()


def unregister(name: str) -> None:
    """Forget the definition called `name` (for tests)."""
    definition = _definitions.pop(name, None)
    for alias in definition.aliases if definition else ():
        _aliases.pop(alias, None)
    _change()


def find(name: str) -> "Definition | None":
    """Return the definition called `name`, or `None`."""
    return _definitions.get(name) or _definitions.get(_aliases.get(name, ""))


def get(name: str) -> "Definition":
    """Return the definition called `name`; raises JobNotFound with the nearest name."""
    definition = find(name)
    if definition is None:
        raise JobNotFound(
            f'no job "{name}".{_did_you_mean(name)} Jobs are found in the module jobs.py of '
            "every installed app; see them with: python manage.py jobs definitions"
        )
    return definition


def definitions() -> Iterator["Definition"]:
    """Yield every definition in the order of their names."""
    for name in sorted(_definitions):
        yield _definitions[name]


def declared() -> Iterator["Definition"]:
    """Yield the project's definitions, in that order: without our own, which every project has."""
    return (each for each in definitions() if not each.func.__module__.startswith(OURS))


def known_names() -> frozenset[str]:
    """Return all names, former ones included."""
    return frozenset(_definitions) | frozenset(_aliases)


def async_names() -> tuple[str, ...]:
    """Return the names, former ones included, of all jobs that are coroutine functions."""
    found = ((name, find(name)) for name in sorted(known_names()))
    return tuple(name for name, definition in found if definition and definition.is_async)


def listeners() -> Iterator[tuple[Trigger, "Definition"]]:
    """Yield each declared trigger with the job that it starts, in the order of their names."""
    for definition in definitions():
        yield from ((trigger, definition) for trigger in definition.on)
        # A missing target is reported by the system check E012.
        target = find(definition.on_failure) if definition.on_failure else None
        if target is not None:
            yield Trigger(FAILED, (("job", definition.name),)), target


def generation() -> int:
    """Return a number that is another one after each change of what is registered."""
    return _generation


def doubles() -> list[tuple[str, str, str]]:
    """Return (name, first place, second place) of each name that was declared twice."""
    return list(_doubles)


def nearest(name: str, names: Iterator[str] | list[str]) -> str | None:
    """Return the one of `names` that `name` was most likely meant to be."""
    matches = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return matches[0] if matches else None


def _change() -> None:
    global _generation  # noqa: PLW0603 - the registry is global, and this is its age
    _generation += 1


def _did_you_mean(name: str) -> str:
    match = nearest(name, list(_definitions))
    return f' Did you mean "{match}"?' if match else ""
