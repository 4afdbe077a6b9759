"""The admin's pages of jobs and of their runs."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_jobs import clock
from django_jobs.admin.base import RecordAdmin
from django_jobs.admin.job.deleting import DeletePage
from django_jobs.admin.job.page import JobPage
from django_jobs.admin.job_list.page import JobListAdmin
from django_jobs.conf import get_settings
from django_jobs.display import ago, duration
from django_jobs.models import Job, JobRun
from django_jobs.states import spoken


@admin.register(Job)
class JobAdmin(JobListAdmin):
    """The jobs: their list, and a `JobPage` for each."""

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses, with those that the page of a job needs."""
        return [*JobPage(self).urls(), *super().get_urls()]

    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page of a job; rows are not saved, whatever a project allows."""
        if request.method not in {"GET", "HEAD"}:
            raise PermissionDenied
        found = JobPage(self).page(request, object_id)
        return found or super().change_view(request, object_id, form_url, extra_context)

    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Ask whether a job is to be deleted, and delete it."""
        del extra_context
        return DeletePage(self).view(request, object_id)


@admin.register(JobRun)
class JobRunAdmin(RecordAdmin):
    """The ended attempts of all jobs: newest first."""

    fields = readonly_fields = ("title", "word", "took", "ended", "worker", "error")
    list_display = ("title", "word", "took", "ended", "worker", "error")
    list_filter = ("outcome",)
    list_select_related = ("job",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobRun]:
        """Return the runs without what can be long, and nobody sees here."""
        long = ("result", "error_text", "traceback", "log", "job__args", "job__kwargs")
        return super().get_queryset(request).select_related("job").defer(*long, "job__metadata")

    @admin.display(description=gettext_lazy("run"))
    def title(self, run: JobRun) -> str:
        """The job and the attempt."""
        return _("%(job)s, attempt %(number)d") % {"job": run.job, "number": run.attempt}

    @admin.display(description=gettext_lazy("outcome"))
    def word(self, run: JobRun) -> str:
        """How it ended, and whether its worker came too late."""
        word = _(spoken(run.outcome))
        return (
            _("%(outcome)s, its worker reported too late") % {"outcome": word}
            if run.fenced_at
            else word
        )

    @admin.display(description=gettext_lazy("took"))
    def took(self, run: JobRun) -> str:
        """How long it ran."""
        return duration(run.finished_at - run.started_at) if run.started_at else "–"

    @admin.display(description=gettext_lazy("ended"))
    def ended(self, run: JobRun) -> str:
        """How long ago it ended."""
        return ago(run.finished_at, clock.now())
