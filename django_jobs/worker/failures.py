"""Turns an exception into text that is safe to store: cleaned, masked, bounded, fingerprinted."""

import hashlib
import re
import sys
import traceback
from pathlib import Path
from types import TracebackType

from django_jobs.masking import mask_literals, mask_text
from django_jobs.serializers import clean_text
from django_jobs.states import ErrorRecord

TEXT_LIMIT = 16 * 1024
PATTERN_LIMIT = 256 * 1024
MESSAGE_LIMIT = 255
FINGERPRINT_VERSION = "1"

_OWN = tuple(str(Path(__file__).parent.parent / part) for part in ("worker", "steps"))
_VARIABLE = re.compile(
    r"'[^']*'|\"[^\"]*\"|[\w.+-]+@[\w.-]+|https?://\S+|\b[0-9a-f]{8}(?:-?[0-9a-f]{4,}){2,}\b|\b0x[0-9a-f]+\b|\d+",
    re.IGNORECASE,
)
_LIBRARIES = (
    "site-packages",
    "dist-packages",
    f"python{sys.version_info[0]}.{sys.version_info[1]}",
)


def describe(error: BaseException, job: str, secrets: frozenset[str] = frozenset()) -> ErrorRecord:
    """Return `error`, raised by the job called `job`, as a record without any of `secrets`."""
    kind = type(error)
    type_name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    text = _safe(_message(error), secrets)
    trace = own_frames_removed(error.__traceback__)
    return ErrorRecord(
        type=type_name[:255],
        message=text.partition("\n")[0][:MESSAGE_LIMIT],
        text=shorten(text),
        traceback=shorten(_safe(_format(error, trace), secrets)),
        fingerprint=fingerprint(type_name, job, trace, text),
    )


def fingerprint(type_name: str, job: str, trace: TracebackType | None, text: str) -> str:
    """Return 16 hex digits that are equal for failures of one kind.

    Of one kind are failures of one job with one exception class, raised below one function of
    the project, whose messages differ only in numbers, quoted texts, addresses and ids.
    """
    shape = _VARIABLE.sub("#", text.partition("\n")[0][:1000])
    parts = [FINGERPRINT_VERSION, type_name, job, _place(trace), shape]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def own_frames_removed(trace: TracebackType | None) -> TracebackType | None:
    """Return `trace` without the frames at its top that called the job, or its step."""
    first = trace
    while first is not None and first.tb_frame.f_code.co_filename.startswith(_OWN):
        first = first.tb_next
    return first or trace


def shorten(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return `text`, its middle left out when it exceeds `limit` bytes."""
    data = text.encode()
    if len(data) <= limit:
        return text
    half = limit // 2
    head = data[:half].decode(errors="ignore")
    tail = data[-half:].decode(errors="ignore")
    return f"{head}\n… {len(data) - 2 * half:,} bytes left out …\n{tail}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as second:  # noqa: BLE001 - a user's __str__ may raise anything
        return f"<its message could not be made: {type(second).__name__}>"


def _format(error: BaseException, trace: TracebackType | None) -> str:
    try:
        return "".join(
            traceback.TracebackException(type(error), error, trace, compact=True).format()
        )
    except BaseException as second:  # noqa: BLE001 - formatting runs user code (__str__, __repr__)
        return f"{type(error).__name__}: <its traceback could not be made: {type(second).__name__}>"


def _safe(text: str, secrets: frozenset[str]) -> str:
    # The known secrets go first, from the whole text: a cut could leave half of one standing.
    return mask_text(shorten(mask_literals(clean_text(text), secrets), PATTERN_LIMIT))


def _place(trace: TracebackType | None) -> str:
    place = ""
    for frame, _ in traceback.walk_tb(trace):
        if not any(part in frame.f_code.co_filename for part in _LIBRARIES):
            place = f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname}"
    return place
