"""The list of jobs: search, chips, pages by number, and what may be done to the selected ones."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import (
    display_for_field,
    display_for_value,
    label_for_field,
    lookup_field,
)
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_jobs import clock, operations
from django_jobs.admin.base import RecordAdmin
from django_jobs.admin.bulk.asking import BulkScreen
from django_jobs.admin.job_list.chips import above
from django_jobs.admin.job_list.news import JobNews
from django_jobs.admin.job_search import OWN, JobSearch
from django_jobs.admin.returning import posted
from django_jobs.admin.state_marks import state_mark
from django_jobs.admin.telling import told
from django_jobs.conf import get_settings
from django_jobs.display import ago, duration, grouped
from django_jobs.models import Job
from django_jobs.operations import OperationResult
from django_jobs.reports.reading import within_limit
from django_jobs.reports.summary import with_error
from django_jobs.searching.surveying import Page, Survey
from django_jobs.searching.terms import LONGEST, split
from django_jobs.states import FINAL, State

MOST_AT_ONCE = 1_000
HEAVY = ("args", "kwargs", "metadata")
"""Columns that can be long and are not in the list."""


class JobList(ChangeList):
    """The jobs that fit the search, a page of them at a time; they are never all counted."""

    search: JobSearch
    survey: Survey
    is_slow: bool

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Return the look-ups of filters that a project has added: not what is the list's own."""
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in OWN}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        """Return the jobs that fit, as far as the search looks."""
        self.search = JobSearch.of(request)
        self.survey = Survey(get_settings().DATABASE, self.search.criteria, self.search.to)
        text, self.query = self.query, ""  # the words are the survey's, not Django's
        rows = super().get_queryset(request, exclude_parameters)
        self.query = text
        found = within_limit(get_settings().DATABASE, lambda: self.survey.rows(rows))
        self.is_slow = found is None
        return rows.none() if found is None else found

    def get_results(self, _request: HttpRequest) -> None:
        """Read one page."""
        search = self.search
        alias = get_settings().DATABASE
        found = None if self.is_slow else within_limit(alias, self._page)
        page, self.is_slow = found or Page(), found is None
        self.paginator = Paginator(page.jobs, self.list_per_page)
        self.result_list = cast("Any", list(page.jobs))
        self.result_count = len(page.jobs)
        # Nothing was counted; a theme that compares the two is to say nothing of it.
        self.full_result_count = self.result_count
        self.show_full_result_count = False
        self.show_admin_actions = bool(page.jobs)
        self.can_show_all = self.multi_page = False
        ids = [job.pk for job in page.jobs]
        self.newer = search.query(after=ids[0]) if page.newer and ids else ""
        self.older = search.query(before=ids[-1]) if page.older and ids else ""

    def _page(self) -> Page:
        """Read the page and the counts, which stand above and below it."""
        search, rows = self.search, self.queryset.defer(*HEAVY)
        _ = search.criteria.problems or self.survey.counts
        size = self.list_per_page
        return self.survey.page(rows, size, before=search.before, after=search.after)

    @property
    def newest(self) -> int:
        """The biggest number of all jobs, as far as it was read."""
        return 0 if self.is_slow else self.survey.newest

    @property
    def above(self) -> dict[str, Any]:
        """What stands above the list."""
        return above(self.search, None if self.is_slow else self.survey)

    @property
    def matches(self) -> str:
        """How many fit, as far as they were counted."""
        chosen = self.search.criteria.states
        amounts = [
            amount
            for word, amount in self.survey.counts.items()
            if chosen is None or word in chosen
        ]
        number = grouped(sum(amount.number for amount in amounts))
        return number + ("+" if any(amount.capped for amount in amounts) else "")

    @property
    def titles(self) -> list[str]:
        """The titles of the columns."""
        return [self._title(name) for name in self._columns]

    @property
    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of the page, each with a cell for each column."""
        context: Any = {"preserved_filters": self.preserved_filters, "opts": self.opts}
        links = self.list_display_links or ()
        for job in self.result_list:
            address = add_preserved_filters(context, self.url_for_result(job))
            cells = [
                {
                    "title": self._title(name),
                    "text": self._text(name, job),
                    "url": address if name in links else "",
                    "name": name,
                }
                for name in self._columns
            ]
            kind = (job.error_type or "").rpartition(".")[2]
            yield {
                "job": job,
                "cells": cells,
                "error": f"{kind}: {job.error_line}" if kind else "",
            }

    @property
    def _columns(self) -> list[str]:
        return [str(name) for name in self.list_display if name != "action_checkbox"]

    def _title(self, name: str) -> str:
        return str(label_for_field(name, self.model, self.model_admin))

    def _text(self, name: str, job: Job) -> Any:
        field, attribute, value = lookup_field(name, job, self.model_admin)
        empty = self.model_admin.get_empty_value_display()
        if field is None:
            is_boolean = getattr(attribute, "boolean", False)
            return display_for_value(value, empty, boolean=is_boolean)
        return display_for_field(value, field, empty)


class JobListAdmin(RecordAdmin):
    """The list of jobs, newest first, with what may be done to the selected ones."""

    actions = ("retry_jobs", "cancel_jobs", "delete_jobs")
    change_list_template = "admin/django_jobs/job_list/page.html"
    list_display = ("word", "title", "queue", "tries", "waited", "ran", "age")
    list_display_links = ("title",)
    search_fields = ("id", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Return the jobs with the error of their newest run."""
        return with_error(super().get_queryset(request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that pages by number."""
        del request, kwargs
        return JobList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """Find as the list does, for a project's fields that choose a job."""
        if not search_term:
            return queryset, False
        search = JobSearch.reading(request, split(search_term))
        alias = get_settings().DATABASE
        survey = Survey(alias, search.criteria)
        found = within_limit(alias, lambda: survey.rows(queryset))
        return (queryset.none() if found is None else found).order_by("-pk"), False

    def get_urls(self) -> list[Any]:
        """Return the addresses, with those of what is new, and of what is done to all that fit."""
        news, asking = JobNews(self.admin_site), BulkScreen(self.admin_site)
        bulk = posted(self.admin_site, asking.view, asking.back)
        return [
            path("news/", news.show_news, name="django_jobs_job_news"),
            path("bulk/", bulk, name="django_jobs_job_bulk"),
            *super().get_urls(),
        ]

    def has_erase_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may delete jobs that have ended: Django's permission."""
        return request.user.has_perm("django_jobs.delete_job")

    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list or act on it."""
        response = super().changelist_view(request, extra_context)
        context = response.context_data if isinstance(response, TemplateResponse) else None
        if context and "cl" in context:
            found = cast("JobList", context["cl"])
            news = JobNews(self.admin_site)
            jobs = list(found.result_list)
            context.update(news.values(request, found.search, jobs, found.newest))
            context["title"] = _("Jobs")
        return response

    @admin.display(description=gettext_lazy("job"))
    def title(self, job: Job) -> str:
        """The function's name and the job's number."""
        return str(job)

    @admin.display(description=gettext_lazy("state"))
    def word(self, job: Job) -> str:
        """The state as a shape and in the word people read."""
        return state_mark(job)

    @admin.display(description=gettext_lazy("tries"))
    def tries(self, job: Job) -> str:
        """Attempts so far, of those it has."""
        return f"{job.attempt}/{job.max_attempts}"

    @admin.display(description=gettext_lazy("waited"))
    def waited(self, job: Job) -> str:
        """How long it was due before it began; of a ready one: until now."""
        if job.state == State.READY:
            return _span(job.run_at, clock.now())
        return _span(job.run_at, job.started_at) if _has_run(job) else "–"

    @admin.display(description=gettext_lazy("ran"))
    def ran(self, job: Job) -> str:
        """How long its newest attempt took, or takes."""
        end = clock.now() if job.state == State.RUNNING else job.finished_at
        return _span(job.started_at, end) if _has_run(job) else "–"

    @admin.display(description=gettext_lazy("when"))
    def age(self, job: Job) -> str:
        """How long ago something happened to it."""
        at = job.finished_at or job.started_at or job.enqueued_at
        return format_html('<time datetime="{}">{}</time>', at.isoformat(), ago(at, clock.now()))

    @admin.action(description=gettext_lazy("Retry selected jobs"), permissions=["operate"])
    def retry_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Retry the finished ones of the selected jobs."""
        ids = self._ids(request, queryset)
        self._tell(request, operations.retry(ids), _("retried"))

    @admin.action(description=gettext_lazy("Cancel selected jobs"), permissions=["operate"])
    def cancel_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Cancel the selected jobs; running ones are asked to stop."""
        ids = self._ids(request, queryset)
        self._tell(request, operations.cancel(ids), _("cancelled"))

    @admin.action(description=gettext_lazy("Delete selected jobs…"), permissions=["erase"])
    def delete_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Ask whether the selected jobs are to be deleted: there is no way back."""
        ids = self._ids(request, queryset)
        if not ids:
            return None
        search = JobSearch.reading(request, split(f"id:{','.join(map(str, ids))}"))
        if search.criteria.problems:
            # Without its terms the address would mean all jobs that there are.
            self._refuse(request, LONGEST // len(f"{ids[-1]},") - 1)
            return None
        address = JobNews(self.admin_site).address("admin:django_jobs_job_bulk")
        return HttpResponseRedirect(f"{address}{search.query()}&verb=delete")

    def _ids(self, request: HttpRequest, queryset: QuerySet[Job]) -> list[int]:
        ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
        if len(ids) <= MOST_AT_ONCE:
            return ids
        self._refuse(request, MOST_AT_ONCE)
        return []

    def _refuse(self, request: HttpRequest, most: int) -> None:
        text = _("At most %(most)s jobs at once; nothing was changed. Narrow the list.")
        self.message_user(request, text % {"most": grouped(most)}, messages.ERROR)

    def _tell(self, request: HttpRequest, result: OperationResult, done: str) -> None:
        changed = result.done | (result.asked - result.again)
        jobs = Job.objects.using(get_settings().DATABASE).filter(pk__in=changed)
        if changed:
            self.record(request, jobs, _("%(done)s through the admin") % {"done": done})
        for level, text in told(result, done):
            self.message_user(request, text, level)


def _has_run(job: Job) -> bool:
    return job.state == State.RUNNING or (job.state in FINAL and job.attempt > 0)


def _span(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return "–"
    return duration(max((end - start).total_seconds(), 0.0))
