"""System checks: what is wrong with the project's set-up, before anything runs."""

from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, register

from django_jobs import conf


@register("django_jobs")
def check_settings(**_: Any) -> list[CheckMessage]:
    """E001 and E002: unknown and unusable keys of `DJANGO_JOBS`."""
    values = getattr(django_settings, conf.NAME, {})
    return [
        Error(message, id=f"django_jobs.{number}") for number, message in conf.problems(values)
    ]
