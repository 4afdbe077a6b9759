"""The admin's pages of jobs and of their runs."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe

from django_jobs import clock
from django_jobs.admin.base import RecordAdmin, moment
from django_jobs.admin.job_list import JobListAdmin
from django_jobs.admin.rights import may_see_payload
from django_jobs.admin.steps import steps_table
from django_jobs.conf import get_settings
from django_jobs.display import ago, call_text, duration, json_text
from django_jobs.explaining import reasons
from django_jobs.masking import mask_value
from django_jobs.models import Job, JobProgress, JobRun
from django_jobs.states import FINAL, RunOutcome, State

_WITHOUT_PAYLOAD = "hidden_call", "steps_without_results"


class RunInline(admin.StackedInline):  # type: ignore[type-arg]
    """The ended attempts of a job, oldest first."""

    model = JobRun
    extra = 0
    can_delete = False
    verbose_name_plural = "runs"

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobRun]:
        """Return the runs in the jobs' database."""
        runs: QuerySet[JobRun] = super().get_queryset(request)
        return runs.using(get_settings().DATABASE)

    def get_fields(self, request: HttpRequest, _obj: Model | None = None) -> list[Any]:
        """Return what is shown; results and logs need a permission of their own."""
        payload = ["shown_result", "shown_log"] if may_see_payload(request) else []
        return ["outcome", "ended", "worker", "shown_error", "shown_traceback", *payload]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Everything is to read only."""
        return self.get_fields(request, obj)

    def has_add_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Runs are written by workers."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Model | None = None) -> bool:
        """Runs are written once."""
        return False

    @admin.display(description="ended")
    def ended(self, run: JobRun) -> str:
        """When it ended and how long it took."""
        return f"{moment(run.finished_at)}{_took(run)}"

    @admin.display(description="error")
    def shown_error(self, run: JobRun) -> str:
        """The exception's class and message."""
        return f"{run.error_type}: {run.error_text or run.error}" if run.error_type else "–"

    @admin.display(description="traceback")
    def shown_traceback(self, run: JobRun) -> str:
        """The traceback as it was stored: without values."""
        return format_html("<pre>{}</pre>", run.traceback) if run.traceback else "–"

    @admin.display(description="result")
    def shown_result(self, run: JobRun) -> str:
        """What the function returned, without secrets."""
        if run.result is None:
            return "–"
        return format_html("<pre>{}</pre>", json_text(run.result, indent=2))

    @admin.display(description="log")
    def shown_log(self, run: JobRun) -> str:
        """The last lines of the run's log."""
        return format_html("<pre>{}</pre>", run.log) if run.log else "–"


@admin.register(Job)
class JobAdmin(JobListAdmin):
    """The jobs: their list, and a page for each."""

    inlines = (RunInline,)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Return what is shown; arguments and results need a permission of their own."""
        call, steps = ("call", "steps") if may_see_payload(request) else _WITHOUT_PAYLOAD
        why = ["why"] if State(getattr(obj, "state", State.FAILED)) not in FINAL else []
        facts = ["name", call, "word", *why, "queue", "priority", "tries", "progress"]
        facts += ["enqueued", "due", "started", "finished", "lost_count", "unique_key"]
        return [*facts, steps] if getattr(obj, "has_steps", False) else facts

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Everything is to read only."""
        return self.get_fields(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the facts, and before them what people come for."""
        facts = self.get_fields(request, obj)
        rest = [name for name in facts if name != "why"]
        why = [("Why is it not running?", {"fields": ["why"]})] if "why" in facts else []
        return [*why, (None, {"fields": rest})]

    @admin.display(description="call")
    def call(self, job: Job) -> str:
        """The call, without secrets."""
        return call_text(job.name, job.args, job.kwargs)

    @admin.display(description="call")
    def hidden_call(self, job: Job) -> str:
        """The call with every value hidden."""
        hidden = mask_value([job.args, job.kwargs], secret=True)
        return call_text(job.name, *hidden)

    @admin.display(description="progress")
    def progress(self, job: Job) -> str:
        """How far it is, if it says so."""
        found = JobProgress.objects.using(job._state.db).filter(pk=job.pk).first()  # noqa: SLF001 - Django's documented place of the alias
        return f"{found} {found.note}".strip() if found else "–"

    @admin.display(description="reasons")
    def why(self, job: Job) -> str:
        """The reasons, with what to do about each."""
        lines = ((line,) for item in reasons(job) for line in (item.text, item.advice) if line)
        return format_html_join(mark_safe("<br>"), "{}", lines)

    @admin.display(description="steps")
    def steps(self, job: Job) -> str:
        """What it has done, with what the steps returned."""
        return steps_table(job, payload=True)

    @admin.display(description="steps")
    def steps_without_results(self, job: Job) -> str:
        """What it has done."""
        return steps_table(job, payload=False)

    @admin.display(description="enqueued")
    def enqueued(self, job: Job) -> str:
        """When it was written."""
        return moment(job.enqueued_at)

    @admin.display(description="not before")
    def due(self, job: Job) -> str:
        """When it may start."""
        return moment(job.run_at)

    @admin.display(description="started")
    def started(self, job: Job) -> str:
        """When it was last claimed."""
        return moment(job.started_at)

    @admin.display(description="finished")
    def finished(self, job: Job) -> str:
        """When it reached a final state."""
        return moment(job.finished_at)


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
