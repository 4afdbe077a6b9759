"""The screen of workers: who works, what each runs, what is wanted of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_jobs import clock
from django_jobs.admin.base import RecordAdmin
from django_jobs.admin.refreshing import WORKERS, shared
from django_jobs.admin.rights import Rights
from django_jobs.admin.screens import Screen
from django_jobs.conf import get_settings
from django_jobs.display import ago, duration, grouped
from django_jobs.models import Job, Worker
from django_jobs.reports.reading import within_limit
from django_jobs.reports.workers import WorkerReport, WorkerState, report
from django_jobs.states import Wish

LIST = "admin:django_jobs_worker_changelist"
PACE = 2
SIGNS = 15
"""Seconds between two signs of life of a worker."""

Values = dict[str, Any]


@admin.register(Worker)
class WorkerAdmin(RecordAdmin):
    """The workers: a screen of them all, and a plain page of each row."""

    fields = readonly_fields = ("name", "word", "serves", "room", "version", "up", "wanted")

    def get_urls(self) -> list[Any]:
        """Return Django's addresses, and that of the live part of the screen."""
        screen = WorkerScreen(self.admin_site)
        live = path("live/", screen.live, name="django_jobs_worker_live")
        return [live, *super().get_urls()]

    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the screen of all workers."""
        del extra_context
        return WorkerScreen(self.admin_site).page(request)

    def get_queryset(self, _request: HttpRequest) -> QuerySet[Worker]:
        """Return those that have gone, too: the admin's log leads to them."""
        return Worker.everyone.using(get_settings().DATABASE)

    @admin.display(description=gettext_lazy("last seen"))
    def word(self, worker: Worker) -> str:
        """Its newest sign of life; silent after one lease without any."""
        now = clock.now()
        if worker.left_at is not None:
            return ", ".join((_("gone"), ago(worker.left_at, now)))
        silent = (now - worker.beat_at).total_seconds() > get_settings().LEASE
        seen = ago(worker.beat_at, now)
        return _("silent, %(ago)s") % {"ago": seen} if silent else seen

    @admin.display(description=gettext_lazy("queues"))
    def serves(self, worker: Worker) -> str:
        """The queues it serves."""
        return ", ".join(worker.queues) or _("all")

    @admin.display(description=gettext_lazy("jobs at once"))
    def room(self, worker: Worker) -> str:
        """Processes and threads."""
        return f"{worker.processes} × {worker.threads}"

    @admin.display(description=gettext_lazy("started"))
    def up(self, worker: Worker) -> str:
        """When it started."""
        return ago(worker.started_at, clock.now())

    @admin.display(description=gettext_lazy("wanted"), empty_value="–")
    def wanted(self, worker: Worker) -> str | None:
        """What somebody wants of it, who and since when."""
        if not worker.wish:
            return None
        by = _(" by %(who)s") % {"who": worker.wished_by} if worker.wished_by else ""
        return f"{_(worker.wish)}{by} {ago(worker.wished_at, clock.now())}"


class WorkerScreen(Screen):
    """The workers, for one admin site."""

    @method_decorator(require_safe)
    def page(self, request: HttpRequest) -> HttpResponse:
        """Show all workers."""
        rights = self.rights(request, Worker)
        seen = look_at(get_settings().DATABASE, clock.now())
        values = {
            **self._values(seen, rights),
            "parents": [(_("Jobs"), self.home)],
        }
        again = self.address("admin:django_jobs_worker_live")
        template, title = "admin/django_jobs/worker/page.html", _("Workers")
        return self.show(request, template, values, title=title, refresh=again, pace=PACE)

    @method_decorator(login_not_required)
    @method_decorator(never_cache)
    @method_decorator(require_safe)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def live(self, request: HttpRequest) -> HttpResponse:
        """Return the workers anew, for htmx to put into the page."""
        if not self.site.has_permission(request):
            return self.to_login(self.address(LIST))
        rights = self.rights(request, Worker)
        seen = shared(WORKERS, look_at)
        values = {**self._values(seen, rights), "now": seen.now if seen else clock.now()}
        return self.refresh(request, "admin/django_jobs/worker/live.html", values)

    def _values(self, seen: WorkerReport | None, rights: Rights) -> Values:
        if seen is None:
            return {"slow": True, "headline": _("Workers")}
        return Workers(self, seen, rights).as_values()


