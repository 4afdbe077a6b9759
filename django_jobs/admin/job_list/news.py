"""What is new since the list of jobs was shown: how many jobs, and how those of the page stand.

The list itself is never swapped: who reads it would lose his place.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_jobs import clock
from django_jobs.admin.given import number_in
from django_jobs.admin.job_search import JobSearch
from django_jobs.admin.refreshing import live
from django_jobs.admin.rights import Rights
from django_jobs.admin.screens import OUT_OF_BAND, Screen
from django_jobs.admin.state_marks import state_mark
from django_jobs.conf import get_settings
from django_jobs.display import grouped
from django_jobs.models import BulkOperation, Job
from django_jobs.reports.reading import Reading, within_limit
from django_jobs.searching.surveying import Survey
from django_jobs.states import State

MOST_NEW = 1_000
MOST_SHOWN = 50
COUNT, MARKS = "count", "marks"


class JobNews(Screen):
    """The part of the list of jobs that keeps fresh."""

    def values(
        self, request: HttpRequest, search: JobSearch, jobs: Sequence[Job], newest: int
    ) -> dict[str, Any]:
        """Return what the list needs besides its rows; `newest`: the biggest number there was."""
        rights = Rights(self.site, request)
        running = [job.pk for job in jobs if job.state == State.RUNNING][:MOST_SHOWN]
        at_top = not (search.before or search.after or search.to or search.criteria.problems)
        asked = {"q": str(search.terms), "ids": ",".join(map(str, running))}
        if at_top:
            asked["newest"] = str(max([newest, *(job.pk for job in jobs)]))
        page = self.address("admin:django_jobs_job_news") + "?" + urlencode(asked)
        alias = get_settings().DATABASE
        unfinished = BulkOperation.objects.using(alias).filter(finished_at=None)
        bulks = within_limit(alias, lambda: list(unfinished[:3])) or []
        verbs = ["retry", "cancel"] if rights.may_operate(Job) else []
        verbs += ["delete"] if rights.may_erase(Job) else []
        return {
            "live": live(page) if at_top or running else None,
            "now": clock.now(),
            "verbs": verbs,
            "bulk_url": self.address("admin:django_jobs_job_bulk"),
            "bulks": [
                {
                    "text": f"{_(row.verb)} #{row.pk}",
                    "url": self.address("admin:django_jobs_bulkoperation_change", row.pk),
                }
                for row in bulks
            ],
        }

    @method_decorator(login_not_required)
    @method_decorator(never_cache)
    @method_decorator(require_safe)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def show_news(self, request: HttpRequest) -> HttpResponse:
        """Return what is new, for htmx to put into the page."""
        search = JobSearch.of(request)
        home = self.address("admin:django_jobs_job_changelist")
        if not self.site.has_permission(request):
            return self.to_login(home + search.query())
        self.rights(request, Job)
        newest = number_in(request.GET.get("newest", ""))
        count = 0
        alias = get_settings().DATABASE
        with Reading(alias) as reading:
            if newest is not None and not search.criteria.problems:
                survey = Survey(alias, search.criteria)
                count = reading.part(COUNT, lambda: survey.newer(newest, MOST_NEW + 1)) or 0
            shown = reading.part(MARKS, lambda: self._shown(request)) or []
        if reading.slow:
            return HttpResponse(status=503)  # the page says how old its data is, and asks again
        values = {
            "count": count,
            "number": grouped(min(count, MOST_NEW)) + ("+" if count > MOST_NEW else ""),
            "probes": newest is not None,
            "list_url": home + search.query(),
            "marks": [state_mark(job, OUT_OF_BAND) for job in shown],
            "now": clock.now(),
        }
        return self.refresh(request, "admin/django_jobs/job_list/news.html", values)

    def _shown(self, request: HttpRequest) -> list[Job]:
        numbers = (number_in(text) for text in request.GET.get("ids", "").split(","))
        ids = [each for each in numbers if each is not None][:MOST_SHOWN]
        if not ids:
            return []
        columns = ("state", "attempt", "cancel_requested_at", "waiting_for")
        return list(Job.objects.using(get_settings().DATABASE).filter(pk__in=ids).only(*columns))
