"""The jobs about a row, on the page of that row in the project's own admin."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import quote, unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from django_jobs import clock
from django_jobs.about import jobs_about
from django_jobs.admin.buttons.verbs import press
from django_jobs.admin.returning import posted
from django_jobs.admin.rights import Rights
from django_jobs.conf import get_settings
from django_jobs.display import ago
from django_jobs.models import Job
from django_jobs.reports.summary import with_error
from django_jobs.states import State
from django_jobs.subjects import name_of

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Base = ModelAdmin[Any]
else:
    Base = object

SHOWN = 20
TEMPLATE = "admin/django_jobs/panel/change_form.html"

FACES = {
    "ready": ("○", "", gettext_lazy("ready")),
    "scheduled": ("◔", "", gettext_lazy("scheduled")),
    "retrying": ("▲", "jobs-warning", gettext_lazy("retrying")),
    "waiting": ("○", "", gettext_lazy("waiting")),
    "running": ("●", "", gettext_lazy("running")),
    "stopping": ("●", "jobs-warning", gettext_lazy("stopping")),
    "successful": ("✓", "jobs-ok", gettext_lazy("successful")),
    "failed": ("✕", "jobs-bad", gettext_lazy("failed")),
    "cancelled": ("–", "", gettext_lazy("cancelled")),
}
"""The shape, the tone and the word of each state that people read."""


class JobsPanel(Base):
    """Shows the newest 20 jobs about a row below its form: `class OrderAdmin(JobsPanel, ModelAdmin)`.

    Whoever may not see jobs sees nothing of it, and no query is made; the button that retries a
    failed job is there for those who may act on jobs. It stands below the form and not in it: a
    form cannot hold another one, and the Enter key in a field must not press a button of ours.
    """

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the pages, with that of the button."""
        options = self.opts
        name = f"{options.app_label}_{options.model_name}_retry_job"
        view = posted(
            self.admin_site,
            self.retry_job_view,
            lambda _request, object_id, **_: self._address("change", object_id),
        )
        ours = path("<path:object_id>/jobs/<int:job_id>/retry/", view, name=name)
        return [ours, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Put the panel below the page, whatever template that page has."""
        page = super().render_change_form(request, context, *args, **kwargs)
        row = context.get("original")
        if row is None or context.get("is_popup") or not isinstance(page, TemplateResponse):
            return page
        rights = Rights(self.admin_site, request)
        if rights.may_view(Job) and _has_name(row):
            page.context_data = {
                **(page.context_data or {}),
                "jobs_page": page.resolve_template(page.template_name),
                "jobs_panel": self._panel(row, may_operate=rights.may_operate(Job)),
            }
            page.template_name = TEMPLATE
        return page

    @method_decorator(require_POST)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def retry_job_view(self, request: HttpRequest, object_id: str, job_id: int) -> HttpResponse:
        """Retry a failed job about a row, then show that row again."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        rights = Rights(self.admin_site, request)
        if not (rights.may_operate(Job) and self.has_view_permission(request, row)):
            raise PermissionDenied
        if not _has_name(row) or not jobs_about(row).filter(pk=job_id).exists():
            raise Http404
        pressed = press("retry", {"job": str(job_id)}, request.user.get_username())
        if pressed.log:
            _record(
                request,
                job_id,
                _("%(done)s on the page of %(model)s %(row)s")
                % {"done": pressed.log, "model": row._meta.verbose_name, "row": row},
            )
        level = messages.SUCCESS if pressed.log else messages.WARNING
        messages.add_message(request, level, pressed.text)
        return HttpResponseRedirect(self._address("change", quote(row.pk)))

    def _panel(self, row: Model, *, may_operate: bool) -> dict[str, Any]:
        jobs = list(with_error(jobs_about(row))[: SHOWN + 1])
        return {
            "jobs": list(self._lines(row, jobs[:SHOWN], may_operate=may_operate)),
            "more": len(jobs) > SHOWN,
            "shown": SHOWN,
            "may_operate": may_operate,
        }

    def _lines(self, row: Model, jobs: list[Any], *, may_operate: bool) -> Iterator[dict[str, Any]]:
        now = clock.now()
        for job in jobs:
            at = job.finished_at or job.started_at or job.enqueued_at
            mark, tone, word = FACES[job.label]
            retry = may_operate and job.state == State.FAILED
            yield {
                "title": str(job),
                "url": reverse(
                    "admin:django_jobs_job_change", args=[job.pk], current_app=self.admin_site.name
                ),
                "mark": mark,
                "tone": tone,
                "word": word,
                "error": f"{job.error_type}: {job.error_line}" if job.error_type else "",
                "at": at,
                "when": ago(at, now),
                "button": self._button(row, job.pk) if retry else None,
            }

    def _button(self, row: Model, job_id: int) -> dict[str, Any]:
        url = self._address("retry_job", quote(row.pk), job_id)
        return {"url": url, "label": _("Retry"), "fields": {}}

    def _address(self, page: str, *args: Any) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"
        return reverse(name, args=args, current_app=self.admin_site.name)


def _has_name(row: Model) -> bool:
    """Say whether a job can be about the row: not about one whose key is too long for its name."""
    try:
        return bool(name_of(row))
    except ValueError:
        return False


def _record(request: HttpRequest, job_id: int, message: str) -> None:
    LogEntry.objects.create(
        user_id=cast("int", request.user.pk),
        content_type=ContentType.objects.get_for_model(Job),
        object_id=str(job_id),
        object_repr=f"#{job_id}",
        action_flag=CHANGE,
        change_message=message,
    )
