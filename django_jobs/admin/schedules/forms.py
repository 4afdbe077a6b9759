"""The forms of the admin's pages of schedules: the schedule itself, a backfill, a list's actions.

What a form refuses is decided by the model, in the words that code is told. Arguments are shown
without secrets; what is left masked stays as it is.
"""

import re
from copy import copy
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_jobs import clock, registry
from django_jobs.admin.hidden_values import (
    STILL_MASKED,
    as_text,
    is_still_masked,
    masked_texts,
    restored,
)
from django_jobs.declarations import default_timezone
from django_jobs.display import masked_arguments
from django_jobs.exceptions import InvalidSchedule
from django_jobs.masking import mask_value
from django_jobs.models import Schedule
from django_jobs.schedules import history, portrait
from django_jobs.schedules.operating import check_free
from django_jobs.timetables.timetable import NOT_MEANT, NOT_PLACES, PlannedTime

COMING = 10
PREVIEW = "_preview"
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
SPAN_HELP = _("Such as 30s, 15m, 2h or 1d 12h.")
AS_WRITTEN = ("cron", "every", "timezone", "args", "kwargs", "missed_within", "jitter")
"""Fields whose text reads from left to right in every language."""

NO_SPAN = _("Write a span of time such as 30s, 15m, 2h or 1d 12h.")


def _with(help_text: Any) -> Any:
    return format_lazy("{} {}", help_text, SPAN_HELP)


class SpanField(forms.DurationField):
    """A span of time as people write it, `1d 12h`, or as Django does, `36:00:00`."""

    default_error_messages = {"invalid": NO_SPAN, "overflow": NO_SPAN}

    def to_python(self, value: Any) -> timedelta | None:
        """Return the span that `value` writes."""
        match = SPAN.fullmatch("".join(value.lower().split())) if isinstance(value, str) else None
        if match is None or not match.group():
            return super().to_python(value)
        sizes = zip(match.groups(), UNITS.values(), strict=True)
        try:
            return timedelta(seconds=sum(float(number) * size for number, size in sizes if number))
        except OverflowError:
            raise ValidationError(NO_SPAN, code="overflow") from None

    def prepare_value(self, value: Any) -> Any:
        """Return the span as it is written."""
        if not isinstance(value, timedelta) or value < timedelta():
            return super().prepare_value(value)
        rest, parts = value, []
        for unit, size in UNITS.items():
            number = rest // timedelta(seconds=size) if unit != "s" else rest.total_seconds()
            rest -= timedelta(seconds=number * size)
            parts += [f"{number:.6f}".rstrip("0").rstrip(".") + unit] if number else []
        return " ".join(parts) or "0s"


