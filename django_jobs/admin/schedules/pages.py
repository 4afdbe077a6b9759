"""The admin's pages of schedules: a list, and a page that tells the truth about each.

Nothing is saved by the admin itself: what people make, change or delete goes through
`schedules`, as the commands do.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.db.models import Q, QuerySet
from django.forms import ModelForm, modelform_factory
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_jobs import clock, schedules
from django_jobs.admin.rights import may_see_payload
from django_jobs.admin.schedules.actions import ENQUEUEING, ScheduleActions
from django_jobs.admin.schedules.forms import COMING, ScheduleActionForm, ScheduleForm, zones
from django_jobs.admin.schedules.past import drawn
from django_jobs.admin.screens import LATE_FRAME
from django_jobs.conf import get_settings
from django_jobs.display import ago, as_written, call_text, duration
from django_jobs.exceptions import JobError
from django_jobs.masking import MASK, mask_value
from django_jobs.models import Schedule, Tick
from django_jobs.models.schedules import ADMIN, CODE
from django_jobs.schedules import history, portrait
from django_jobs.schedules.history import Record
from django_jobs.schedules.syncing import FIELDS
from django_jobs.timetables.planning import PUNCTUAL
from django_jobs.timetables.timetable import PlannedTime

PAST, LATELY = 50, 30
EDITABLE = (*FIELDS, "job_name")
COUNTED = 10_000
"""Planned times on record are not counted further."""

CHANGED = "changed"
BUTTONS = {
    "pause": _("Pause"),
    "resume": _("Resume"),
    "catch-up": _("Resume and catch up"),
    "run-now": _("Run now"),
    "reset": _("Reset to the code"),
}


class StateFilter(admin.SimpleListFilter):
    """Filters by where schedules stand."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, Any]]:
        """Return the states to choose from."""
        states = ("ACTIVE", "OVERDUE", "PAUSED", "DISABLED", "OVER")
        return [(word := getattr(portrait, state), portrait.STATES[word]) for state in states]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the schedules in the chosen state, as `portrait.state_of` says."""
        limit = clock.now() - PUNCTUAL
        stopped = Q(disabled_at__isnull=False) | Q(paused_at__isnull=False)
        chosen = {
            portrait.ACTIVE: Q(next_run_at__gte=limit),
            portrait.OVERDUE: Q(next_run_at__lt=limit),
            portrait.PAUSED: Q(paused_at__isnull=False, disabled_at__isnull=True),
            portrait.DISABLED: Q(disabled_at__isnull=False),
            portrait.OVER: Q(next_run_at__isnull=True) & ~stopped,
        }.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


class SourceFilter(admin.SimpleListFilter):
    """Filters by where schedules come from."""

    title = _("source")
    parameter_name = "source"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, Any]]:
        """Return the sources to choose from."""
        return [(CODE, _("code")), (CHANGED, _("code, changed here")), (ADMIN, _("admin"))]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the schedules of the chosen source."""
        if self.value() == CHANGED:
            return queryset.filter(source=CODE).exclude(overrides=[])
        return queryset.filter(source=self.value()) if self.value() else queryset


