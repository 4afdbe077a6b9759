"""The pages of operations on very many jobs: a list, and how far each one is, live."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth.decorators import login_not_required
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from django_jobs import bulk, clock
from django_jobs.admin.base import RecordAdmin
from django_jobs.admin.bulk.asking import DONE, OPERATION, TITLES, may_do
from django_jobs.admin.given import number_in
from django_jobs.admin.returning import posted
from django_jobs.admin.rights import Rights, may_see_payload
from django_jobs.admin.screens import LABEL, STOP, Screen
from django_jobs.conf import get_settings
from django_jobs.display import ago, duration, grouped
from django_jobs.models import BulkOperation, Job
from django_jobs.searching.surveying import CAP
from django_jobs.searching.terms import split


class OperationScreen(Screen):
    """How far an operation is, refreshed until it has ended."""

    @method_decorator(require_safe)
    def page(self, request: HttpRequest, row_id: int) -> HttpResponse:
        """Show an operation."""
        row = self._row(request, row_id)
        live = "" if row.finished_at else self.address(f"admin:{LABEL}_bulkoperation_live", row.pk)
        operations = self.address(f"admin:{LABEL}_bulkoperation_changelist")
        name = capfirst(str(BulkOperation._meta.verbose_name_plural))
        parents = [(_("Jobs"), self.home), (name, operations)]
        values = {**self._values(request, row), "parents": parents}
        title = f"{TITLES.get(row.verb, row.verb)} #{row.pk}"
        template = "admin/django_jobs/bulk/operation.html"
        return self.show(request, template, values, title=title, refresh=live)

    @method_decorator(login_not_required)
    @method_decorator(never_cache)
    @method_decorator(require_safe)
    def live(self, request: HttpRequest, row_id: int) -> HttpResponse:
        """Return how far it is now."""
        if not self.site.has_permission(request):
            return self.to_login(self.address(OPERATION, row_id))
        row = self._row(request, row_id)
        values = {**self._values(request, row), "now": clock.now()}
        template = "admin/django_jobs/bulk/live.html"
        return self.refresh(request, template, values, status=STOP if row.finished_at else 200)

    @method_decorator(require_POST)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def stop(self, request: HttpRequest, row_id: int) -> HttpResponse:
        """End an operation; what is done stays done."""
        row = self._row(request, row_id)
        if not may_do(Rights(self.site, request), row.verb):
            raise PermissionDenied
        if bulk.stop(row.pk, request.user.get_username()):
            _record_stop(request, row)
            messages.success(request, _("It is stopped; what was done stays done."))
        else:
            messages.warning(request, _("No change: it had ended already."))
        return HttpResponseRedirect(self.address(OPERATION, row.pk))

    def _row(self, request: HttpRequest, row_id: int) -> BulkOperation:
        self.rights(request, BulkOperation)
        row = BulkOperation.objects.using(get_settings().DATABASE).filter(pk=row_id).first()
        if row is None:
            raise Http404
        return row

    def _values(self, request: HttpRequest, row: BulkOperation) -> dict[str, Any]:
        now = clock.now()
        end = row.finished_at or now
        counted = row.expected <= CAP
        may_stop = not row.finished_at and may_do(Rights(self.site, request), row.verb)
        return {
            "row": row,
            "word": state_word(row),
            "search": shown_search(row, request),
            "done_word": DONE.get(row.verb, row.verb),
            "expected": _expected(row, counted=counted),
            "handled": grouped(row.handled),
            "done": grouped(row.done),
            "asked": grouped(row.asked),
            "refused": grouped(row.refused),
            "share": _share(row, counted=counted),
            "took": duration((end - row.started_at).total_seconds()) if row.started_at else "",
            "rate": _rate(row, end),
            "asked_ago": ago(row.created_at, now),
            "reasons": [
                {"why": why, "count": grouped(count), "job": job_id, "url": self._job(job_id)}
                for why, (count, job_id) in sorted(row.reasons.items())
            ],
            "stop_url": self.address(f"admin:{LABEL}_bulkoperation_stop", row.pk)
            if may_stop
            else "",
        }

    def _job(self, job_id: int) -> str:
        return self.address(f"admin:{LABEL}_job_change", job_id) if job_id else ""


@admin.register(BulkOperation)
class BulkOperationAdmin(RecordAdmin):
    """The operations, newest first; whoever may see jobs may see them."""

    list_display = ("title", "word", "worked_off", "refused", "created_by", "age")
    ordering = ("-id",)

    def has_view_permission(self, request: HttpRequest, _obj: Any = None) -> bool:
        """Say whether the user may see jobs."""
        return Rights(self.admin_site, request).may_view(Job)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may see jobs."""
        return self.has_view_permission(request)

    def get_urls(self) -> list[Any]:
        """Return the addresses, with those of one operation."""
        screen, name = OperationScreen(self.admin_site), f"{LABEL}_bulkoperation"
        stop = posted(
            self.admin_site, screen.stop, lambda _request, row_id: screen.address(OPERATION, row_id)
        )
        return [
            path("<int:row_id>/live/", screen.live, name=f"{name}_live"),
            path("<int:row_id>/stop/", stop, name=f"{name}_stop"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show how far it is."""
        del form_url, extra_context
        row_id = number_in(unquote(object_id))
        if row_id is None:
            raise Http404
        return OperationScreen(self.admin_site).page(request, row_id)

    @admin.display(description=gettext_lazy("operation"))
    def title(self, row: BulkOperation) -> str:
        """What is done, and its number."""
        return f"{TITLES.get(row.verb, row.verb)} #{row.pk}"

    @admin.display(description=gettext_lazy("state"))
    def word(self, row: BulkOperation) -> str:
        """Where it stands."""
        return state_word(row)

    @admin.display(description=gettext_lazy("dealt with"))
    def worked_off(self, row: BulkOperation) -> str:
        """How many jobs it has dealt with."""
        return grouped(row.handled)

    @admin.display(description=gettext_lazy("asked for"))
    def age(self, row: BulkOperation) -> str:
        """How long ago somebody asked for it."""
        return ago(row.created_at, clock.now())


def state_word(row: BulkOperation) -> str:
    """Return where an operation stands, in a word."""
    if row.finished_at:
        if row.is_cut_short:
            return _("stopped") if row.stopped_by else _("given up")
        return _("done")
    return _("at work") if row.started_at else _("waits for a worker")


def shown_search(row: BulkOperation, request: HttpRequest) -> str:
    """Return which jobs it is about; values of arguments only for those who may see them."""
    terms = split(row.search)
    return str(terms if may_see_payload(request) else terms.hiding_payload())


def _expected(row: BulkOperation, *, counted: bool) -> str:
    """Return how many there are to deal with; uncounted ones are known in the end."""
    if row.finished_at and not (counted or row.is_cut_short):
        return grouped(row.handled)
    return grouped(row.expected) if counted else f"{grouped(CAP)}+"


def _share(row: BulkOperation, *, counted: bool) -> int:
    """Return how many percent are dealt with: of the jobs, or of the numbers looked at."""
    if row.finished_at and not row.is_cut_short:
        return 100
    part, whole = (row.handled, row.expected) if counted else _looked_at(row)
    return min(99, part * 100 // max(whole, 1))


def _looked_at(row: BulkOperation) -> tuple[int, int]:
    return row.last_id - row.low, row.high - row.low


def _rate(row: BulkOperation, end: Any) -> str:
    if row.started_at is None or not row.handled:
        return ""
    seconds = max((end - row.started_at).total_seconds(), 0.001)
    return grouped(round(row.handled / seconds)) if seconds >= 1 else ""


def _record_stop(request: HttpRequest, row: BulkOperation) -> None:
    LogEntry.objects.create(
        user_id=cast("int", request.user.pk),
        content_type=ContentType.objects.get_for_model(BulkOperation),
        object_id=str(row.pk),
        object_repr=str(row)[:200],
        action_flag=CHANGE,
        change_message=_("stopped"),
    )
