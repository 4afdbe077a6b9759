"""What people may do to schedules in the admin: on the list, and as buttons on the page.

Every action goes through `schedules`, is told to the one who asked and written to the admin's
log. Whoever comes second hears that it is done.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from django_jobs import clock, schedules
from django_jobs.admin.base import RecordAdmin
from django_jobs.admin.given import number_in
from django_jobs.admin.returning import posted
from django_jobs.admin.schedules.forms import BackfillForm
from django_jobs.admin.screens import LATE_FRAME
from django_jobs.conf import get_settings
from django_jobs.display import grouped
from django_jobs.exceptions import JobError
from django_jobs.models import Schedule
from django_jobs.schedules import history, portrait
from django_jobs.schedules.operating import MOST_AT_ONCE
from django_jobs.serializers import clean_text

SHOWN = 5
"""So many different messages are shown at once."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an action: `text` for the one who asked, `log` for the admin's log."""

    text: str
    log: str = ""


def pause(row: Schedule, given: Mapping[str, str], by: str) -> Told:
    """Pause it; the second one hears who was first."""
    reason = clean_text(given.get("reason", ""))
    if schedules.pause(row.name, by=by, reason=reason):
        return Told(
            _("paused; its jobs go on"),
            _("paused: %(reason)s") % {"reason": reason} if reason else _("paused"),
        )
    return Told(_("no change: it was paused already (%(state)s)") % {"state": _standing(row)})


def resume(row: Schedule, _given: Mapping[str, str], _by: str) -> Told:
    """Let it go on with its next planned time."""
    return _resumed(_("resumed"), schedules.resume(row.name))


def catch_up(row: Schedule, _given: Mapping[str, str], _by: str) -> Told:
    """Let it go on, and give the newest planned time of the pause its job."""
    changed = schedules.resume(row.name, catch_up=True)
    return _resumed(_("resumed, and caught up with its pause"), changed)


def run_now(row: Schedule, given: Mapping[str, str], by: str) -> Told:
    """Enqueue a job, unless somebody has done so since the page was shown."""
    seen = number_in(given.get("seen", ""))
    with transaction.atomic(using=get_settings().DATABASE):
        _locked(row)  # of two who press at the same moment the second sees the first one's job
        other = None if seen is None else history.by_hand_since(row, seen)
        if other is not None:
            return Told(
                _(
                    "not run again: job #%(id)s was started by hand since this page was shown. "
                    "If you want one more, press once more"
                )
                % {"id": other}
            )
        job_id = schedules.run_now(row.name, by=by)
    return Told(
        _("job #%(id)s is enqueued; the next planned time stays") % {"id": job_id},
        _("run by hand: job #%(id)s") % {"id": job_id},
    )


def reset(row: Schedule, _given: Mapping[str, str], _by: str) -> Told:
    """Undo what was changed here of a schedule that code declares."""
    with transaction.atomic(using=get_settings().DATABASE):
        changed = _locked(row).overrides
        if not changed:
            return Told(_("no change: it is as the code says"))
        undone = ", ".join(changed)
        schedules.reset(row.name)
    return Told(
        _("it is as the code says again"), _("reset to the code: %(fields)s") % {"fields": undone}
    )


VERBS: dict[str, Callable[[Schedule, Mapping[str, str], str], Told]] = {
    "pause": pause,
    "resume": resume,
    "catch-up": catch_up,
    "run-now": run_now,
    "reset": reset,
}
ENQUEUEING = {"run-now", "backfill"}
"""These make jobs at once: they need the permission for that, too."""


