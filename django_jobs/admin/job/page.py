"""The page of one job in an admin site: what it shows, how it keeps fresh, what may be done on it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.decorators import login_not_required
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import TextField
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from django_jobs import clock, registry
from django_jobs.admin.given import number_in
from django_jobs.admin.job import payload
from django_jobs.admin.job.editing import arguments_form, changed_by
from django_jobs.admin.job.regions import JobRegions, May
from django_jobs.admin.job.runs import Values
from django_jobs.admin.job.verbs import DUPLICATE, OPERATE, VERBS, Told
from django_jobs.admin.refreshing import forget_shared, live
from django_jobs.admin.returning import posted
from django_jobs.admin.rights import Rights, may_see_payload
from django_jobs.admin.screens import STOP, Screen
from django_jobs.calls import CHANGEABLE
from django_jobs.conf import get_settings
from django_jobs.display import printable
from django_jobs.models import Job, JobRun
from django_jobs.operations import NOT_FOUND
from django_jobs.reports import closeup
from django_jobs.reports.reading import Reading, TooSlow
from django_jobs.reports.stored import Garbled, reading_stored

FAST = 2.0
"""Seconds between two looks at a job that has not ended."""

FOLDER = "admin/django_jobs/job"


def _if_readable(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a view lead to the page of the job, which says why, where its row cannot be read."""

    @wraps(view)
    def guarded(page: "JobPage", request: HttpRequest, job_id: int, **more: str) -> HttpResponse:
        try:
            return view(page, request, job_id, **more)
        except Garbled:
            text = _("Job #%(id)d is unchanged: what is stored of it cannot be read.")
            return page.tell(request, job_id, "", Told(text % {"id": job_id}))

    return guarded


