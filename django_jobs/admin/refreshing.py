"""How the dashboard keeps fresh while somebody looks: one overview for all who do, via htmx.

Without htmx, or without JavaScript, the page is the same and has a link that loads it anew.
"""

from pathlib import Path
from typing import Any, cast

import django_htmx
from django.apps import apps
from django.core.cache import cache
from django.templatetags.static import static

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.overview import Overview, look

SHARED = 2
"""So many seconds one overview serves all who look."""

KEY = "django_jobs.overview.{alias}"
SCRIPTS = ("htmx-2.min.js", "htmx.min.js")
"""What older and newer releases of django-htmx call version 2 of htmx."""


def shared_overview() -> Overview:
    """Return an overview that is two seconds old at most; many who look cost one."""
    alias = get_settings().DATABASE
    key = KEY.format(alias=alias)
    found: Any = cache.get_or_set(key, lambda: look(alias, clock.now()), SHARED)
    return cast("Overview", found)


def forget_overview() -> None:
    """See to it that the next overview shows what has just been done."""
    cache.delete(KEY.format(alias=get_settings().DATABASE))


def live(url: str, at_most: float | None = None) -> dict[str, Any] | None:
    """Return what the page needs to keep fresh from `url`; `None` where it cannot, or may not.

    `at_most`: so many seconds between two times, where the setting says more.
    """
    interval, script = get_settings().ADMIN_REFRESH, _script()
    if not interval or script is None:
        return None
    interval = min(interval, at_most or interval)
    return {"url": url, "interval": f"{interval:g}", "htmx": static(script)}


def _script() -> str | None:
    if not apps.is_installed("django_htmx"):
        return None
    folder = Path(django_htmx.__file__).parent / "static"
    names = (f"django_htmx/{name}" for name in SCRIPTS)
    return next((name for name in names if (folder / name).exists()), None)