class ArgumentsField(forms.JSONField):
    """Arguments as JSON, a few lines high."""

    widget = forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"})

    def to_python(self, value: Any) -> Any:
        """Return the value; a depth, or a number of digits, that Python cannot read is no crash."""
        try:
            return super().to_python(value)
        except (RecursionError, ValueError):
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what is shown again; what cannot be read is shown as it was typed."""
        try:
            value = super().bound_data(data, initial)
            as_text(value).encode()
        except (RecursionError, ValueError):  # a lone surrogate fits on no page
            return InvalidJSONInput(data)
        return value


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]
    """Makes or changes a schedule, or previews what it would be."""

    job_name = forms.CharField(
        label=_("Job"), widget=forms.Select, help_text=_("What it enqueues.")
    )
    every = SpanField(
        label=_("Every"), required=False, help_text=_with(_("Or a fixed span of time."))
    )
    args = ArgumentsField(
        required=False, initial=list, label=_("Arguments"), help_text=_("By place: a JSON list.")
    )
    kwargs = ArgumentsField(
        required=False,
        initial=dict,
        label=_("Named arguments"),
        help_text=_("By name: a JSON object."),
    )
    missed_within = SpanField(
        label=_("Missed within"),
        initial=timedelta(days=1),
        help_text=_with(_("What was missed longer ago stays missed.")),
    )
    jitter = SpanField(
        label=_("Jitter"),
        required=False,
        initial=timedelta,
        help_text=_with(_("Jobs start up to so much later, to spread the load.")),
    )

    preview: list[PlannedTime] | None = None
    """What a preview shows; `None`: none was asked for."""

    may_see_payload = True

    class Meta:
        """The fields of a schedule; the admin's fieldsets choose among them."""

        model = Schedule
        fields = "__all__"  # noqa: DJ007 - see above

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The page shows the row as it is, whatever was typed: hence a copy.
        super().__init__(*args, **{**kwargs, "instance": copy(kwargs.get("instance"))})
        self._kept: dict[str, Any] = {"args": self.instance.args, "kwargs": self.instance.kwargs}
        self._shown = dict(self._kept)
        self.initial.setdefault("timezone", default_timezone())
        self.fields["timezone"].label = _("Time zone")
        self.fields["timezone"].widget.attrs["list"] = "zones"
        for name in AS_WRITTEN:
            self.fields[name].widget.attrs["dir"] = "ltr"
        self.fields["name"].help_text = _("Cannot be changed later.")
        for name in ("starts_at", "ends_at"):
            clocks = gettext("On the clocks of %(zone)s.")
            clocks %= {"zone": timezone.get_current_timezone_name()}
            self.fields[name].help_text = f"{self.fields[name].help_text} {clocks}"
        self._offer_jobs()
        if self.instance.pk:
            self.fields["name"].disabled = True
            self.fields["name"].help_text = _(
                "Cannot be changed: its history and what is drawn depend on it."
            )
            self.fields["job_name"].disabled = self.instance.source == "code"
            self._hide_secrets()

    def is_valid(self) -> bool:
        """Say whether it is to be saved. A preview never is: the page is shown again."""
        valid = super().is_valid()
        if PREVIEW not in self.data:
            return valid
        if valid:
            self.preview = portrait.coming(self.instance, clock.now(), COMING)
        return False

    def clean_name(self) -> str:
        """Return the name; it must be free."""
        name: str = self.cleaned_data["name"]
        if not self.instance.pk:
            try:
                check_free(name)
            except InvalidSchedule as problem:
                raise ValidationError(str(problem)) from None
        return name

    def clean_args(self) -> Any:
        """Return the arguments by place."""
        return self._unmasked("args", [])

    def clean_kwargs(self) -> Any:
        """Return the arguments by name."""
        return self._unmasked("kwargs", {})

    def clean_jitter(self) -> timedelta:
        """Return the jitter; none is none."""
        return self.cleaned_data["jitter"] or timedelta()

    def validate_unique(self) -> None:
        """Leave it to `clean_name`, which looks into the jobs' database."""

    def _post_clean(self) -> None:
        # A field that cannot be read would be missed, too: one complaint is enough.
        if not self.errors:
            super()._post_clean()  # type: ignore[misc]

    def _offer_jobs(self) -> None:
        widget: Any = self.fields["job_name"].widget
        names = [(definition.name, definition.name) for definition in registry.definitions()]
        current = self.instance.job_name
        if current and not any(name == current for name, _ in names):
            names.insert(0, (current, gettext("%(name)s (not declared here)") % {"name": current}))
        widget.choices = [("", "---------"), *names]

    def _hide_secrets(self) -> None:
        row = self.instance
        arguments = portrait.arguments(row)
        by_place, by_name = masked_arguments(row.job_name, *arguments)
        if not self.may_see_payload:
            by_place, by_name = mask_value([*arguments], secret=True)
        self._shown = {"args": masked_texts(by_place), "kwargs": masked_texts(by_name)}
        self.initial.update(self._shown)
        for name in self._shown:
            self.fields[name].disabled = not self.may_see_payload

    def _unmasked(self, name: str, empty: Any) -> Any:
        given = self.cleaned_data[name]
        value = restored(empty if given is None else given, self._shown[name], self._kept[name])
        if is_still_masked(value, self._kept[name]):
            raise ValidationError(STILL_MASKED)
        return value


class BackfillForm(forms.Form):
    """Which planned times are to get the jobs that they lack."""

    start = forms.DateTimeField(label=_("Start"))
    end = forms.DateTimeField(label=_("End"))
    one_by_one = forms.BooleanField(
        required=False,
        initial=True,
        label=_("One after the other"),
        help_text=_("Else all at once."),
    )

    def __init__(self, *args: Any, row: Schedule, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone = portrait.zone_of(row)
        for name in ("start", "end"):
            field = self.fields[name]
            field.widget = forms.DateTimeInput(
                attrs={"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S"
            )
            field.help_text = gettext("On the clocks of %(zone)s.") % {"zone": row.timezone}

    def _clean_fields(self) -> None:
        with timezone.override(self.zone):
            super()._clean_fields()  # type: ignore[misc]

    @property
    def span(self) -> tuple[datetime, datetime]:
        """Start and end, once the form is valid."""
        return self.cleaned_data["start"], self.cleaned_data["end"]


class ScheduleActionForm(ActionForm):
    """What the list's actions take beside the schedules."""

    reason = forms.CharField(required=False, max_length=255, label=_("Reason:"))
    seen = forms.IntegerField(
        required=False, label="", widget=forms.HiddenInput, initial=history.newest_id
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Under django-unfold the button appears once this says that something is chosen.
        self.fields["action"].widget.attrs["x-model"] = "action"


def zones() -> list[str]:
    """Return the time zones that people may mean."""
    return sorted(
        name
        for name in available_timezones()
        if not name.startswith(NOT_MEANT) and name.partition("/")[0] not in NOT_PLACES
    )
