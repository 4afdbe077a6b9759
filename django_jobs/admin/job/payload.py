"""Arguments and results as people read them: masked, pretty, folded when long, cut when longer."""

from typing import Any

from django_jobs import registry
from django_jobs.display import call_text, grouped, json_text, masked_arguments
from django_jobs.masking import mask_value

FOLDED = 4 * 1024
SHOWN = 64 * 1024
"""Characters of a value: from how many on it is folded, and how many are shown at most."""


def pretty(value: Any) -> dict[str, Any]:
    """Return a JSON value as text for a page, with whether it is to be folded, and was cut."""
    text = json_text(value, indent=2)
    return {
        "text": text[:SHOWN],
        "size": grouped(len(text)),
        "folded": len(text) > FOLDED,
        "cut": grouped(SHOWN) if len(text) > SHOWN else "",
    }


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
