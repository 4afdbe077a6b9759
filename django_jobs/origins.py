"""The origin of a job: who and what enqueued it, as a short text that says it without the request.

`view=shop:checkout request=7f3a user=ana`; what is not known is left out. It is made at once, so
that nothing keeps the request, and cleaned: strangers write headers, paths and usernames.
"""

import asyncio
import re
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.http import HttpRequest
from django.utils.encoding import escape_uri_path
from django.utils.functional import LazyObject, empty
from django.utils.translation import gettext as _

from django_jobs.serializers import clean_text

LONGEST = 255
LONGEST_VIEW = 80
LONGEST_ID = 64
LONGEST_USER = 90
"""Characters of the parts: all three, with their names, fit into the text."""

ID_HEADER = "X-Request-ID"

_TEXT = re.compile(
    r"(?:view=(?P<view>.+?))?(?:(?:^| )request=(?P<request>\S+))?(?:(?:^| )user=(?P<user>.+))?"
)


class Origin(NamedTuple):
    """What is known of the request in which a job was enqueued; "": unknown, or nobody."""

    view: str = ""
    request: str = ""
    user: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        """Return the origin of jobs that are enqueued in `request`.

        In an event loop only a user that is loaded is named: to load one would block the loop.
        """
        return cls(
            _line(_view(request), LONGEST_VIEW),
            _line(_request_id(request), LONGEST_ID).replace(" ", "_"),  # else it could add a user
            _line(_username(request), LONGEST_USER),
        )

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return what the text of an origin says; `None`: it is a text of another kind."""
        found = _TEXT.fullmatch(text)
        return cls(**found.groupdict(default="")) if found else None

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self._asdict().items() if value)


def of_request(value: Any) -> str | None:
    """Return the origin of jobs that are enqueued in a request as text; raises TypeError.

    Takes a request that wraps Django's, as REST framework's does, too. `None`: no request.
    """
    if value is None:
        return None
    request = value if isinstance(value, HttpRequest) else getattr(value, "_request", None)
    if not isinstance(request, HttpRequest):
        raise TypeError(f"request takes the HttpRequest of a view, got {value!r}.")
    return str(Origin.of(request)) or None


def by_hand(by: str) -> str | None:
    """Return who made a job by hand as the text of its origin; `None`: nobody is named."""
    return _line(by, LONGEST) or None


def spoken(text: str) -> str:
    """Return the text of an origin in the words that people read."""
    origin = Origin.read(text)
    if origin is None:
        return text
    parts = [origin.view] if origin.view else []
    if origin.request:
        parts.append(_("request %(id)s") % {"id": origin.request})
    if origin.user:
        parts.append(_("user %(name)s") % {"name": origin.user})
    return ", ".join(parts)


def _view(request: HttpRequest) -> str:
    if request.resolver_match is not None:
        return request.resolver_match.view_name
    # Without the query, which may hold secrets; escaped, it has no space in it.
    return f"{request.method} {escape_uri_path(request.path)}" if request.method else ""


def _request_id(request: HttpRequest) -> str:
    given = getattr(request, "id", None)
    if isinstance(given, (str, int, UUID)) and given != "":
        return str(given)
    return request.headers.get(ID_HEADER, "")


def _username(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    if _in_event_loop() and isinstance(user, LazyObject) and user._wrapped is empty:  # noqa: SLF001 - nothing else tells
        user = getattr(request, "_acached_user", None)  # what `await request.auser()` has loaded
    if not getattr(user, "is_authenticated", False):
        return ""
    username = getattr(user, "get_username", None)
    return str(username()) if callable(username) else ""


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _line(text: str, most: int) -> str:
    """Return a text as one short line of what can be printed."""
    line = " ".join(clean_text(text).split())
    line = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)
    return line if len(line) <= most else f"{line[: most - 1]}…"
