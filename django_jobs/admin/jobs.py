"""The admin's pages of jobs and of their runs."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from django_jobs import clock, operations
from django_jobs.admin.base import RecordAdmin
from django_jobs.admin.job.page import JobPage
from django_jobs.conf import get_settings
from django_jobs.display import ago, duration
from django_jobs.models import Job, JobRun, Queue
from django_jobs.operations import OperationResult
from django_jobs.states import RunOutcome
from django_jobs.summary import with_error

MOST_AT_ONCE = 1_000
SHOWN_REASONS = 5


class QueueFilter(admin.SimpleListFilter):
    """Filters by the queues that were seen: a list of its own, no scan of the jobs."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        """Return the queues to choose from."""
        names = Queue.objects.using(get_settings().DATABASE).values_list("name", flat=True)
        return [(name, name) for name in names[:100]]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the jobs of the chosen queue."""
        return queryset.filter(queue=self.value()) if self.value() else queryset


@admin.register(Job)
class JobAdmin(RecordAdmin):
    """The jobs: newest first, with retry and cancel; the page of each is a `JobPage`."""

    actions = ("retry_jobs", "cancel_jobs")
    list_display = ("title", "word", "queue", "tries", "age", "error")
    list_filter = ("state", QueueFilter)
    search_fields = ("id", "name")
    search_help_text = "A number, or a part of the job's name."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Return the jobs with the error of their newest run."""
        return with_error(super().get_queryset(request))

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

    def get_search_results(
        self, _request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """Find by number (`19`, `#19`) or by a part of the name."""
        text = search_term.strip().removeprefix("#")
        if not text:
            return queryset, False
        if text.isdecimal() and len(text) < 19:  # noqa: PLR2004 - digits of a bigint
            return queryset.filter(pk=int(text)), False
        return queryset.filter(name__contains=text), False

    @admin.display(description="job")
    def title(self, job: Job) -> str:
        """The function's name and the job's number."""
        return str(job)

    @admin.display(description="state")
    def word(self, job: Job) -> str:
        """The state in the word people read."""
        return job.label

    @admin.display(description="attempt")
    def tries(self, job: Job) -> str:
        """Attempts so far, of those it has."""
        return f"{job.attempt}/{job.max_attempts}"

    @admin.display(description="last change")
    def age(self, job: Job) -> str:
        """How long ago something happened to it."""
        return ago(job.finished_at or job.started_at or job.enqueued_at, clock.now())

    @admin.display(description="error")
    def error(self, job: Any) -> str:
        """The first line of the newest run's error."""
        return f"{job.error_type}: {job.error_line}" if job.error_type else ""

    @admin.action(description="Retry selected jobs", permissions=["operate"])
    def retry_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Retry the finished ones of the selected jobs."""
        ids = self._ids(request, queryset)
        self._tell(request, operations.retry(ids), "retried")

    @admin.action(description="Cancel selected jobs", permissions=["operate"])
    def cancel_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Cancel the selected jobs; running ones are asked to stop."""
        ids = self._ids(request, queryset)
        self._tell(request, operations.cancel(ids), "cancelled")

    def _ids(self, request: HttpRequest, queryset: QuerySet[Job]) -> list[int]:
        ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
        if len(ids) <= MOST_AT_ONCE:
            return ids
        text = f"At most {MOST_AT_ONCE:,} jobs at once; nothing was changed. Narrow the list."
        self.message_user(request, text, messages.ERROR)
        return []

    def _tell(self, request: HttpRequest, result: OperationResult, done: str) -> None:
        changed = result.done | result.asked
        jobs = Job.objects.using(get_settings().DATABASE).filter(pk__in=changed)
        if changed:
            self.record(request, jobs, f"{done} through the admin")
        if result.done:
            text = f"{_jobs(len(result.done))} {done}."
            self.message_user(request, text, messages.SUCCESS)
        if result.asked:
            text = f"{_jobs(len(result.asked))} asked to stop; running jobs end by themselves."
            self.message_user(request, text, messages.SUCCESS)
        if result.refused:
            reasons = [f"#{job_id}: {why}" for job_id, why in result.refused.items()]
            more = len(reasons) - SHOWN_REASONS
            text = f"{_jobs(len(reasons))} not {done}. {'. '.join(reasons[:SHOWN_REASONS])}."
            text += f" And {more} more." if more > 0 else ""
            self.message_user(request, text, messages.WARNING)


@admin.register(JobRun)
class JobRunAdmin(RecordAdmin):
    """The ended attempts of all jobs: newest first."""

    fields = readonly_fields = ("title", "word", "took", "ended", "worker", "error")
    list_display = ("title", "word", "took", "ended", "worker", "error")
    list_filter = ("outcome",)
    list_select_related = ("job",)
    ordering = ("-id",)

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


def _jobs(number: int) -> str:
    return f"{number:,} job" if number == 1 else f"{number:,} jobs"
