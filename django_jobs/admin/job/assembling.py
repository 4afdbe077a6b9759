"""Makes a call of values by parameters: by place what was so or must be, the rest by name. Pure."""

from collections.abc import Collection, Mapping
from inspect import Parameter
from typing import Any

from django.utils.translation import gettext as _

from django_jobs.binding import Parameters

Call = tuple[tuple[Any, ...], dict[str, Any]]


def assemble(
    parameters: Parameters,
    values: Mapping[str, Any],
    by_place: Collection[str],
    left_out: Collection[str] = (),
) -> Call:
    """Return the call that gives `values`, named as the parameters are.

    `by_place`: were given by place. `left_out`: are defaults, given only where others come after
    them by place. Raises TypeError where one lacks before others that are given by place.
    """
    signature = parameters.signature.parameters
    rest = _collected(signature, values, Parameter.VAR_POSITIONAL, [])
    first = _first(parameters, values, by_place, left_out, everything=bool(rest))
    lacking = [name for name in first if name not in values]
    if lacking:
        raise TypeError(_('"%(name)s" must be given, too.') % {"name": lacking[0]})
    collectors = {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}
    by_name = {
        name: value
        for name, value in values.items()
        if name not in {*first, *left_out} and signature[name].kind not in collectors
    }
    more = _collected(signature, values, Parameter.VAR_KEYWORD, {})
    return (*(values[name] for name in first), *rest), {**by_name, **more}


def _first(
    parameters: Parameters,
    values: Mapping[str, Any],
    by_place: Collection[str],
    left_out: Collection[str],
    *,
    everything: bool,
) -> tuple[str, ...]:
    """Return the parameters that are given by place: up to the last one that has to be."""
    if everything:
        return parameters.positional
    signature, count = parameters.signature.parameters, 0
    for place, name in enumerate(parameters.positional, start=1):
        only = signature[name].kind is Parameter.POSITIONAL_ONLY
        if name in by_place or (only and name in values and name not in left_out):
            count = place
    return parameters.positional[:count]


def _collected(
    signature: Mapping[str, Parameter], values: Mapping[str, Any], kind: Any, empty: Any
) -> Any:
    names = [name for name, item in signature.items() if item.kind is kind and name in values]
    return values[names[0]] if names else empty
