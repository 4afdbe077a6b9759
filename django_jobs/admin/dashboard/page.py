"""The dashboard: its page, its buttons, and the same verdict for machines at `health.json`."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.decorators import login_not_required
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from django_jobs import clock
from django_jobs.admin.bulk.asking import OPERATION, operation_link
from django_jobs.admin.buttons.pressing import Pressed
from django_jobs.admin.buttons.verbs import MAKING, VERBS, press
from django_jobs.admin.dashboard.regions import Regions
from django_jobs.admin.given import number_in
from django_jobs.admin.refreshing import forget_shared, shared_overview
from django_jobs.admin.rights import Rights
from django_jobs.admin.screens import LABEL, Screen
from django_jobs.conf import get_settings
from django_jobs.models import Job
from django_jobs.operations import NOT_FOUND
from django_jobs.reports.overview import look
from django_jobs.reports.problems import Level
from django_jobs.reports.verdict import Verdict, judge, verdict

NEW = "new"
"""Asked by a page that was shown before there was anything."""

UNAVAILABLE = 503


class Dashboard(Screen):
    """The dashboard of one admin site."""

    @method_decorator(require_safe)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def page(self, request: HttpRequest, **_kwargs: Any) -> HttpResponse:
        """Show what is wrong, and everything else at a glance."""
        rights = Rights(self.site, request)
        if not rights.may_view(Job):
            return self._plain_page(request)
        seen = look(get_settings().DATABASE, clock.now())
        again = self.address("admin:django_jobs_live") + (f"?{NEW}=1" if seen.is_new else "")
        values = Regions(seen, judge(seen), rights, self.site.name).as_values()
        template = "admin/django_jobs/dashboard.html"
        return self.show(request, template, values, title=_("Jobs"), refresh=again)

    @method_decorator(login_not_required)
    @method_decorator(never_cache)
    @method_decorator(require_safe)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def live(self, request: HttpRequest) -> HttpResponse:
        """Return the regions anew, for htmx to put into the page."""
        if not self.site.has_permission(request):
            return self.to_login(self.home)
        rights = self.rights(request, Job)
        seen = shared_overview()
        if NEW in request.GET and not seen.is_new:
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        values = Regions(seen, judge(seen), rights, self.site.name).as_values()
        return self.refresh(request, "admin/django_jobs/dashboard/live.html", values)

    @method_decorator(require_POST)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def act(self, request: HttpRequest, verb: str) -> HttpResponse:
        """Do what a button says, then show the page again on which it was pressed."""
        if verb not in VERBS:
            raise Http404
        model, _do = VERBS[verb]
        rights = Rights(self.site, request)
        if not (rights.may_enqueue() if verb in MAKING else rights.may_operate(model)):
            raise PermissionDenied
        pressed = self._press(request, verb)
        if pressed.log:
            place = (
                _("%(done)s through the admin")
                if "back" in request.POST
                else _("%(done)s on the dashboard")
            )
            _record(request, model, pressed, place)
            forget_shared()
        level = messages.SUCCESS if pressed.log else messages.WARNING
        messages.add_message(request, level, self._said(pressed))
        return HttpResponseRedirect(self.back(request))

    def _press(self, request: HttpRequest, verb: str) -> Pressed:
        """Do it, but not to a job that the project's own page hides from this user."""
        job_id = number_in(request.POST.get("job", ""))
        if job_id is not None and not Rights(self.site, request).may_view_job(job_id):
            return Pressed(_("No change: %(problem)s") % {"problem": NOT_FOUND})
        return press(verb, request.POST, request.user.get_username())

    def _said(self, pressed: Pressed) -> str:
        """Return the text, with a link to what the workers have to do yet."""
        if pressed.operation is None:
            return pressed.text
        link = operation_link(self.address(OPERATION, pressed.operation), pressed.operation)
        return format_html("{} {}", pressed.text, link)

    @method_decorator(login_not_required)
    @method_decorator(never_cache)
    @method_decorator(require_safe)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def health(self, request: HttpRequest) -> HttpResponse:
        """Say how it is: status 200, or 503 when something is bad."""
        rights = Rights(self.site, request)
        if not (
            _has_token(request) or (self.site.has_permission(request) and rights.may_view(Job))
        ):
            return JsonResponse({"error": "not allowed"}, status=403)
        found = verdict()
        status = UNAVAILABLE if found.level is Level.BAD else 200
        return JsonResponse(_as_json(found), status=status)

    def _plain_page(self, request: HttpRequest) -> HttpResponse:
        """Show the list of lists to those who may see some of them, but no jobs."""
        if not self.site.get_app_list(request, LABEL):
            raise PermissionDenied
        return self.site.app_index(request, LABEL)

    def back(self, request: HttpRequest, **_kwargs: Any) -> str:
        """Return the page on which a button was pressed: one of ours, else the dashboard."""
        back = request.POST.get("back", "")
        ours = back.startswith(self.home) and url_has_allowed_host_and_scheme(back, None)
        return back if ours else self.home


def _record(request: HttpRequest, model: Any, pressed: Pressed, place: str) -> None:
    LogEntry.objects.create(
        user_id=cast("int", request.user.pk),
        content_type=ContentType.objects.get_for_model(model),
        object_id=None if pressed.target is None else str(pressed.target),
        object_repr=pressed.what[:200],
        action_flag=CHANGE,
        change_message=place % {"done": pressed.log},
    )


def _has_token(request: HttpRequest) -> bool:
    token = get_settings().ADMIN_HEALTH_TOKEN
    given = request.headers.get("Authorization", "")
    return bool(token) and constant_time_compare(given, f"Bearer {token}")


def _as_json(found: Verdict) -> dict[str, Any]:
    problems = [
        {"rule": item.rule, "level": item.level, "text": item.text, "advice": item.advice}
        for item in found.problems
    ]
    return {"level": found.level, "problems": problems, "at": clock.now().isoformat()}