@admin.register(Schedule)
class ScheduleAdmin(ScheduleActions):
    """The schedules, with what becomes of them."""

    action_form = ScheduleActionForm
    actions = (
        *("pause_schedules", "resume_schedules", "catch_up_schedules", "run_schedules"),
        *("reset_schedules", "backfill_schedule", "delete_selected"),
    )
    form = ScheduleForm
    list_display = ("title", "state", "rule", "next_time", "last", "lately")
    list_filter = (StateFilter, SourceFilter)
    search_fields = ("name",)
    search_help_text = _("A part of the name.")
    fieldsets = (
        (None, {"fields": ("name", "job_name", "cron", "every", "timezone")}),
        (_("Arguments"), {"fields": ("args", "kwargs")}),
        (_("Gaps and overlaps"), {"fields": ("missed", "missed_within", "overlap")}),
        (_("Limits"), {"fields": ("jitter", "starts_at", "ends_at")}),
    )

    class Media:
        """A few lines beside the admin's own style."""

        css = {"all": ["django_jobs/jobs.css", "django_jobs/schedules.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may make schedules: Django's permission."""
        return admin.ModelAdmin.has_add_permission(self, request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether the user may change schedules: Django's permission."""
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether the user may delete the schedule: not one that code would bring back."""
        allowed = admin.ModelAdmin.has_delete_permission(self, request, obj)
        return allowed and (obj is None or _is_deletable(obj))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form's fields; without the permission the facts above it are enough."""
        allowed = self.has_change_permission(request, obj) if obj else True
        return super().get_fieldsets(request, obj) if allowed else ()

    def get_form(
        self,
        request: HttpRequest,
        obj: Any = None,
        change: Any = False,  # noqa: FBT002 - Django's signature
        **kw: Any,
    ) -> Any:
        """Return the form, which shows arguments to those who may see them."""
        if change and not self.has_change_permission(request, obj):
            return modelform_factory(Schedule, form=ModelForm, fields=[])  # the facts are enough
        form: Any = super().get_form(request, obj, change=change, **kw)
        form.may_see_payload = may_see_payload(request)
        return form

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the list, with the newest record of each of its schedules."""
        changelist = super().get_changelist_instance(request)
        rows: Any = list(changelist.result_list)
        newest, lately = history.newest(rows), history.lately(rows, LATELY)
        for row in rows:
            row.newest, row.past = newest.get(row.pk), lately.get(row.pk, ())
        changelist.result_list = rows
        return changelist

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the list, and first of all whether schedules are switched off."""
        off = {} if get_settings().SCHEDULES_ENABLED else {"subtitle": portrait.OFF}
        address = request.get_full_path()
        view = super().changelist_view
        return self._polite(
            request, address, lambda: view(request, {**off, **(extra_context or {})})
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Show or save a schedule. What was typed is shown again at the form, not at the top."""
        view, url = super().changeform_view, form_url or ("#schedule_form" if object_id else "")
        return self._polite(
            request, request.path, lambda: view(request, object_id, url, extra_context)
        )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Ask, and delete a schedule; one that may not be deleted says why."""
        row = self.get_object(request, unquote(object_id))
        page = request.path if row is None else self.address_of(row)
        if row is not None and not _is_deletable(row) and self.has_delete_permission(request):
            self.message_user(request, _why_not_deletable([row.name]), messages.ERROR)
            return HttpResponseRedirect(page)
        view = super().delete_view
        return self._polite(request, page, lambda: view(request, object_id, extra_context))

    def save_model(self, _request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Make or change the schedule through `schedules`."""
        fields = form.changed_data if change else EDITABLE
        values = {name: form.cleaned_data[name] for name in fields if name in EDITABLE}
        if change:
            schedules.change(obj.name, **values)
        else:
            obj.pk = schedules.create(obj.name, values.pop("job_name"), **values).pk

    def delete_model(self, _request: HttpRequest, obj: Any) -> None:
        """Delete the schedule through `schedules`."""
        schedules.delete(obj.name)

    def delete_queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete the schedules through `schedules`."""
        for row in queryset:
            schedules.delete(row.name)

    @admin.action(description=_("Delete selected schedules"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Delete all of the selected schedules, or none and say why."""
        refused = [row.name for row in queryset if not _is_deletable(row)]
        if refused:
            self.message_user(request, _why_not_deletable(refused), messages.ERROR)
            return None
        with transaction.atomic(), transaction.atomic(using=get_settings().DATABASE):
            return delete_selected(self, request, queryset)

    def get_deleted_objects(self, objs: Any, _request: HttpRequest) -> Any:
        """Return what is deleted: a number instead of each planned time that is on record."""
        names = [str(row) for row in objs]
        ticks = Tick.objects.using(get_settings().DATABASE).filter(
            schedule__in=[row.pk for row in objs]
        )
        number = ticks.order_by()[:COUNTED].count()
        counts = {gettext("schedules"): len(names), gettext("planned times on record"): number}
        return names, counts, set(), []

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: Any = False,  # noqa: FBT002
        change: Any = False,  # noqa: FBT002
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """Show the form, and above it the truth about the schedule."""
        form, now = context["adminform"].form, clock.now()
        context["zones"], context["late_frame"] = zones(), LATE_FRAME
        preview = getattr(form, "preview", None)
        if preview is not None:
            context["preview"] = list(_coming(form.instance, preview, now))
            context["preview_words"] = portrait.rule_words(form.instance)
        if obj is not None:
            context.update(self._truth(request, obj, now))
        return super().render_change_form(request, context, add, change, form_url, obj)

    @admin.display(description=_("name"), ordering="name")
    def title(self, schedule: Schedule) -> str:
        """The name, which may break at its dots: most are the whole name of a job."""
        parts = ((part,) for part in schedule.name.replace(".", ".\n").split("\n"))
        return format_html_join(mark_safe("<wbr>"), "{}", parts)

    @admin.display(description=_("rule"))
    def rule(self, row: Schedule) -> str:
        """When it is due, in words and as it is written."""
        words = portrait.rule_words(row)
        if not row.cron:  # a span of time knows no zone
            return words
        return format_html("{}<br><code>{}</code> {}", words, row.cron, row.timezone)

    @admin.display(description=_("next planned time"), empty_value="–")
    def next_time(self, row: Schedule) -> str | None:
        """The next planned time in its zone, and how far it is."""
        if row.next_run_at is None:
            return None
        shown = portrait.local(row.next_run_at, portrait.zone_of(row))
        return format_html("{}<br>{}", shown, ago(row.next_run_at, clock.now()))

    @admin.display(description=_("last outcome"), empty_value="–")
    def last(self, row: Any) -> str | None:
        """What became of the newest planned time."""
        record: Record | None = row.newest
        if record is None:
            return None
        late = ""
        if record.late:
            late = gettext(", %(span)s late") % {"span": duration(record.late)}
        return format_html("{}<br>{}{}", record.summary, ago(record.at, clock.now()), late)

    @admin.display(description=_("last 30"), empty_value="–")
    def lately(self, row: Any) -> str | None:
        """What became of its last planned times, the newest at the end."""
        return drawn(row.past)

    @admin.display(description=_("state, source"))
    def state(self, row: Schedule) -> str:
        """Where it stands and who or what stopped it; where it comes from."""
        standing = portrait.standing(row, clock.now())
        return format_html("{}<br>{}", standing, portrait.origin(row))

    def _truth(self, request: HttpRequest, row: Schedule, now: datetime) -> dict[str, Any]:
        """Return what the page tells about a schedule."""
        arguments = portrait.arguments(row)
        if not may_see_payload(request):
            arguments = mask_value([*arguments], secret=True)
        facts = [
            *portrait.facts(row, now),
            (gettext("call"), as_written(call_text(row.job_name, *arguments))),
        ]
        may_view_jobs = request.user.has_perm("django_jobs.view_job")
        return {
            "facts": facts,
            "buttons": [
                (verb, str(BUTTONS[verb]), self.address_of(row, verb.replace("-", "_")))
                for verb in _verbs(row)
                if self.may(request, verb)
            ],
            "may_backfill": all(self.may(request, verb) for verb in ENQUEUEING),
            "seen": history.newest_id(),
            "changes": [_for_eyes(change, request) for change in portrait.changes(row)],
            "coming": list(_coming(row, portrait.coming(row, now, COMING), now)),
            "past": [
                _past(record, row, now, self._job(record) if may_view_jobs else "")
                for record in history.recent(row, PAST)
            ],
            "zone": row.timezone,
        }

    def _job(self, record: Record) -> str:
        """Return the address of the page of a job, "" where there is none."""
        if not record.has_job_row:
            return ""
        name = "admin:django_jobs_job_change"
        return reverse(name, args=[record.job_id], current_app=self.admin_site.name)

    def _polite(
        self, request: HttpRequest, address: str, view: Callable[[], HttpResponse]
    ) -> HttpResponse:
        """Answer what turned out to be impossible in the last moment with a message."""
        try:
            return view()
        except JobError as problem:
            self.message_user(request, str(problem), messages.ERROR)
            return HttpResponseRedirect(address)


def _verbs(row: Schedule) -> list[str]:
    verbs = ["pause"] if row.paused_at is None else ["resume", "catch-up"]
    changed = ["reset"] if row.source == CODE and row.overrides else []
    return ["run-now", *verbs, *changed]


def _is_deletable(row: Schedule) -> bool:
    return row.source != CODE or row.disabled_at is not None


def _why_not_deletable(names: list[str]) -> str:
    text = gettext(
        "Nothing was deleted. Code declares %(names)s, and the next deploy would bring it back: "
        "pause it here, or remove it there."
    )
    return text % {"names": ", ".join(names)}


def _for_eyes(change: portrait.Change, request: HttpRequest) -> tuple[str, str, str]:
    field: Any = Schedule._meta.get_field(change.field)
    title = str(field.verbose_name)
    if change.field in portrait.PAYLOAD and not may_see_payload(request):
        return title, MASK, MASK
    return title, change.code, change.here


def _coming(row: Schedule, planned: list[PlannedTime], now: datetime) -> Iterator[tuple[str, ...]]:
    zone = portrait.zone_of(row)
    for time in planned:
        mark = str(portrait.MARKS[time.mark])
        yield portrait.local(time.at, zone), ago(time.at, now), mark, portrait.local(time.at, UTC)


def _past(record: Record, row: Schedule, now: datetime, url: str) -> dict[str, Any]:
    zone = portrait.zone_of(row)
    return {
        "since": portrait.local(record.since, zone) if record.since else "",
        "at": portrait.local(record.at, zone),
        "ago": ago(record.at, now),
        "words": record.words,
        "late": "" if record.late is None else duration(record.late),
        "job": record.job_id,
        "url": url,
        "ending": record.ending,
    }
