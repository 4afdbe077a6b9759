"""Arguments and results ↔ JSON: what goes in comes out unchanged, or is refused by name.

Knows no database, but refuses what PostgreSQL refuses (NUL, lone surrogates, NaN) and spells
numbers so that its jsonb keeps them, so that a job behaves alike on every engine. One thing is
lost there: -0.0 comes back as 0.0, which is equal to it.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

from django_jobs.exceptions import (
    ArgumentsTooLarge,
    ResultNotStorable,
    ResultTooLarge,
)

MAX_DEPTH = 100

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

HINTS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((datetime, date, time), "Pass {name}.isoformat()."),
    (timedelta, "Pass {name}.total_seconds()."),
    ((Decimal, UUID, PurePath), "Pass str({name})."),
    ((bytes, bytearray, memoryview), "Pass text, or the name of a stored file."),
    ((set, frozenset), "Pass sorted({name})."),
    (tuple, "JSON would turn it into a list. Pass list({name})."),
)


EMPTY: dict[str | None, Any] = {None: lambda: None, "[]": list, "{}": dict}
"""The texts that most jobs carry, and how to make their values without a parser."""

_TEXT_OR_BIG_FLOAT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[-\d.]+e\+\d+')


class NotStorable(TypeError):
    """A value that JSON cannot hold: where it stands, what it is, what to pass instead."""

    def __init__(self, path: str, what: str, hint: str = "") -> None:
        self.path, self.what, self.hint = path, what, hint
        super().__init__(f"{path} is {what}. {hint}".strip())


class NotReadable(ValueError):
    """A stored text is no JSON, or deeper nested than what is ever stored here."""


def dump_arguments(
    job: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], names: tuple[str, ...], limit: int
) -> tuple[str, str]:
    """Return `args` and `kwargs` of `job` as two JSON texts.

    `names` are the parameter names of the positional arguments, for messages. Raises
    TypeError for a value that JSON cannot hold, naming the path to it, and
    ArgumentsTooLarge when both texts together exceed `limit` bytes.
    """
    try:
        for position, value in enumerate(args):
            name = names[position] if position < len(names) else f"#{position + 1}"
            _check(value, name, 0)
        for name, value in kwargs.items():
            _check(value, name, 0)
        texts = _dump(list(args)) if args else "[]", _dump(dict(kwargs)) if kwargs else "{}"
    except NotStorable as problem:
        raise TypeError(
            f'argument "{problem.path}" of {job} is {problem.what}. {problem.hint} '
            "Nothing was enqueued.".replace("  ", " ")
        ) from None
    size = sum(len(text) if text.isascii() else len(text.encode()) for text in texts)
    if size > limit:
        raise ArgumentsTooLarge(
            f"The arguments of {job} take {size:,} bytes; the limit is {limit:,} "
            "(MAX_ARGUMENTS). Store the data and pass its key. Nothing was enqueued."
        )
    return texts


def dump_result(job: str, result: Any, limit: int) -> str | None:
    """Return the result of `job` as JSON text, `None` for no result.

    Raises ResultNotStorable for a value that JSON cannot hold, and ResultTooLarge when the
    text exceeds `limit` bytes.
    """
    if result is None:
        return None
    try:
        _check(result, "result", 0)
        text = _dump(result)
    except NotStorable as problem:
        where = "" if problem.path == "result" else f" at {problem.path}"
        raise ResultNotStorable(
            f"{job} finished, but its result cannot be stored: {problem.what}{where}. "
            "Return a string, a number, a list or a dict of such, or return nothing."
        ) from None
    size = len(text.encode())
    if size > limit:
        raise ResultTooLarge(
            f"{job} finished, but its result takes {size:,} bytes; the limit is {limit:,} "
            "(MAX_RESULT). Store the data and return its key."
        )
    return text


def load(text: str | None) -> Any:
    """Return the value of a JSON text, `None` for no text."""
    if text in EMPTY:
        return EMPTY[text]()
    assert text is not None
    return json.loads(text)


def load_stored(text: str) -> Any:
    """Return the value of a text that anybody may have stored; raises NotReadable."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotReadable from error
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise NotReadable
        containers = (item for item in level if isinstance(item, (list, dict)))
        values = (item.values() if isinstance(item, dict) else item for item in containers)
        level, depth = [inner for some in values for inner in some], depth + 1
    return value


def clean_text(text: str) -> str:
    """Return `text` without what PostgreSQL cannot store: NUL and lone surrogates."""
    if text.isascii():
        return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode("utf-8")


def is_storable(instant: datetime) -> bool:
    """Say whether a database can hold an instant, and a page show it, in whatever time zone."""
    return MINYEAR < instant.year < MAXYEAR


def _dump(value: Any) -> str:
    try:
        text = _ENCODER.encode(value)
    except ValueError as error:  # an integer longer than Python turns into text
        raise NotStorable("value", "a number too long for JSON", "Pass it as text.") from error
    # PostgreSQL's jsonb makes whole numbers of 1e+16 and above, and wrong ones of some.
    return _TEXT_OR_BIG_FLOAT.sub(_spell_out, text) if "e+" in text else text


def _spell_out(found: re.Match[str]) -> str:
    text = found[0]
    return text if text.startswith('"') else f"{float(text):.1f}"


def _check(value: Any, path: str, depth: int) -> None:
    if value is None or isinstance(value, (bool, int)):
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise NotStorable(path, f"{value}, which JSON cannot hold", "Pass None or a number.")
    elif isinstance(value, (list, dict)):
        _check_container(value, path, depth)
    else:
        raise NotStorable(path, _describe(value), _hint(value, path))


def _check_text(value: str, path: str) -> None:
    if "\x00" in value:
        raise NotStorable(path, "text with a NUL character", "Remove it.")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            hint = "Decode the bytes with the right encoding."
            raise NotStorable(path, "text with a lone surrogate", hint) from None


def _check_container(value: Any, path: str, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise NotStorable(path[:60] + "…", f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth + 1)
        return
    for key, item in value.items():
        if not isinstance(key, str):
            what = f"a dict with the key {key!r} ({type(key).__name__})"
            raise NotStorable(path, what, "JSON has text keys only.")
        _check_text(key, f"{path}[{key!r}]")
        _check(item, f"{path}[{key!r}]", depth + 1)


def _describe(value: Any) -> str:
    kind = type(value).__name__
    article = "an" if kind[0].lower() in "aeio" else "a"
    if hasattr(value, "_meta") and hasattr(value, "pk"):
        return f"{article} {kind} instance"
    return f"{article} {kind}, which JSON cannot hold"


def _hint(value: Any, name: str) -> str:
    if hasattr(value, "_meta") and hasattr(value, "pk"):
        return f"Pass {name}.pk and load it in the job."
    for kinds, hint in HINTS:
        if isinstance(value, kinds):
            return hint.format(name=name)
    return "Pass text, numbers, lists or dicts of such."
