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

_NAME = re.compile(
    r"""(?:\\?(?P<mark>["'])(?P<quoted>[^"']{1,255}?)\\?(?P=mark)|(?<![\w.-])(?P<bare>[\w.-]{1,255}))"""
    r"""\s{0,20}[:=]\s{0,20}"""
)
_VALUE = re.compile(
    r"""(?P<quote>\\?["'])(?:[^"'\\]|\\.|(?!(?P=quote))["'])*(?:(?P=quote))?|[\[{].*|[^\s,;}\]]+""",
    re.DOTALL,
)


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` with each of `secrets`, and what looks like a credential, masked."""
    text = mask_literals(text, secrets)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def mask_broken(text: str, secret_names: Iterable[str] = ()) -> str:
    """Return a text that is not the JSON it should be, with whatever might be a secret masked.

    Where a name reads like a credential, or is one of `secret_names`, what follows it is masked: a
    quoted text or a word, and everything from an opening bracket on, whose end nobody knows.
    """
    names, parts, end = set(secret_names), [], 0
    for found in _NAME.finditer(text):
        name = found["bare"] or _unescaped(found["quoted"])
        hides = found.start() >= end and (name in names or is_secret(name))
        value = _VALUE.match(text, found.end()) if hides else None
        if value is not None:
            parts += [text[end : value.start()], MASK]
            end = value.end()
    return mask_text("".join([*parts, text[end:]]))


def is_secret(name: str) -> bool:
    """Say whether a name reads like that of a credential."""
    return bool(SECRET_NAME.search(name))


def _unescaped(name: str) -> str:
    try:
        return str(json.loads(f'"{name}"'))
    except ValueError:
        return name


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