class ScheduleActions(RecordAdmin):
    """The actions, the addresses behind the buttons, and the pages of a backfill."""

    def has_enqueue_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may make jobs out of schedules by hand."""
        may_add = request.user.has_perm("django_jobs.add_job")
        return may_add and self.has_operate_permission(request)

    def may(self, request: HttpRequest, verb: str) -> bool:
        """Say whether the user may do that to a schedule."""
        enqueueing = verb in ENQUEUEING
        return (self.has_enqueue_permission if enqueueing else self.has_operate_permission)(request)

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the pages and of the buttons."""
        name = "django_jobs_schedule_{}".format
        own = [
            path(
                "<path:object_id>/backfill/",
                self.admin_site.admin_view(self.backfill_view),
                name=name("backfill"),
            ),
            *(
                path(
                    f"<path:object_id>/{verb}/",
                    posted(self.admin_site, require_POST(self.act_view), self._page_of),
                    {"verb": verb},
                    name=name(verb.replace("-", "_")),
                )
                for verb in VERBS
            ),
        ]
        return own + super().get_urls()

    def _page_of(self, _request: HttpRequest, object_id: str, **_more: str) -> str:
        name = "admin:django_jobs_schedule_change"
        return reverse(name, args=[object_id], current_app=self.admin_site.name)

    def address_of(self, row: Schedule, page: str = "change") -> str:
        """Return the address of a page of a schedule, or of a button, in this site."""
        name = f"admin:django_jobs_schedule_{page}"
        return reverse(name, args=[row.pk], current_app=self.admin_site.name)

    def act_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """Do what a button of the page says."""
        row = self._row(request, object_id, verb)
        self._do(request, [row], verb)
        return HttpResponseRedirect(self.address_of(row))

    def backfill_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a span, tell what it means, and do it once that is confirmed."""
        row = self._row(request, object_id, "backfill")
        form = BackfillForm(request.POST or None, row=row)
        lacking: tuple[int, int] | None = None
        if request.method == "POST" and form.is_valid():
            try:
                if "_confirmed" in request.POST:
                    self._backfill(request, row, form)
                    return HttpResponseRedirect(self.address_of(row))
                total, missing = schedules.lacking(row.name, *form.span)
                lacking = total, len(missing)
            except (JobError, ValueError, TypeError) as problem:
                form.add_error(None, str(problem))
        context = {
            **self.admin_site.each_context(request),
            **self.ways(request),
            "meaning": _meaning(form, *lacking) if lacking else "",
            "confirm": _enqueueing(lacking[1]) if lacking else "",
            "title": _("Confirm the backfill") if lacking else _("Backfill"),
            "late_frame": LATE_FRAME,
            "parents": self._parents(row),
            "subtitle": row.name,
            "opts": self.opts,
            "original": row,
            "form": form,
            "lacking": lacking,
            "most": grouped(MOST_AT_ONCE),
        }
        template = "admin/django_jobs/schedule/backfill.html"
        return TemplateResponse(request, template, context)

    @admin.action(description=gettext_lazy("Pause"), permissions=["operate"])
    def pause_schedules(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Let them enqueue nothing."""
        self._do(request, queryset, "pause")

    @admin.action(description=gettext_lazy("Resume"), permissions=["operate"])
    def resume_schedules(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Let them go on."""
        self._do(request, queryset, "resume")

    @admin.action(description=gettext_lazy("Resume and catch up"), permissions=["operate"])
    def catch_up_schedules(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Let them go on, each with one job for its pause."""
        self._do(request, queryset, "catch-up")

    @admin.action(description=gettext_lazy("Run now"), permissions=["enqueue"])
    def run_schedules(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Enqueue a job of each."""
        self._do(request, queryset, "run-now")

    @admin.action(description=gettext_lazy("Reset to the code"), permissions=["operate"])
    def reset_schedules(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Undo what was changed here."""
        self._do(request, queryset, "reset")

    @admin.action(description=gettext_lazy("Backfill…"), permissions=["enqueue"])
    def backfill_schedule(
        self, request: HttpRequest, queryset: QuerySet[Schedule]
    ) -> HttpResponse | None:
        """Go to the page on which a backfill is prepared."""
        rows = list(queryset[:2])
        if len(rows) == 1:
            return HttpResponseRedirect(self.address_of(rows[0], "backfill"))
        self.message_user(request, _("Backfill one schedule at a time."), messages.WARNING)
        return None

    def _row(self, request: HttpRequest, object_id: str, verb: str) -> Schedule:
        if not self.may(request, verb):
            raise PermissionDenied
        row: Schedule | None = self.get_object(request, object_id)
        if row is None:
            raise Http404(_("There is no schedule with the number %(id)s.") % {"id": object_id})
        return row

    def _parents(self, row: Schedule) -> list[tuple[str, str]]:
        """Return the screens above those of a schedule."""
        site = self.admin_site.name
        label = self.opts.app_label
        home = reverse("admin:app_list", kwargs={"app_label": label}, current_app=site)
        rows = reverse("admin:django_jobs_schedule_changelist", current_app=site)
        plural = capfirst(str(self.opts.verbose_name_plural))
        return [
            (str(self.opts.app_config.verbose_name), home),
            (plural, rows),
            (row.name, self.address_of(row)),
        ]

    def _do(self, request: HttpRequest, rows: Iterable[Schedule], verb: str) -> None:
        """Do it to each row; one that cannot be dealt with stops no other."""
        outcomes: dict[tuple[int, str], list[str]] = {}
        for row in rows:
            try:
                told = VERBS[verb](row, request.POST, request.user.get_username())
            except (JobError, ValueError, TypeError) as problem:
                outcomes.setdefault((messages.ERROR, str(problem).rstrip(".")), []).append(row.name)
                continue
            level = messages.SUCCESS if told.log else messages.WARNING
            outcomes.setdefault((level, told.text), []).append(row.name)
            if told.log:
                self._log(request, row, told.log)
        for (level, text), names in list(outcomes.items())[:SHOWN]:
            self.message_user(request, f"{_listed(names)}: {text}.", level)
        if len(outcomes) > SHOWN:
            more = {"number": grouped(len(outcomes) - SHOWN)}
            self.message_user(request, _("And %(number)s more messages.") % more)

    def _backfill(self, request: HttpRequest, row: Schedule, form: BackfillForm) -> None:
        start, end = form.span
        one_by_one = form.cleaned_data["one_by_one"]
        by = request.user.get_username()
        ids = schedules.backfill(row.name, start, end, one_by_one=one_by_one, by=by)
        if not ids:
            text = _("%(schedule)s: no change, each of these planned times has its job.")
            self.message_user(request, text % {"schedule": _listed([row.name])}, messages.WARNING)
            return
        facts = {
            "schedule": _listed([row.name]),
            "number": grouped(len(ids)),
            "start": portrait.local(start, form.zone),
            "end": portrait.local(end, form.zone),
        }
        log = ngettext(
            "backfilled from %(start)s to %(end)s: %(number)s job",
            "backfilled from %(start)s to %(end)s: %(number)s jobs",
            len(ids),
        )
        self._log(request, row, log % facts)
        text = ngettext(
            "%(schedule)s: %(number)s job enqueued, from %(start)s to %(end)s.",
            "%(schedule)s: %(number)s jobs enqueued, from %(start)s to %(end)s.",
            len(ids),
        )
        self.message_user(request, text % facts, messages.SUCCESS)

    def _log(self, request: HttpRequest, row: Schedule, text: str) -> None:
        found = Schedule.objects.using(get_settings().DATABASE).filter(pk=row.pk)
        self.record(request, found, text)


def _meaning(form: BackfillForm, total: int, missing: int) -> str:
    """Return what a backfill would do, in words."""
    start, end = (portrait.local(at, form.zone) for at in form.span)
    text = ngettext(
        "%(start)s to %(end)s: %(total)s planned time, of which %(missing)s lack a job.",
        "%(start)s to %(end)s: %(total)s planned times, of which %(missing)s lack a job.",
        total,
    )
    text %= {"start": start, "end": end, "total": grouped(total), "missing": grouped(missing)}
    if not missing:
        how = _("There is nothing to do.")
    elif form.cleaned_data["one_by_one"]:
        how = _("Their jobs run one after the other.")
    else:
        how = _("Their jobs run all as soon as there are workers.")
    return f"{text} {how}"


def _enqueueing(number: int) -> str:
    text = ngettext("Enqueue %(number)s job", "Enqueue %(number)s jobs", number)
    return text % {"number": grouped(number)}


def _resumed(text: str, changed: Any) -> Told:
    return Told(text, text) if changed else Told(_("no change: it was not paused"))


def _locked(row: Schedule) -> Schedule:
    """Return the row as it is now, locked; as it was where somebody has deleted it meanwhile."""
    rows = Schedule.objects.using(get_settings().DATABASE).select_for_update()
    return rows.filter(pk=row.pk).first() or row


def _standing(row: Schedule) -> str:
    rows = Schedule.objects.using(get_settings().DATABASE).filter(pk=row.pk)
    return portrait.standing(rows.first() or row, clock.now())


def _listed(names: list[str]) -> str:
    if len(names) == 1:
        return _('Schedule "%(name)s"') % {"name": names[0]}
    facts = {"names": ", ".join(names[:SHOWN]), "number": grouped(len(names) - SHOWN)}
    if len(names) <= SHOWN:
        return _("Schedules %(names)s") % facts
    return _("Schedules %(names)s and %(number)s more") % facts
