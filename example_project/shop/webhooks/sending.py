"""Tells a partner of an event over HTTP, and sorts the answers: taken, not now, never."""

import contextlib
import http.client
import json
from http import HTTPStatus
from typing import IO, Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

TIMEOUT = 5.0
"""Seconds that a partner has to accept the connection, and for each part of the answer."""
READ = 300
"""Bytes of an answer's body that are looked at."""
LINE = 200
ASK_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
"""The answers below 500 that do not judge the request, only its time."""


class NotNow(Exception):
    """The partner did not answer, or has trouble of its own: worth another try."""


class NotWanted(Exception):
    """The partner understood and does not want it: the same request would get the same answer."""


class _NoRedirects(HTTPRedirectHandler):
    """A POST that is redirected would arrive as a GET without its body: better said than done."""

    def redirect_request(self, *_: Any) -> None:
        return None


# Partners are on this machine here; a proxy from the environment would look for them on its own.
_opener = build_opener(ProxyHandler({}), _NoRedirects)


def send(url: str, key: str, event: str, payload: dict[str, Any]) -> str:
    """POST the event and return the partner's answer in one line.

    The header `Idempotency-Key` is the same at each attempt, so that a partner who took the
    event, and whose answer got lost, can know it again. Raises NotNow and NotWanted.
    """
    request = Request(  # noqa: S310 - the next line looks at the scheme
        url,
        data=json.dumps({"event": event, **payload}).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": key},
    )
    if request.type not in {"http", "https"}:
        raise NotWanted(f"{request.type}: is not an address of the web")
    try:
        with _opener.open(request, timeout=TIMEOUT) as response:
            return _line(response.status, response.reason, response)
    except HTTPError as error:
        with error:
            line = _line(error.code, error.reason, error)
        passing = error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in ASK_AGAIN
        raise (NotNow if passing else NotWanted)(line) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise NotNow(_clean(f"no answer: {reason or type(reason).__name__}")) from error


def _line(status: int, reason: str, body: IO[bytes]) -> str:
    """Return status and the beginning of the body, which is only for people and may be missing."""
    said = ""
    with contextlib.suppress(OSError, http.client.HTTPException):
        said = body.read(READ).decode(errors="replace").strip().partition("\n")[0]
    return _clean(f"{status} {reason}: {said}" if said else f"{status} {reason}")


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:LINE].rstrip()
