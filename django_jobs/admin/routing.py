"""Where the pages of jobs are in an admin site: a dashboard at `jobs/`, our lists below it.

Django's own names lead there, so that the site's index, sidebar and breadcrumbs do, too. An
instance of a site is changed, never a class; where an app of the project is called like that, it
keeps its page and ours stay at `django_jobs/`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, include, path, re_path, reverse

from django_jobs.admin.batches import BatchAdmin
from django_jobs.admin.bulk.pages import BulkOperationAdmin
from django_jobs.admin.dashboard.page import Dashboard
from django_jobs.admin.events import EventAdmin
from django_jobs.admin.failed import FailedScreen
from django_jobs.admin.history.page import History
from django_jobs.admin.jobs import JobAdmin, JobRunAdmin
from django_jobs.admin.queues.page import QueueAdmin
from django_jobs.admin.returning import posted
from django_jobs.admin.schedules.pages import ScheduleAdmin
from django_jobs.admin.workers import WorkerAdmin
from django_jobs.conf import get_settings
from django_jobs.models import Batch, BulkOperation, Event, Job, JobRun, Queue, Schedule, Worker

LABEL = "django_jobs"
ADMINS: dict[Any, Any] = {
    Job: JobAdmin,
    JobRun: JobRunAdmin,
    Batch: BatchAdmin,
    Queue: QueueAdmin,
    Schedule: ScheduleAdmin,
    Worker: WorkerAdmin,
    Event: EventAdmin,
    BulkOperation: BulkOperationAdmin,
}

Pattern = URLPattern | URLResolver


def install(site: AdminSite, prefix: str | None = None) -> None:
    """Give `site` the dashboard and the lists of jobs; doing it twice does nothing twice.

    `prefix`: where, in the site; `ADMIN_PREFIX` if it is not given. Call it before the site's
    `urls` are used, as in the project's `admin.py`.
    """
    if getattr(site, "has_jobs", False):
        return
    original = site.get_urls
    site.has_jobs = True  # type: ignore[attr-defined]
    site.get_urls = lambda: with_jobs(site, original, prefix)  # type: ignore[method-assign]


class JobsAdminSiteMixin:
    """For a project's own `AdminSite`: the same by inheritance."""

    has_jobs = True
    jobs_prefix: str | None = None

    def get_urls(self) -> list[Pattern]:
        """Return the site's addresses with those of jobs."""
        original: Any = super().get_urls  # type: ignore[misc]
        return with_jobs(self, original, self.jobs_prefix)


class JobsAdminSite(JobsAdminSiteMixin, AdminSite):
    """An admin site of its own for jobs and nothing else; its index is the dashboard."""

    def index(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Go to the dashboard."""
        del request, extra_context
        target = reverse("admin:app_list", kwargs={"app_label": LABEL}, current_app=self.name)
        return HttpResponseRedirect(target)


def with_jobs(site: Any, original: Callable[[], Any], prefix: str | None = None) -> list[Pattern]:
    """Return the addresses that `original` gives, with ours where they win.

    The first pattern that fits an address is its page, but the last one that fits a name is
    its address: so the ways in go to the front, and the second mount of our lists to the end.
    """
    for model, model_admin in ADMINS.items():
        if not site.is_registered(model):
            site.register(model, model_admin)
    patterns = list(original())
    wanted = (get_settings().ADMIN_PREFIX if prefix is None else prefix).strip("/") or LABEL
    wanted = LABEL if _is_taken(wanted, patterns) else wanted
    first: list[Pattern] = list(_pages(site, wanted))
    last: list[Pattern] = []
    if wanted != LABEL:
        moved = site.admin_view(partial(_moved, site=site))
        first.insert(1, re_path(rf"^{LABEL}/(?P<rest>.*)$", moved))
        last = [
            path(f"{wanted}/{model.__name__.lower()}/", include(site.get_model_admin(model).urls))
            for model in ADMINS
        ]
    last += first[:1]  # its name, too
    end = len(patterns) - (1 if site.final_catch_all_view else 0)
    return [*first, *patterns[:end], *last, *patterns[end:]]


def _pages(site: Any, prefix: str) -> Iterator[Pattern]:
    dashboard = Dashboard(site)
    yield path(
        f"{prefix}/",
        site.admin_view(dashboard.page),
        {"app_label": LABEL},
        name="app_list",
    )
    yield path(f"{prefix}/live/", dashboard.live, name="django_jobs_live")
    yield path(f"{prefix}/health.json", dashboard.health, name="django_jobs_health")
    failed = FailedScreen(site)
    yield path(f"{prefix}/failed/", site.admin_view(failed.page), name="django_jobs_failed")
    yield path(f"{prefix}/failed/live/", failed.live, name="django_jobs_failed_live")
    act = posted(site, dashboard.act, dashboard.back)
    yield path(f"{prefix}/do/<str:verb>/", act, name="django_jobs_act")
    yield from _history(site, prefix)


def _history(site: Any, prefix: str) -> Iterator[Pattern]:
    history, at = History(site), f"{prefix}/history/"
    yield path(at, site.admin_view(history.page), name="django_jobs_history")
    yield path(f"{at}live/", history.live, name="django_jobs_history_live")
    table = site.admin_view(history.figures)
    yield path(f"{at}figures.csv", table, name="django_jobs_history_csv")


def _is_taken(prefix: str, patterns: Sequence[Pattern]) -> bool:
    """Say whether the site has a page there that is not ours."""
    return any(str(pattern.pattern).lstrip("^").startswith(f"{prefix}/") for pattern in patterns)


def _moved(request: HttpRequest, rest: str, site: Any) -> HttpResponse:
    """Send on whoever comes by the address that Django would give, whatever he wants there."""
    base = reverse("admin:app_list", kwargs={"app_label": LABEL}, current_app=site.name)
    query = request.META.get("QUERY_STRING", "")
    target = f"{base}{quote(rest)}" + (f"?{query}" if query else "")
    return HttpResponseRedirect(target, preserve_request=True)
