"""Arguments and results as people read them: masked, pretty, folded when long, cut when longer.

What is stored may be no JSON, or none that belongs there: it is shown as it stands, masked, and
marked as `broken`.
"""

from collections.abc import Iterator, Mapping
from inspect import Parameter
from typing import Any

from django_jobs import registry
from django_jobs.display import call_text, grouped, json_text, masked_arguments, printable
from django_jobs.masking import MASK, is_secret, mask_broken, mask_value
from django_jobs.models import Job
from django_jobs.serializers import NotReadable, load_stored

FOLDED = 4 * 1024
SHOWN = 64 * 1024
"""Characters of a value: from how many on it is folded, and how many are shown at most."""

CALL = frozenset({"args", "kwargs"})
ORIGINAL = "original_args"
Shown = dict[str, Any]


def pretty(value: Any) -> Shown:
    """Return a JSON value as text for a page, with whether it is to be folded, and was cut."""
    return _shown(json_text(value, indent=2))


def readable(text: str, *, indent: int | None = 2) -> tuple[str, bool]:
    """Return a stored text for people, masked, and whether it is JSON."""
    try:
        return json_text(load_stored(text), indent=indent), True
    except NotReadable:
        return printable(mask_broken(text)), False


def pretty_text(text: str) -> Shown:
    """Return a stored text for a page."""
    said, is_json = readable(text)
    return _shown(said, broken=not is_json)


def call_of(job: Job, unreadable: Mapping[str, str]) -> list[Shown]:
    """Return the arguments of a job for a page; broken ones as they are stored, by columns."""
    if CALL.isdisjoint(unreadable):
        return [pretty(arguments(job.name, job.args, job.kwargs))]
    return [_shown(text, broken=is_broken) for text, is_broken in _columns(job, unreadable)]


def original_of(job: Job, unreadable: Mapping[str, str]) -> list[Shown]:
    """Return the arguments that a job was enqueued with, for a page; empty if they are the same."""
    if ORIGINAL in unreadable:
        return [_shown(_broken(job.name, ORIGINAL, unreadable[ORIGINAL]), broken=True)]
    first = job.original_args
    return [pretty(arguments(job.name, first["args"], first["kwargs"]))] if first else []


def whole_call(job: Job, unreadable: Mapping[str, str]) -> tuple[str, bool]:
    """Return all arguments of a job as one masked text, and whether it is JSON."""
    if CALL.isdisjoint(unreadable):
        return json_text(arguments(job.name, job.args, job.kwargs), indent=2), True
    return "\n\n".join(text for text, _ in _columns(job, unreadable)), False


def whole_original(job: Job, unreadable: Mapping[str, str]) -> tuple[str, bool]:
    """Return all arguments that a job was enqueued with as one masked text, and whether it is JSON."""
    if ORIGINAL in unreadable:
        return _broken(job.name, ORIGINAL, unreadable[ORIGINAL]), False
    first = job.original_args or {"args": [], "kwargs": {}}
    return json_text(arguments(job.name, first["args"], first["kwargs"]), indent=2), True


def arguments(name: str, args: Any, kwargs: Any) -> Any:
    """Return the masked arguments of a call by the names of its parameters, where they are known."""
    by_place, by_name = masked_arguments(name, args, kwargs)
    definition = registry.find(name)
    if definition is None or not definition.parameters.fit(args, kwargs):
        return {"args": by_place, "kwargs": by_name}
    bound = definition.parameters.signature.bind(*by_place, **by_name).arguments
    return {key: list(value) if isinstance(value, tuple) else value for key, value in bound.items()}


def call(name: str, args: Any, kwargs: Any, *, payload: bool) -> str:
    """Return the call in one line; without `payload` every value in it is hidden."""
    if not payload:
        args, kwargs = mask_value([args, kwargs], secret=True)
    return call_text(name, args, kwargs)


def _shown(text: str, *, broken: bool = False) -> Shown:
    return {
        "text": text[:SHOWN],
        "size": grouped(len(text)),
        "folded": len(text) > FOLDED,
        "cut": grouped(SHOWN) if len(text) > SHOWN else "",
        "broken": broken,
    }


def _columns(job: Job, unreadable: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Yield the text of each column of a call, and whether it is broken."""
    by_place, by_name = masked_arguments(job.name, job.args, job.kwargs)
    for column, value in (("args", by_place), ("kwargs", by_name)):
        if column in unreadable:
            yield _broken(job.name, column, unreadable[column]), True
        elif value:
            yield json_text({column: value}, indent=2), False


def _broken(name: str, column: str, text: str) -> str:
    """Return broken arguments, hidden whole where nobody can tell which of them are secret.

    Nobody can where the job is not declared, and where the name of a secret need not stand beside it.
    """
    definition = registry.find(name)
    if definition is None:
        return MASK
    parameters, sensitive = definition.parameters.signature.parameters, definition.sensitive
    secret = {each for each in parameters if each in sensitive or is_secret(each)}
    collects = {each for each in secret if parameters[each].kind is Parameter.VAR_KEYWORD}
    hides = collects if column == "kwargs" else secret
    return MASK if hides else printable(mask_broken(text, sensitive))
