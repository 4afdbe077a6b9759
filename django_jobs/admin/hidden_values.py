"""Values in forms whose secrets are hidden: what is left as it was shown means what it was."""

import json
from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from django_jobs.masking import MASK, mask_text

STILL_MASKED = format_lazy(
    _("{mask} stands for a value that is hidden: leave it in its place, or write another."),
    mask=MASK,
)


def as_text(value: Any) -> str:
    """Return a JSON value as text."""
    return json.dumps(value, ensure_ascii=False)


def masked_texts(value: Any) -> Any:
    """Return a copy with what looks like a credential masked inside texts, too."""
    if isinstance(value, dict):
        return {key: masked_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [masked_texts(item) for item in value]
    return mask_text(value) if isinstance(value, str) else value


def restored(given: Any, shown: Any, kept: Any) -> Any:
    """Return `given`; where it still says what was `shown`, it means what was `kept`."""
    if isinstance(given, dict) and isinstance(shown, dict):
        return {
            key: restored(item, shown[key], kept[key]) if key in shown else item
            for key, item in given.items()
        }
    if isinstance(given, list) and isinstance(shown, list):
        known = len(shown)
        return [
            restored(item, shown[place], kept[place]) if place < known else item
            for place, item in enumerate(given)
        ]
    return kept if type(given) is type(shown) and given == shown else given


def is_still_masked(value: Any, kept: Any) -> bool:
    """Say whether a mask was put where there was none: nobody knows what it would stand for."""
    return MASK in as_text(value) and MASK not in as_text(kept)
