"""Splits a stored traceback: the frames of the project, and all of them. Pure."""

import re
from collections.abc import Iterator

from django.utils.translation import ngettext

FRAME = re.compile(r'^(?P<lead>[\s|]*)File "(?P<file>[^"]*)", line \d+')
LIBRARY = re.compile(r"[\\/](?:site|dist)-packages[\\/]|[\\/]python3\.\d+[\\/]|^<frozen ")


def own_frames(text: str) -> str:
    """Return a traceback without the frames of libraries, each gap said; "" if nothing is left out.

    A traceback of libraries only has no frames of the project's own: it is not divided.
    """
    shown, hidden, own, others = [], 0, 0, 0
    for line, inside in _lines(text):
        if inside == "library":
            hidden += line.is_frame
            others += line.is_frame
            continue
        if hidden:
            shown.append(_gap(hidden))
            hidden = 0
        own += line.is_frame
        shown.append(line.text)
    shown += [_gap(hidden)] if hidden else []
    return "\n".join(shown) if own and others else ""


class _Line:
    """A line of a traceback; `is_frame`: it begins a frame."""

    __slots__ = ("is_frame", "text")

    def __init__(self, text: str, *, is_frame: bool) -> None:
        self.text, self.is_frame = text, is_frame


def _lines(text: str) -> Iterator[tuple[_Line, str]]:
    """Yield each line with whose frame it belongs to: "own", "library", or "" for none."""
    inside, lead = "", ""
    for line in text.splitlines():
        frame = FRAME.match(line)
        if frame is not None:
            lead = frame["lead"]
            inside = "library" if LIBRARY.search(frame["file"]) else "own"
        elif inside and not line.startswith(f"{lead}  "):
            inside = ""
        yield _Line(line, is_frame=frame is not None), inside


def _gap(number: int) -> str:
    text = ngettext("%(number)d frame of a library", "%(number)d frames of libraries", number)
    return f"  … {text % {'number': number}} …"
