"""The screen of failed jobs by error, at `failed/`: what fails, since when, what to do about it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_jobs import clock
from django_jobs.admin.buttons.muting import HOURS, USUAL
from django_jobs.admin.given import number_in
from django_jobs.admin.refreshing import ERRORS, shared
from django_jobs.admin.rights import Rights
from django_jobs.admin.screens import Screen
from django_jobs.admin.trends import bars
from django_jobs.conf import get_settings
from django_jobs.display import ago, duration, grouped
from django_jobs.models import Job, MutedError
from django_jobs.reports.error_groups import ErrorGroup
from django_jobs.reports.errors import Choice, ErrorReport, report
from django_jobs.reports.reading import within_limit
from django_jobs.reports.stored import HEAVY

SPANS = (1, 24, 7 * 24)
"""Hours that the filter `since` offers."""

PACE = 2
ANY = Choice()
Values = dict[str, Any]


class FailedScreen(Screen):
    """Failed jobs by error, for one admin site."""

    @method_decorator(require_safe)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def page(self, request: HttpRequest) -> HttpResponse:
        """Show all errors, those that a filter asks for first."""
        rights = self.rights(request, Job)
        choice = _choice(request.GET)
        seen = look_at(get_settings().DATABASE, clock.now(), choice)
        regions = Errors(self, seen, request.GET, rights)
        values = {
            **regions.as_values(),
            "filters": list(_filters(choice, seen)),
            "parents": [(_("Jobs"), self.home)],
        }
        template = "admin/django_jobs/failed/page.html"
        title, again = _("Failed jobs by error"), regions.address_of("_live")
        return self.show(request, template, values, title=title, refresh=again, pace=PACE)

    @method_decorator(login_not_required)
    @method_decorator(never_cache)
    @method_decorator(require_safe)
    @transaction.non_atomic_requests(using=get_settings().DATABASE)
    def live(self, request: HttpRequest) -> HttpResponse:
        """Return the errors anew, for htmx to put into the page."""
        if not self.site.has_permission(request):
            return self.to_login(self.address("admin:django_jobs_failed"))
        rights = self.rights(request, Job)
        choice, alias = _choice(request.GET), get_settings().DATABASE
        seen = shared(ERRORS, look_at) if choice == ANY else look_at(alias, clock.now(), choice)
        regions = Errors(self, seen, request.GET, rights)
        values = {**regions.as_values(), "now": seen.now if seen else clock.now()}
        return self.refresh(request, "admin/django_jobs/failed/live.html", values)


class Errors:
    """The region of the screen, as plain values for its template."""

    def __init__(
        self, screen: Screen, seen: ErrorReport | None, asked: QueryDict, rights: Rights
    ) -> None:
        self._screen = screen
        self._found = seen
        self._asked = asked
        self._may_operate = rights.may_operate(Job)
        self._may_erase = rights.may_erase(Job)
        self._tried = _tried(asked)

    def as_values(self) -> Values:
        """Return what there is to be shown, or that it takes too long."""
        if self._found is None:
            return {"slow": True, "headline": _("Failed jobs by error")}
        seen = self._seen
        groups = [self._group(group) for group in seen.groups]
        shown = any(group["tried"] for group in groups)
        return {
            "headline": self._headline(),
            "groups": groups,
            "more": seen.more,
            "muted": [self._muted(row) for row in seen.muted],
            "tried": "" if shown else self._outcome(),
            "nothing": self._nothing(),
            "may_operate": self._may_operate,
            "may_act": self._may_operate or self._may_erase,
            "hours": [(number, duration(timedelta(hours=number))) for number in HOURS],
            "usual": USUAL,
        }

    def address_of(self, part: str = "", **more: Any) -> str:
        """Return the address of this page, or of a part of it, with the same filters."""
        kept = {key: self._asked[key] for key in ("since", "queue", "job") if key in self._asked}
        if part:
            kept |= {key: self._asked[key] for key in ("tried", "error") if key in self._asked}
        query = urlencode(kept | more)
        found = self._screen.address(f"admin:django_jobs_failed{part}")
        return f"{found}?{query}" if query else found

    @property
    def _seen(self) -> ErrorReport:
        assert self._found is not None
        return self._found

    def _headline(self) -> str:
        seen = self._seen
        text = ngettext("%(jobs)s failed job", "%(jobs)s failed jobs", seen.failed.number)
        errors = ngettext("in %(errors)s error", "in %(errors)s errors", seen.kinds)
        line = f"{text % {'jobs': seen.failed}} {errors % {'errors': grouped(seen.kinds)}}"
        if not seen.failed.capped:
            return line
        considered = _("the newest %(number)s are considered")
        return f"{line} ({considered % {'number': grouped(seen.failed.number)}})"

    def _nothing(self) -> str:
        """Return what is said where there is no error to show."""
        seen = self._seen
        if seen.failed.number:
            return _("None of the errors is what the filter asks for.")
        if seen.last_failure is None:
            return _("No failed jobs.")
        last = ago(seen.last_failure, seen.now)
        return _("No failed jobs. The last failure was %(ago)s.") % {"ago": last}

    def _group(self, group: ErrorGroup) -> Values:
        newest, now, deploy = group.newest, self._seen.now, self._seen.deploy
        query = urlencode({"q": f"fp:{group.fingerprint}"})
        jobs = self._screen.address("admin:django_jobs_job_changelist")
        change = self._screen.address("admin:django_jobs_job_change", newest.job_id)
        is_new = self._seen.is_new(group)
        return {
            "fingerprint": group.fingerprint,
            "error": newest.error or _("without an error on record"),
            "job": newest.name,
            "place": newest.place,
            "count": grouped(group.count),
            "url": f"{jobs}?{query}" if group.fingerprint else change,
            "first": ago(group.first, now),
            "first_at": group.first,
            "last": ago(newest.finished_at, now),
            "last_at": newest.finished_at,
            "trend": bars(group.trend),
            "trend_text": ", ".join(str(number) for number in group.trend),
            "new_since": deploy.version if deploy and is_new else "",
            "new_at": ago(deploy.since, now) if deploy and is_new else "",
            "muted": None if group.muted is None else self._muted(group.muted),
            "tried": self._outcome() if self._asked.get("error") == group.fingerprint else "",
            "buttons": list(self._buttons(group)) if self._may_operate else [],
            "delete": self._deletion(group.fingerprint) if self._may_erase else "",
            "mute": self._button("mute", _("Mute"), fingerprint=group.fingerprint),
        }

    def _buttons(self, group: ErrorGroup) -> Iterator[Values]:
        """Yield the buttons of a line; whoever retries one comes back and sees what became of it."""
        newest = group.newest.job_id
        back = self.address_of(tried=newest, error=group.fingerprint)
        yield self._button("retry", _("Retry 1"), back=back, job=newest)
        if group.count > 1:
            text = _("Retry all %(number)s") % {"number": grouped(group.count)}
            seen = self._seen.seen.isoformat()
            yield self._button("retry-all", text, fingerprint=group.fingerprint, seen=seen)

    def _deletion(self, fingerprint: str) -> str:
        """Return the address that asks before the failed jobs of an error are deleted."""
        asked = {"verb": "delete", "q": f"state:failed fp:{fingerprint}"}
        ask = self._screen.address("admin:django_jobs_job_bulk")
        return f"{ask}?{urlencode(asked)}" if fingerprint else ""

    def _muted(self, row: MutedError) -> Values:
        button = self._button("unmute", _("Unmute"), fingerprint=row.fingerprint)
        return {
            "by": row.muted_by,
            "until": ago(row.muted_until, self._seen.now),
            "count": grouped(row.count),
            "fingerprint": row.fingerprint,
            "button": button,
        }

    def _outcome(self) -> str:
        """Return what has become of the job that somebody has just retried here."""
        job = self._tried
        if job is None:
            return ""
        since = job.finished_at or job.started_at
        said = {"job": str(job), "state": _(job.label), "ago": ago(since, self._seen.now)}
        if since is None or job.finished_at is None:
            return _("%(job)s, which was retried, is %(state)s.") % said
        return _("%(job)s, which was retried: %(state)s %(ago)s.") % said

    def _button(self, verb: str, label: str, *, back: str = "", **fields: Any) -> Values:
        url = self._screen.address("admin:django_jobs_act", verb)
        return {
            "url": url,
            "label": label,
            "fields": {**fields, "back": back or self.address_of()},
        }


def _choice(asked: QueryDict) -> Choice:
    hours = asked.get("since", "")
    known = hours in {str(number) for number in SPANS}
    since = timedelta(hours=int(hours)) if known else None
    return Choice(since, asked.get("queue", ""), asked.get("job", ""))


def look_at(alias: str, now: datetime, choice: Choice = ANY) -> ErrorReport | None:
    """Return the errors, `None` when that takes too long."""
    return within_limit(alias, lambda: report(alias, now, choice))


def _filters(choice: Choice, seen: ErrorReport | None) -> Iterator[Values]:
    """Yield the filters, each with what can be chosen."""
    spans = [(str(hours), duration(timedelta(hours=hours))) for hours in SPANS]
    chosen = "" if choice.since is None else str(choice.since // timedelta(hours=1))
    yield {"name": "since", "label": _("Struck within"), "choices": spans, "chosen": chosen}
    for name, label, values, value in (
        ("queue", _("Queue"), seen.queues if seen else (), choice.queue),
        ("job", _("Job"), seen.jobs if seen else (), choice.job),
    ):
        known = values if value in ("", *values) else (*values, value)
        choices = [(item, item) for item in known]
        yield {"name": name, "label": label, "choices": choices, "chosen": value}


def _tried(asked: QueryDict) -> Job | None:
    """Return the job that somebody has just retried on this page."""
    number = number_in(asked.get("tried", ""))
    if number is None:
        return None
    alias = get_settings().DATABASE
    jobs = Job.objects.using(alias).defer(*HEAVY)
    return within_limit(alias, jobs.filter(pk=number).first)
