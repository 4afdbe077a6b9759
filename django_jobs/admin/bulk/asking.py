"""The page that asks before something is done to all jobs that fit a search, and does it."""

import secrets
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from django_jobs import bulk
from django_jobs.admin.given import instant_in, number_in
from django_jobs.admin.job_search import JobSearch
from django_jobs.admin.refreshing import forget_shared
from django_jobs.admin.rights import Rights
from django_jobs.admin.screens import Screen
from django_jobs.admin.state_marks import state_mark
from django_jobs.admin.telling import told
from django_jobs.bulk import AT_ONCE, VERBS, Proposal
from django_jobs.conf import get_settings
from django_jobs.display import grouped
from django_jobs.models import BulkOperation, Job
from django_jobs.reports.reading import within_limit
from django_jobs.reports.stored import HEAVY
from django_jobs.reports.summary import with_error
from django_jobs.searching.surveying import CAP
from django_jobs.searching.terms import split
from django_jobs.serializers import clean_text

TITLES = {
    "retry": gettext_lazy("Retry jobs"),
    "cancel": gettext_lazy("Cancel jobs"),
    "delete": gettext_lazy("Delete jobs"),
}
DONE = {
    "retry": gettext_lazy("retried"),
    "cancel": gettext_lazy("cancelled"),
    "delete": gettext_lazy("deleted"),
}
LIST = "admin:django_jobs_job_changelist"
OPERATION = "admin:django_jobs_bulkoperation_change"
BIGGEST = 2**31 - 1


def may_do(rights: Rights, verb: str) -> bool:
    """Say whether the user may do `verb` to jobs."""
    return rights.may_erase(Job) if verb == "delete" else rights.may_operate(Job)


class BulkScreen(Screen):
    """Asks with a count and a sample; does it when it is confirmed."""

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def view(self, request: HttpRequest) -> HttpResponse:
        """Ask, or do what was asked about."""
        given: Any = request.POST if request.method == "POST" else request.GET
        verb = given.get("verb", "")
        if verb not in VERBS:
            raise Http404
        if not may_do(self.rights(request, Job), verb):
            raise PermissionDenied
        return self._do(request, verb) if request.method == "POST" else self._ask(request, verb)

    def back(self, request: HttpRequest) -> str:
        """Return the list from which somebody came who confirms."""
        return f"{self.address(LIST)}?{urlencode({'q': request.POST.get('from', '')})}"

    def _ask(self, request: HttpRequest, verb: str) -> HttpResponse:
        search = JobSearch.of(request)
        back = self.address(LIST) + search.query()
        if search.criteria.problems:
            for problem in search.terms.problems:  # what could not be read is not in the address
                messages.warning(request, problem)
            return HttpResponseRedirect(back)  # the list says what else is wrong with it
        jobs = with_error(Job.objects.using(get_settings().DATABASE)).defer(*HEAVY)
        alias = get_settings().DATABASE
        found = within_limit(alias, lambda: bulk.propose(verb, search.terms, jobs, search.to))
        parents = [(_("Jobs"), self.home), (_("Jobs"), self.address(LIST))]
        template = "admin/django_jobs/bulk/confirm.html"
        if found is None:
            values = {"slow": True, "back": back, "parents": parents}
            return self.show(request, template, values, title=str(TITLES[verb]))
        expected = found.count.number + (1 if found.count.capped else 0)
        values = {
            "verb": verb,
            "found": found,
            "total": found.count.number,
            "many": expected > AT_ONCE,
            "at_once": AT_ONCE,
            "sample": [self._shown(job) for job in found.sample],
            "fields": {**_fields(found, expected), "from": str(search.terms)},
            "back": back,
            "parents": parents,
        }
        return self.show(request, template, values, title=str(TITLES[verb]))

    def _shown(self, job: Any) -> dict[str, Any]:
        kind = (job.error_type or "").rpartition(".")[2]
        return {
            "title": str(job),
            "mark": state_mark(job),
            "queue": job.queue,
            "error": f"{kind}: {job.error_line}" if kind else "",
            "url": self.address("admin:django_jobs_job_change", job.pk),
        }

    def _do(self, request: HttpRequest, verb: str) -> HttpResponse:
        given: Any = request.POST
        back = self.back(request)
        wanted = _wanted(given, verb, request.user.get_username())
        if wanted is None:
            text = _("Nothing was done: the request was incomplete. Load the page anew.")
            messages.warning(request, text)
            return HttpResponseRedirect(back)
        if JobSearch.reading(request, split(wanted.search)).criteria.problems:
            raise PermissionDenied
        try:
            return self._done(request, wanted, back)
        except bulk.Grown:
            messages.warning(request, _("Nothing was done: more jobs fit by now. Look again."))
            again = {"verb": verb, "q": given.get("from", "")}
            address = self.address("admin:django_jobs_job_bulk")
            return HttpResponseRedirect(f"{address}?{urlencode(again)}")

    def _done(self, request: HttpRequest, wanted: Any, back: str) -> HttpResponse:
        if wanted.expected > AT_ONCE:
            started, created = bulk.start(wanted)
            page = self.address(OPERATION, started)
            if created:
                record(request, wanted, target=started)
                messages.success(request, _("They are left to the workers."))
            else:
                messages.warning(request, _("No change: this was started already."))
            return HttpResponseRedirect(page)
        result = bulk.carry_out(wanted)
        if changed := result.done | (result.asked - result.again):
            record(request, wanted, count=len(changed))
            forget_shared()
        for level, text in told(result, str(DONE[wanted.verb])):
            messages.add_message(request, level, text)
        if not (result.done or result.asked or result.refused):
            messages.warning(request, _("No change: none of these jobs fits any more."))
        return HttpResponseRedirect(back)


