"""The screens of queues: all of them, one in detail, and the question before all is cancelled."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_jobs import clock
from django_jobs.admin.base import RecordAdmin
from django_jobs.admin.buttons.pressing import AT_ONCE
from django_jobs.admin.given import number_in
from django_jobs.admin.queues.contents import Contents
from django_jobs.admin.queues.regions import LIST, QueueRegions
from django_jobs.admin.refreshing import QUEUES, shared
from django_jobs.admin.screens import Screen
from django_jobs.conf import get_settings
from django_jobs.models import Job, Queue
from django_jobs.reports.queue_contents import contents
from django_jobs.reports.queues import QueueReport, detail, report, waiting
from django_jobs.reports.reading import Reading, within_limit

PACE = 2
ROW, REST = "row", "rest"


@admin.register(Queue)
class QueueAdmin(RecordAdmin):
    """The queues: a screen of them all, and one of each."""

    def get_urls(self) -> list[Any]:
        """Return Django's addresses, and those of our screens below them."""
        screen = QueueScreen(self.admin_site)
        ask = self.admin_site.admin_view(screen.ask)
        return [
            path("live/", screen.live, name="django_jobs_queue_live"),
            path("<int:key>/cancel-waiting/", ask, name="django_jobs_queue_cancel_waiting"),
            *super().get_urls(),
        ]

    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the screen of all queues."""
        del extra_context
        return QueueScreen(self.admin_site).page(request)

    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the screen of one queue."""
        del form_url, extra_context
        return QueueScreen(self.admin_site).one(request, unquote(object_id))


class QueueScreen(Screen):
    """The queues, for one admin site."""

    @method_decorator(require_safe)
    def page(self, request: HttpRequest) -> HttpResponse:
        """Show all queues."""
        rights = self.rights(request, Queue)
        seen = look_at(get_settings().DATABASE, clock.now())
        values = {
            **QueueRegions(self, rights).all(seen),
            "parents": [(_("Jobs"), self.home)],
        }
        again = self.address("admin:django_jobs_queue_live")
        template, title = "admin/django_jobs/queue/page.html", _("Queues")
        return self.show(request, template, values, title=title, refresh=again, pace=PACE)

    @method_decorator(login_not_required)
    @method_decorator(never_cache)
    @method_decorator(require_safe)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def live(self, request: HttpRequest) -> HttpResponse:
        """Return the queues anew, for htmx to put into the page."""
        if not self.site.has_permission(request):
            return self.to_login(self.address(LIST))
        rights = self.rights(request, Queue)
        seen = shared(QUEUES, look_at)
        values = {
            **QueueRegions(self, rights).all(seen),
            "now": seen.now if seen else clock.now(),
        }
        return self.refresh(request, "admin/django_jobs/queue/live.html", values)

    @method_decorator(require_safe)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def one(self, request: HttpRequest, key: str) -> HttpResponse:
        """Show one queue, with the oldest jobs that wait in it."""
        rights, alias, now = self.rights(request, Queue), get_settings().DATABASE, clock.now()
        with Reading(alias) as reading:
            row = reading.part(ROW, lambda: self._queue(number_in(key)))
            seen = reading.part(REST, lambda: detail(alias, now, row.name)) if row else None
        if seen is None and not reading.slow:
            raise Http404
        found = QueueRegions(self, rights).one(seen) if seen else {"slow": True}
        values = {**found, "parents": self._parents()}
        if row and seen and rights.may_view(Job):
            values["contents"] = self._contents(row.name)
        template, title = "admin/django_jobs/queue/one.html", row.name if row else f"#{key}"
        return self.show(request, template, values, title=title)

    @method_decorator(require_safe)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def ask(self, request: HttpRequest, key: int) -> HttpResponse:
        """Ask whether all that waits in a queue is to be cancelled, and say how much that is."""
        rights = self.rights(request, Queue)
        if not rights.may_operate(Job):
            raise PermissionDenied
        alias, now = get_settings().DATABASE, clock.now()
        page = self.address("admin:django_jobs_queue_change", key)
        with Reading(alias) as reading:
            row = reading.part(ROW, lambda: self._queue(key))
            number = reading.part(REST, lambda: waiting(alias, row)) if row else None
        values: dict[str, Any] = {"slow": True, "page": page}
        if row is not None and number is not None:
            button = QueueRegions(self, rights).button(
                "cancel-waiting", _("Cancel them"), page, queue=row.name, seen=now.isoformat()
            )
            values = {
                "queue": row.name,
                "number": str(number),
                "any": number.number > 0,
                "most": AT_ONCE if number.number > AT_ONCE else 0,
                "asked_at": now,
                "page": page,
                "button": button,
            }
        values["parents"] = [*self._parents(), (row.name if row else f"#{key}", page)]
        template = "admin/django_jobs/queue/cancel.html"
        return self.show(request, template, values, title=_("Cancel all waiting jobs"))

    def _contents(self, queue: str) -> dict[str, Any]:
        alias, now = get_settings().DATABASE, clock.now()
        seen = within_limit(alias, lambda: contents(alias, now, queue))
        return Contents(self, queue).as_values(seen)

    def _queue(self, key: int | None) -> Queue:
        row = Queue.objects.using(get_settings().DATABASE).filter(pk=key or 0).first()
        if row is None:
            raise Http404
        return row

    def _parents(self) -> list[tuple[str, str]]:
        return [(_("Jobs"), self.home), (_("Queues"), self.address(LIST))]


def look_at(alias: str, now: datetime) -> QueueReport | None:
    """Return the queues, `None` when that takes too long."""
    return within_limit(alias, lambda: report(alias, now))