def look_at(alias: str, now: datetime) -> WorkerReport | None:
    """Return the workers, `None` when that takes too long."""
    return within_limit(alias, lambda: report(alias, now))


class Workers:
    """The region of the screen, as plain values for its template."""

    def __init__(self, screen: Screen, seen: WorkerReport, rights: Rights) -> None:
        self._screen = screen
        self._seen = seen
        self._may_tell = rights.may_operate(Worker)
        self._may_requeue = rights.may_operate(Job)
        self._may_view_jobs = rights.may_view(Job)

    def as_values(self) -> Values:
        """Return what there is to be shown."""
        seen, lease = self._seen, duration(get_settings().LEASE)
        rule = _(
            "A worker gives a sign of life every %(signs)s, and is silent after %(lease)s without "
            "one. What it holds is then taken back by others. One that has gone has stopped, or "
            "was found dead by the process that started it. Both are forgotten after a day."
        )
        return {
            "headline": self._headline(),
            "versions": self._versions(),
            "workers": [self._worker(worker) for worker in seen.workers],
            "more": seen.more,
            "rule": rule % {"signs": duration(SIGNS), "lease": lease},
            "may_act": self._may_tell or self._may_requeue,
        }

    def _headline(self) -> str:
        alive = len(self._seen.alive)
        text = ngettext("%(number)d worker alive", "%(number)d workers alive", alive)
        line = text % {"number": alive}
        gone = len(self._seen.gone)
        silent = len(self._seen.workers) - alive - gone
        line += ", " + _("%(number)d silent") % {"number": silent} if silent else ""
        return line + (", " + _("%(number)d gone") % {"number": gone} if gone else "")

    def _versions(self) -> str:
        """Return which versions run, where they are several."""
        versions = self._seen.versions
        if len(versions) < 2:  # noqa: PLR2004 - mixed
            return ""
        names = [f"{name or '–'} ({count})" for name, count in sorted(versions.items())]
        return _("Living workers run different versions: %(names)s.") % {"names": ", ".join(names)}

    def _worker(self, worker: WorkerState) -> Values:
        row, now = worker.row, self._seen.now
        facts: Values = {}
        if row is not None:
            facts = {
                "known": True,
                "url": self._screen.address("admin:django_jobs_worker_change", row.pk),
                "up": ago(row.started_at, now),
                "up_at": row.started_at,
                "version": row.version,
                "queues": ", ".join(row.queues) or _("all"),
                "threads": row.threads,
                "beat": ago(row.beat_at, now),
                "beat_at": row.beat_at,
                "wish": row.wish,
                "by": row.wished_by,
                "wished": ago(row.wished_at, now),
            }
        return {
            **facts,
            "name": worker.name,
            "alive": worker.alive,
            "left": ago(worker.left, now),
            "left_at": worker.left,
            "held": worker.held,
            "jobs": [self._job(job) for job in worker.jobs] if self._may_view_jobs else [],
            "more": worker.held - len(worker.jobs) if self._may_view_jobs else 0,
            "buttons": list(self._buttons(worker)),
        }

    def _job(self, job: Any) -> Values:
        span = duration(round((self._seen.now - job.since).total_seconds())) if job.since else ""
        url = self._screen.address("admin:django_jobs_job_change", job.job_id)
        return {"title": job.title, "url": url, "span": span}

    def _buttons(self, worker: WorkerState) -> Iterator[Values]:
        """Yield what may be pressed: a silent worker hears nothing any more."""
        if worker.expired and self._may_requeue:
            text = ngettext("Requeue %(number)s job", "Requeue %(number)s jobs", worker.expired)
            yield self._button("requeue", text % {"number": grouped(worker.expired)}, worker)
        if not self._may_tell or worker.row is None or worker.left:
            return
        wish = worker.row.wish
        if not worker.alive:
            if not worker.held:
                yield self._button("forget", _("Forget"), worker)
        elif wish == Wish.QUIET:
            yield self._button("go-on", _("Go on"), worker)
        elif wish == Wish.NONE:
            yield self._button("quiet", _("Quiet"), worker)
        if worker.alive and wish != Wish.STOP:
            yield self._button("stop", _("Stop"), worker)

    def _button(self, verb: str, label: str, worker: WorkerState) -> Values:
        fields = {"worker": worker.name, "back": self._screen.address(LIST)}
        url = self._screen.address("admin:django_jobs_act", verb)
        return {"url": url, "label": label, "fields": fields}
