"""Where one can go from each of our screens, and by which keys."""

from collections.abc import Iterator
from typing import Any

from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from django_jobs.admin.rights import Rights
from django_jobs.models import Batch, BulkOperation, Event, Job, JobRun, Queue, Schedule, Worker

LISTS = (
    (Queue, "q"),
    (Schedule, "s"),
    (Worker, "w"),
    (JobRun, "r"),
    (Batch, "b"),
    (Event, "e"),
    (BulkOperation, "o"),
)


def places(site_name: str, rights: Rights, here: str = "") -> list[dict[str, Any]]:
    """Return the screens that a user may see; `here` is the address of the one he sees.

    `key` is what he presses after a "g".
    """
    found = _all(site_name, rights)
    return [{**place, "current": place["url"] == here} for place in found]


def _all(site_name: str, rights: Rights) -> Iterator[dict[str, Any]]:
    def place(label: str, name: str, key: str, **kwargs: str) -> dict[str, Any]:
        url = reverse(f"admin:{name}", kwargs=kwargs, current_app=site_name)
        return {"label": label, "url": url, "key": key}

    if rights.may_view(Job):
        yield place(_("Dashboard"), "app_list", "d", app_label="django_jobs")
        yield place(_("Jobs"), "django_jobs_job_changelist", "j")
        yield place(_("Errors"), "django_jobs_failed", "f")
    for model, key in LISTS:
        if rights.may_view(model):
            label = capfirst(str(model._meta.verbose_name_plural))
            yield place(label, f"django_jobs_{model.__name__.lower()}_changelist", key)
    if rights.may_view(Job):
        yield place(pgettext("figures", "History"), "django_jobs_history", "h")
