"""The question before a job is deleted, which says what goes with it, and the deed."""

from collections.abc import Iterator
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from django_jobs import operations
from django_jobs.admin.given import instant_in, number_in
from django_jobs.admin.job.verbs import Told, told
from django_jobs.admin.job.words import look_of
from django_jobs.admin.refreshing import forget_shared
from django_jobs.admin.screens import Screen
from django_jobs.conf import get_settings
from django_jobs.models import Job
from django_jobs.operations import NOT_FOUND, OperationResult
from django_jobs.reports.belongings import Belongings, belongings
from django_jobs.reports.reading import Reading
from django_jobs.reports.stored import HEAVY, Garbled, reading_stored, tame_job
from django_jobs.states import FINAL

LIST = "admin:django_jobs_job_changelist"


class DeletePage(Screen):
    """Asks, and deletes, for those whom the ModelAdmin of a site lets do that."""

    def __init__(self, model_admin: Any) -> None:
        super().__init__(model_admin.admin_site)
        self._admin = model_admin

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, or do what was asked about; whoever comes too late is told so."""
        may_view, may_erase = self._admin.has_view_permission, self._admin.has_erase_permission
        if not (may_view(request) and may_erase(request)):
            raise PermissionDenied
        job_id = number_in(object_id) or 0
        do = self._do if request.method == "POST" else self._ask
        try:
            return do(request, job_id)
        except Garbled:  # what its page says, too
            text = _("Job #%(id)d is unchanged: what is stored of it cannot be read.")
            return self._answer(request, job_id, "", Told(text % {"id": job_id}))

    def _ask(self, request: HttpRequest, job_id: int) -> HttpResponse:
        jobs = self._jobs(request)
        with Reading(get_settings().DATABASE) as reading:
            seen = reading.part("", lambda: reading_stored(lambda: belongings(jobs, job_id)))
        job = seen.job if seen else None
        self._check(request, job)
        if not reading.slow and (job is None or job.state not in FINAL):
            return self._answer(request, job_id, str(job), _refusal(job_id, job))
        page = self.address("admin:django_jobs_job_change", job_id)
        name = str(job or f"#{job_id}")
        values = {
            "name": name,
            "look": look_of(job) if job else None,
            "seen": seen,
            "stays": list(_stays(seen)) if seen else [],
            "as_of": job.finished_at.isoformat() if job else "",
            "back": page,
            "kept": self._admin.get_preserved_filters(request),
            "parents": [(_("Jobs"), self.home), (_("Jobs"), self.address(LIST)), (name, page)],
        }
        template = "admin/django_jobs/job/delete.html"
        return self.show(request, template, values, title=_("Delete a job"))

    def _do(self, request: HttpRequest, job_id: int) -> HttpResponse:
        rows = self._jobs(request).filter(pk=job_id)
        job = reading_stored(rows.first)
        if job is not None:
            tame_job(job)
        self._check(request, job)
        as_of = instant_in(request.POST.get("as_of", ""))
        if as_of is None:
            text = _("Nothing was done: the request was incomplete. Load the page anew.")
            return self._answer(request, job_id, str(job), Told(text))
        if job is not None and job.finished_at not in (None, as_of):
            text = _("Job #%(id)d is unchanged: it has run again since you were asked.")
            return self._answer(request, job_id, str(job), Told(text % {"id": job_id}))
        if job is None:  # or the project's page hides it
            return self._answer(request, job_id, "", _refusal(job_id, None))
        result = operations.delete([job_id])
        return self._answer(request, job_id, str(job), told(result, job_id, _("deleted")))

    def _answer(self, request: HttpRequest, job_id: int, name: str, told: Told) -> HttpResponse:
        """Say what became of it, and write it to the admin's log; then show what is left."""
        if told.log:
            LogEntry.objects.create(
                user_id=cast("int", request.user.pk),
                content_type=ContentType.objects.get_for_model(Job),
                object_id=str(job_id),
                object_repr=name[:200],
                action_flag=DELETION,
                change_message=_("%(done)s through the admin") % {"done": told.log},
            )
            forget_shared()
        messages.add_message(request, messages.SUCCESS if told.log else messages.WARNING, told.text)
        is_left = self._jobs(request).filter(pk=job_id).exists()
        change = "admin:django_jobs_job_change"
        page = self.address(change, job_id) if is_left else self.address(LIST)
        context: Any = {
            "preserved_filters": self._admin.get_preserved_filters(request),
            "opts": self._admin.opts,
        }
        return HttpResponseRedirect(add_preserved_filters(context, page))

    def _check(self, request: HttpRequest, job: Job | None) -> None:
        if job is not None and not self._admin.has_view_permission(request, job):
            raise PermissionDenied

    def _jobs(self, request: HttpRequest) -> Any:
        return self._admin.get_queryset(request).defer(*HEAVY)


def _refusal(job_id: int, job: Job | None) -> Told:
    why = str(NOT_FOUND)
    if job is not None:
        state = _("it is %(state)s") % {"state": _(job.label)}
        only = _("only a finished job can be deleted")
        why = f"{state}; {only}"
    return told(OperationResult(refused={job_id: why}), job_id, "")


def _stays(seen: Belongings) -> Iterator[str]:
    """Yield what others keep of the job, and what they lose."""
    job = seen.job
    for number in seen.needed_by:
        text = _("Job #%(id)d, which waits for it, has not ended: it will not see its result.")
        yield text % {"id": number}
    if job.parent_id or job.batch_id:
        yield _("Its batch still counts it, and knows how it has ended.")
    if job.flow_id:
        yield _("Its children are jobs of their own: they stay, and those that run go on.")
    if job.schedule_id:
        yield _("Its schedule still knows how it has ended.")