class JobPage(Screen):
    """The page of a job, as the ModelAdmin of a site shows it."""

    def __init__(self, model_admin: Any) -> None:
        super().__init__(model_admin.admin_site)
        self._admin = model_admin

    def urls(self) -> list[URLPattern]:
        """Return the addresses that belong to the page."""
        wrap, name = self.site.admin_view, "django_jobs_job_{}".format
        act = posted(self.site, self.act, lambda _request, job_id, **_: self._home(job_id))
        return [
            path("<int:job_id>/live/", self.live, name=name("live")),
            path("<int:job_id>/do/<str:verb>/", act, name=name("act")),
            path("<int:job_id>/arguments/", wrap(self.edit), name=name("arguments")),
            path("<int:job_id>/download/<str:what>/", wrap(self.download), name=name("download")),
        ]

    def page(self, request: HttpRequest, object_id: str) -> HttpResponse | None:
        """Show a job; `None` where there is none, which Django's own view then says."""
        job_id = number_in(object_id)
        if job_id is None:
            return None
        try:
            found = self._look(request, job_id, closeup.read, JobRegions.all)
        except Garbled as problem:
            return self._excuse(request, job_id, str(problem))
        except TooSlow:
            return self._excuse(request, job_id)
        if found is None:
            return None
        seen, values = found
        address = self.address("admin:django_jobs_job_live", job_id)
        again = f"{address}?newest={values['newest_id']}"
        fresh = None if seen.is_over else live(again, at_most=FAST)
        values |= {"live": fresh, "kept": self._admin.get_preserved_filters(request)}
        return self._show(request, "page", values, str(seen.job))

    @method_decorator(login_not_required)
    @method_decorator(never_cache)
    @method_decorator(require_safe)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def live(self, request: HttpRequest, job_id: int) -> HttpResponse:
        """Return what changes, for htmx to put into the page; the last time when it has ended."""
        if not self.site.has_permission(request):
            return self.to_login(self._home(job_id))
        try:
            found = self._look(request, job_id, closeup.glance, JobRegions.changing)
        except Garbled:
            found = None
        except TooSlow:
            return HttpResponse(status=503)  # the page says how old its data is, and asks again
        if found is None:
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        seen, values = found
        values["has_news"] = request.GET.get("newest") != str(values["newest_id"])
        values["is_over"] = seen.is_over
        status = STOP if seen.is_over else 200
        return self.refresh(request, f"{FOLDER}/live.html", values, status=status)

    @method_decorator(require_POST)
    @_if_readable
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def act(self, request: HttpRequest, job_id: int, verb: str) -> HttpResponse:
        """Do what a button says, then show the page of the job again, or that of the new one."""
        if verb not in VERBS:
            raise Http404
        job, unreadable = closeup.one(self._jobs(request), job_id)
        needed, do = VERBS[verb]
        may = self._may(request)
        if not (may.operate if needed == OPERATE else may.enqueue):
            raise PermissionDenied
        if job is None:  # or the project's page hides it
            told = Told(_("No change: %(problem)s") % {"problem": NOT_FOUND})
            return self.tell(request, job_id, f"#{job_id}", told)
        self._check(request, job)
        if verb == DUPLICATE and not payload.CALL.isdisjoint(unreadable):
            told = Told(_("Nothing was enqueued: the arguments are not readable."))
        else:
            told = do(job_id, request.POST, request.user.get_username())
        return self.tell(request, job_id, str(job), told)

    @_if_readable
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def edit(self, request: HttpRequest, job_id: int) -> HttpResponse:
        """Ask for other arguments, and retry the job with them."""
        may = self._may(request)
        job, unreadable = closeup.one(self._jobs(request), job_id)
        if not (may.operate and may.payload):
            raise PermissionDenied
        if job is None:
            return self.tell(request, job_id, f"#{job_id}", Told(_("There is no such job.")))
        self._check(request, job)
        definition = registry.find(job.name)
        refusal = _why_not_editable(job, definition, unreadable)
        if refusal is not None:
            return self.tell(request, job_id, str(job), refusal)
        form = arguments_form(job, definition, request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            told = changed_by(form, job)
            if told is not None:
                return self.tell(request, job_id, str(job), told)
        values = {"form": form, "back": self._home(job_id), "signature": form.signature}
        return self._show(request, "arguments", values, str(job))

    @method_decorator(require_safe)
    @_if_readable
    def download(self, request: HttpRequest, job_id: int, what: str) -> HttpResponse:
        """Return arguments or a result as a file, masked as on the page."""
        job, unreadable = closeup.one(self._jobs(request), job_id)
        if job is None:
            raise Http404
        self._check(request, job)
        if not may_see_payload(request):
            raise PermissionDenied
        text, is_json = _whole(job, unreadable, what)
        kind, ending = ("application/json", "json") if is_json else ("text/plain", "txt")
        return HttpResponse(
            text,
            content_type=f"{kind}; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="job-{job_id}-{what}.{ending}"',
                "X-Content-Type-Options": "nosniff",
            },
        )

    def _look(
        self,
        request: HttpRequest,
        job_id: int,
        read: Callable[..., closeup.Closeup | None],
        draw: Callable[[JobRegions, datetime], Values],
    ) -> tuple[closeup.Closeup, Values] | None:
        """Return a job and what is shown of it; raises Garbled and TooSlow."""
        jobs, may = self._jobs(request), self._may(request)
        rights = Rights(self.site, request)

        def look() -> tuple[closeup.Closeup, Values] | None:
            seen = reading_stored(lambda: read(jobs, job_id, payload=may.payload))
            if seen is None:
                return None
            self._check(request, seen.job)
            return seen, draw(JobRegions(seen, may, rights, self.address), clock.now())

        with Reading(get_settings().DATABASE) as reading:
            found = reading.part("", look)
        if reading.slow:
            raise TooSlow
        return found

    def _excuse(self, request: HttpRequest, job_id: int, problem: str = "") -> HttpResponse:
        """Say why a job cannot be shown: it takes too long, or there is a problem with its rows."""
        return self._show(request, "excuse", {"problem": printable(problem)}, f"#{job_id}")

    def _show(
        self, request: HttpRequest, template: str, values: Values, title: str
    ) -> HttpResponse:
        jobs = self.address("admin:django_jobs_job_changelist")
        parents = [(_("Jobs"), self.home), (_("Jobs"), jobs)]
        return self.show(
            request, f"{FOLDER}/{template}.html", {"parents": parents, **values}, title=title
        )

    def _may(self, request: HttpRequest) -> May:
        return May(
            operate=self._admin.has_operate_permission(request),
            enqueue=request.user.has_perm("django_jobs.add_job"),
            payload=may_see_payload(request),
            erase=self._admin.has_erase_permission(request),
        )

    def _jobs(self, request: HttpRequest) -> Any:
        return self._admin.get_queryset(request)

    def _check(self, request: HttpRequest, job: Job) -> None:
        if not self._admin.has_view_permission(request, job):
            raise PermissionDenied

    def _home(self, job_id: int) -> str:
        return self.address("admin:django_jobs_job_change", job_id)

    def tell(self, request: HttpRequest, job_id: int, what: str, told: Told) -> HttpResponse:
        """Tell what became of it, write it to the admin's log, and show the page."""
        if told.log:
            LogEntry.objects.create(
                user_id=cast("int", request.user.pk),
                content_type=ContentType.objects.get_for_model(Job),
                object_id=str(job_id),
                object_repr=what[:200],
                action_flag=CHANGE,
                change_message=_("%(done)s through the admin") % {"done": told.log},
            )
            forget_shared()
        level = messages.SUCCESS if told.log else messages.WARNING
        messages.add_message(request, level, told.text)
        return HttpResponseRedirect(self._home(told.job_id or job_id))


def _why_not_editable(job: Job, definition: Any, unreadable: Mapping[str, str]) -> Told | None:
    """Return why the arguments of a job cannot be changed, `None` where they can."""
    text = _("The arguments of job #%(id)d cannot be changed: it is %(state)s.")
    if definition is not None and job.state in CHANGEABLE:
        if payload.CALL.isdisjoint(unreadable):
            return None
        text = _("The arguments of job #%(id)d cannot be changed: they are not readable.")
    state = _(job.label) if definition else _("unknown here")
    return Told(text % {"id": job.pk, "state": state})


def _whole(job: Job, unreadable: Mapping[str, str], what: str) -> tuple[str, bool]:
    """Return what is to be downloaded, masked, and whether it is JSON; raises Http404."""
    if what == "arguments":
        return payload.whole_call(job, unreadable)
    if what == "original" and (job.original_args or payload.ORIGINAL in unreadable):
        return payload.whole_original(job, unreadable)
    run_id = number_in(what.removeprefix("result-")) if what.startswith("result-") else None
    runs = JobRun.objects.using(get_settings().DATABASE).filter(job=job.pk, pk=run_id or 0)
    texts = runs.annotate(text=Cast("result", TextField())).values_list("text", flat=True)
    found = texts.first()
    if found is None:
        raise Http404
    return payload.readable(found)
