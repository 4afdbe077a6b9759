"""How jobs are shown to people: times in words, calls as they would be typed, secrets hidden.

What has words or separators is in the language that is active. The units of time are symbols,
which are the same in all of them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils.formats import get_format
from django.utils.translation import get_language_bidi
from django.utils.translation import gettext as _

from django_jobs import registry
from django_jobs.masking import MASK, mask_text, mask_value

UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
LONGEST_CALL = 200
MOMENT = r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}"
FINE = 10
"""Below this many seconds, hundredths are shown."""


def grouped(count: int) -> str:
    """Return a whole number with its thousands apart: `12,345`, in German `12.345`."""
    return f"{count:,}".replace(",", str(get_format("THOUSAND_SEPARATOR")))


def duration(span: timedelta | float) -> str:
    """Return a span of time in its two biggest units: `1 h 5 min`, `12 s`, `0.25 s`."""
    seconds = abs(span.total_seconds() if isinstance(span, timedelta) else span)
    if seconds < FINE:
        text = f"{seconds:.2f}".rstrip("0").rstrip(".")
        return _isolated(text.replace(".", str(get_format("DECIMAL_SEPARATOR"))) + " s")
    left = round(seconds)
    for index, (size, unit) in enumerate(UNITS):
        if left >= size:
            text = f"{left // size} {unit}"
            smaller = UNITS[index + 1 : index + 2]
            for next_size, next_unit in smaller:
                rest = left % size // next_size
                text += f" {rest} {next_unit}" if rest else ""
            return _isolated(text)
    return _isolated("0 s")


def ago(instant: datetime | None, now: datetime) -> str:
    """Return how far `instant` is from `now`: `5 min ago`, `in 2 h`, `just now`, "" for none."""
    if instant is None:
        return ""
    seconds = (now - instant).total_seconds()
    if abs(seconds) < 1:
        return _("just now")
    text = _("%(span)s ago") if seconds > 0 else _("in %(span)s")
    return _isolated(text % {"span": duration(round(seconds))})


def since_words(instant: datetime) -> str:
    """Return since when something is so, to follow what is: ` since 2030-01-15 12:00:00 UTC`."""
    return _(" since %(when)s UTC") % {"when": f"{instant:%Y-%m-%d %H:%M:%S}"}


def undated(text: str) -> str:
    """Return a text without what `since_words` put into it."""
    words = re.escape(_(" since %(when)s UTC") % {"when": "@"})
    return re.sub(words.replace("@", MOMENT), "", text)


def masked_arguments(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of the job called `name` with its secrets masked.

    Nobody here knows what is secret for a job that is not declared: it is masked whole.
    """
    definition = registry.find(name)
    if definition is None:
        return [MASK] * len(args), dict.fromkeys(kwargs, MASK)
    parameters, sensitive = definition.parameters, set(definition.sensitive)
    by_place = [
        _masked(name, value, secret=name in sensitive)
        for name, value in zip(parameters.names_by_place(len(args)), args, strict=True)
    ]
    by_name = {
        key: _masked(key, value, secret=not sensitive.isdisjoint(parameters.names_for(key)))
        for key, value in kwargs.items()
    }
    return by_place, by_name


def call_text(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return the call in one line, masked and at most 200 characters long: `send(7, to="x")`."""
    by_place, by_name = masked_arguments(name, args, kwargs)
    shown = [json_text(value) for value in by_place]
    shown += [f"{key}={json_text(value)}" for key, value in by_name.items()]
    text = f"{name.rpartition('.')[2]}({', '.join(shown)})"
    return text if len(text) <= LONGEST_CALL else text[: LONGEST_CALL - 2] + "…)"


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return a JSON value as text for people, with what looks like a credential masked."""
    return printable(mask_text(json.dumps(mask_value(value), ensure_ascii=False, indent=indent)))


def printable(text: str) -> str:
    """Return `text` as it can be sent: half a character of two (a surrogate) is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def as_written(text: str) -> str:
    """Return code, such as `0 2 * * *`, so that it reads from left to right in every language."""
    return f"\u2066{text}\u2069" if get_language_bidi() else text


def _isolated(text: str) -> str:
    """Keep the order within `text` in a language that goes from right to left."""
    return f"\u2068{text}\u2069" if get_language_bidi() else text


def _masked(name: str, value: Any, *, secret: bool) -> Any:
    masked: Any = mask_value({name: value}, secret=secret)[name]
    return masked
