"""How our screens keep fresh while somebody looks: one look for all who do, via htmx.

Without htmx, or without JavaScript, the page is the same and has a link that loads it anew.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import django_htmx
from django.apps import apps
from django.core.cache import cache
from django.templatetags.static import static

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.reports.overview import Overview, look

SHARED = 2
"""So many seconds one overview serves all who look."""

KEY = "django_jobs.{name}.{alias}"
OVERVIEW, ERRORS, QUEUES, WORKERS = SHOWN = ("overview", "errors", "queues", "workers")
"""What is shared, by name."""

MISSING: Any = object()
logger = logging.getLogger("django_jobs")
Seen = TypeVar("Seen")
SCRIPTS = ("htmx-2.min.js", "htmx.min.js")
"""What older and newer releases of django-htmx call version 2 of htmx."""


def shared(name: str, read: Callable[[str, datetime], Seen]) -> Seen:
    """Return what `read` finds, two seconds old at most; many who look cost one look."""
    alias = get_settings().DATABASE
    key = KEY.format(name=name, alias=alias)
    kept = _ask_cache(lambda: cache.get(key, MISSING), MISSING)
    if kept is not MISSING:
        return cast("Seen", kept)
    seen = read(alias, clock.now())
    _ask_cache(lambda: cache.add(key, seen, SHARED), None)
    return seen


def shared_overview() -> Overview:
    """Return an overview that is two seconds old at most."""
    return shared(OVERVIEW, look)


def forget_shared() -> None:
    """See to it that whoever looks next sees what has just been done."""
    alias = get_settings().DATABASE
    keys = [KEY.format(name=name, alias=alias) for name in SHOWN]
    _ask_cache(lambda: cache.delete_many(keys), None)


def live(url: str, *, pace: float = 1, at_most: float | None = None) -> dict[str, Any] | None:
    """Return what the page needs to keep fresh from `url`; `None` where it cannot, or may not.

    `pace`: how much slower than the dashboard it may be. `at_most`: so many seconds between two
    times, where the setting says more.
    """
    interval, script = get_settings().ADMIN_REFRESH, _script()
    if not interval or script is None:
        return None
    interval = min(interval * pace, at_most or interval * pace)
    return {"url": url, "interval": f"{interval:g}", "htmx": static(script)}


def _ask_cache(ask: Callable[[], Any], otherwise: Any) -> Any:
    """Return what the cache says. One that is down costs a look at the database, no page."""
    try:
        return ask()
    except Exception as problem:  # noqa: BLE001 - each cache has errors of its own
        logger.warning("Django's cache fails: %s: %s", type(problem).__name__, problem)
        return otherwise


def _script() -> str | None:
    if not apps.is_installed("django_htmx"):
        return None
    folder = Path(django_htmx.__file__).parent / "static"
    names = (f"django_htmx/{name}" for name in SCRIPTS)
    return next((name for name in names if (folder / name).exists()), None)