def record(request: HttpRequest, wanted: Any, *, count: int = 0, target: int | None = None) -> None:
    """Write one line into the admin's log: `count` jobs at once, or the operation `target`."""
    hidden = split(wanted.search).hiding_payload()
    verb = DONE[wanted.verb]
    what = f"{grouped(count)} {verb}" if target is None else _("operation started")
    model: Any = Job if target is None else BulkOperation
    LogEntry.objects.create(
        user_id=cast("int", request.user.pk),
        content_type=ContentType.objects.get_for_model(model),
        object_id=None if target is None else str(target),
        object_repr=(str(hidden) or _("all"))[:200],
        action_flag=CHANGE,
        change_message=_("%(what)s, of the jobs that fit: %(search)s")
        % {"what": what, "search": hidden},
    )


def operation_link(address: str, number_of_it: int) -> str:
    """Return a link to the page of an operation, for a message."""
    text = _("Operation #%(number)s") % {"number": number_of_it}
    return format_html('<a href="{}">{}</a>', address, text)


def _fields(found: Proposal, expected: int) -> dict[str, str]:
    return {
        "verb": found.verb,
        "search": found.search,
        "as_of": found.as_of.isoformat(),
        "low": str(found.low),
        "high": str(found.high),
        "expected": str(expected),
        "key": secrets.token_hex(16),
    }


def _wanted(given: Any, verb: str, by: str) -> Any:
    """Return what the form asks for, `None` when something is missing or broken."""
    as_of = instant_in(given.get("as_of", ""))
    low, high, expected = (number_in(given.get(name, "")) for name in ("low", "high", "expected"))
    key, terms = clean_text(given.get("key", "")), split(given.get("search", ""))
    search = str(terms)
    if as_of is None or not key or terms.problems:
        return None
    if low is None or high is None or expected is None or not search:
        return None
    return bulk.requested(
        key=key[:64],
        verb=verb,
        search=search,
        as_of=as_of,
        low=low,
        high=high,
        expected=min(expected, CAP + 1),
        by=by,
    )
