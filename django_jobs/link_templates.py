"""Addresses of other tools, such as a search of logs, with places for facts about a job. Pure.

Only the path and what comes after it may have places, and what is put there is quoted: no value
can lead to another host, or become a script.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

JOB_FIELDS = ("job_id", "name", "queue")
RUN_FIELDS = ("attempt", "worker", "error_type", "fingerprint", "started", "finished")

LINK = re.compile(r"https?://[^\s/?#{}\\@]+(?P<rest>[/?#].*)?", re.DOTALL)
PLACE = re.compile(r"\{(\w+)\}")
UNSAFE = re.compile(r"[\s<>\"'\\{}\x00-\x1f]")


def wrong_with(links: Mapping[str, str]) -> str | None:
    """Return what is wrong with these links by label, `None` for nothing."""
    for label, template in links.items():
        found = LINK.fullmatch(template)
        if not label.strip():
            return "needs a label for each link."
        if found is None:
            return f'"{label}" must begin with http:// or https:// and a host, got {template!r}.'
        unknown = set(PLACE.findall(template)) - {*JOB_FIELDS, *RUN_FIELDS}
        if unknown:
            known = ", ".join((*JOB_FIELDS, *RUN_FIELDS))
            return f'"{label}" has no value for {{{min(unknown)}}}. Known: {known}.'
        if UNSAFE.search(PLACE.sub("", template)):
            return f'"{label}" must quote what is no part of an address, got {template!r}.'
    return None


def is_about_run(template: str) -> bool:
    """Say whether an address needs facts about an attempt, beside those about the job."""
    return not set(PLACE.findall(template)).isdisjoint(RUN_FIELDS)


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Return the address with `values` in its places, quoted; nothing for one that is unknown."""
    return PLACE.sub(lambda place: quote(str(values.get(place[1], "")), safe=""), template)
