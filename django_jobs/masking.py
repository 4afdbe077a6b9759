"""Hides secrets in text before it is stored, logged or shown. Pure: text in, text out."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "•••"
SHORTEST = 3
SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|token|secret|api[_-]?key|auth(?!ors?(?![a-z]))|credential",
    re.IGNORECASE,
)
"""Not the author: masking the 7 of `author_id=7` would hide every 7 in a traceback."""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"(?P<before>\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{0,200}):[^\s/@'\"]{1,500}@",
            re.IGNORECASE,
        ),
        r"\g<before>:•••@",
    ),
    (
        re.compile(
            r"(?P<before>[?&][\w-]{0,40}?(?:token|secret|key|password|signature|sig|auth)[\w-]{0,40}=)[^&\s'\"]+",
            re.IGNORECASE,
        ),
        r"\g<before>•••",
    ),
    (re.compile(r"(?P<before>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{6,}"), r"\g<before>•••"),
    (
        re.compile(r"(?P<before>\bpassword\s*[=:]\s*)(?!•)[^\s,;)'\"]+", re.IGNORECASE),
        r"\g<before>•••",
    ),
)


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` with each of `secrets`, and what looks like a credential, masked."""
    text = mask_literals(text, secrets)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def mask_literals(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with each of `secrets` masked, the longest first."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def secrets_in(values: Mapping[str, Any], sensitive: Iterable[str]) -> frozenset[str]:
    """Return the texts that must not appear anywhere: the leaves of the sensitive arguments.

    An argument is sensitive when the job lists it in `sensitive=`, or when its name, at any
    depth, reads like a credential. Texts of fewer than three characters hide nothing and
    would mask half of every sentence; they are left out.
    """
    listed = set(sensitive)
    found: set[str] = set()
    for name, value in values.items():
        _collect(value, name in listed or bool(SECRET_NAME.search(name)), found)
    return frozenset(text for text in found if len(text) >= SHORTEST)


def mask_value(value: Any, *, secret: bool = False) -> Any:
    """Return a copy of a JSON value with every secret leaf masked, for showing to people."""
    if isinstance(value, dict):
        return {
            key: mask_value(item, secret=secret or bool(SECRET_NAME.search(key)))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [mask_value(item, secret=secret) for item in value]
    return MASK if secret and value is not None else value


def _collect(value: Any, secret: bool, found: set[str]) -> None:  # noqa: FBT001
    if isinstance(value, dict):
        for key, item in value.items():
            _collect(item, secret or bool(SECRET_NAME.search(key)), found)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _collect(item, secret, found)
    elif secret and value is not None and not isinstance(value, bool):
        found.update(_spellings(str(value)))


def _spellings(text: str) -> set[str]:
    """Return `text` as it stands in a sentence, in a `repr()` and in JSON."""
    quoted = (repr(text), json.dumps(text), json.dumps(text, ensure_ascii=False))
    return {text, *(spelling[1:-1] for spelling in quoted)}
