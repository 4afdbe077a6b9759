"""The admin's pages of jobs and of their runs."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from django_jobs import clock
from django_jobs.admin.base import RecordAdmin
from django_jobs.admin.job.page import JobPage
from django_jobs.admin.job_list import JobListAdmin
from django_jobs.display import ago, duration
from django_jobs.models import Job, JobRun
from django_jobs.states import RunOutcome


@admin.register(Job)
class JobAdmin(JobListAdmin):
    """The jobs: their list, and a `JobPage` for each."""

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses, with those that the page of a job needs."""
        return [*JobPage(self).urls(), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page of a job."""
        found = JobPage(self).page(request, object_id)
        return found or super().change_view(request, object_id, form_url, extra_context)


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

    @admin.display(description="run")
    def title(self, run: JobRun) -> str:
        """The job and the attempt."""
        return f"{run.job}, attempt {run.attempt}"

    @admin.display(description="outcome")
    def word(self, run: JobRun) -> str:
        """How it ended, and whether its worker came too late."""
        late = ", its worker reported too late" if run.fenced_at else ""
        return RunOutcome(run.outcome).value.replace("_", " ") + late

    @admin.display(description="took")
    def took(self, run: JobRun) -> str:
        """How long it ran."""
        return _took(run).removeprefix(", took ") or "–"

    @admin.display(description="ended")
    def ended(self, run: JobRun) -> str:
        """How long ago it ended."""
        return ago(run.finished_at, clock.now())


def _took(run: JobRun) -> str:
    if run.started_at is None:
        return ""
    return f", took {duration(run.finished_at - run.started_at)}"
