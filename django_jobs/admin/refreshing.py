"""How our screens keep fresh while somebody looks: one look for all who do, via htmx.

Without htmx, or without JavaScript, the page is the same and has a link that loads it anew.
"""

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

Seen = TypeVar("Seen")
SCRIPTS = ("htmx-2.min.js", "htmx.min.js")
"""What older and newer releases of django-htmx call version 2 of htmx."""


def shared(name: str, read: Callable[[str, datetime], Seen]) -> Seen:
    """Return what `read` finds, two seconds old at most; many who look cost one look."""
    alias = get_settings().DATABASE
    key = KEY.format(name=name, alias=alias)
    found: Any = cache.get_or_set(key, lambda: read(alias, clock.now()), SHARED)
    return cast("Seen", found)


def shared_overview() -> Overview:
    """Return an overview that is two seconds old at most."""
    return shared(OVERVIEW, look)


def forget_shared() -> None:
    """See to it that whoever looks next sees what has just been done."""
    alias = get_settings().DATABASE
    cache.delete_many([KEY.format(name=name, alias=alias) for name in SHOWN])


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


def _script() -> str | None:
    if not apps.is_installed("django_htmx"):
        return None
    folder = Path(django_htmx.__file__).parent / "static"
    names = (f"django_htmx/{name}" for name in SCRIPTS)
    return next((name for name in names if (folder / name).exists()), None)
