"""The form field of one parameter of a job: by its type hint, or as JSON where that says no more."""

from collections.abc import Mapping
from inspect import Parameter
from typing import Any, get_type_hints

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from django_jobs.admin.schedules.forms import ArgumentsField

LONG = 80
"""A text that is longer gets more than one line."""

MISSING: Any = object()
"""The value of a parameter that the call does not give."""


class TextField(forms.CharField):
    """A text, taken as it is; the line ends of browsers are those of the text."""

    def __init__(self, *, several_lines: bool, **options: Any) -> None:
        widget: Any = (
            forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"})
            if several_lines
            else forms.TextInput(attrs={"class": "vTextField"})
        )
        super().__init__(strip=False, widget=widget, **options)

    def to_python(self, value: Any) -> str:
        """Return the text with line ends as Python has them."""
        return str(super().to_python(value) or "").replace("\r\n", "\n")


class NumberField(forms.FloatField):
    """A number with a fraction; a text of it is never a whole number."""

    widget = forms.NumberInput(attrs={"step": "any"})


class ValueField(ArgumentsField):
    """Any value as JSON. Left empty it gives no argument: the default of the function stands."""

    def to_python(self, value: Any) -> Any:
        """Return the value; `null` is one, an empty field is none."""
        is_empty = value is None or (isinstance(value, str) and not value.strip())
        return MISSING if is_empty or value is MISSING else super().to_python(value)

    def clean(self, value: Any) -> Any:
        """Return the value; a text as Python's own."""
        found = super().clean(value)
        return str(found) if isinstance(found, str) else found

    def validate(self, value: Any) -> None:
        """Complain where an argument lacks that must be given."""
        if value is MISSING and self.required:
            raise ValidationError(_("This argument must be given."), code="required")

    def prepare_value(self, value: Any) -> Any:
        """Return the JSON text of a value, an empty one for none."""
        return "" if value is MISSING else super().prepare_value(value)


def hints(function: Any) -> Mapping[str, Any]:
    """Return the type hints of a function; none where they cannot be resolved here."""
    try:
        return get_type_hints(function)
    except Exception:  # noqa: BLE001 - a hint may be any text, and name what is there for checkers only
        return {}


def field_of(parameter: Parameter, hint: Any, value: Any, *, by_place: bool) -> forms.Field:
    """Return the field of a parameter that shows `value`; `by_place`: others come after it."""
    collects = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    required = by_place or (parameter.default is Parameter.empty and not collects)
    options: dict[str, Any] = {"label": parameter.name, "help_text": describe(parameter)}
    # A value that is not of its hint would not survive its field: that of JSON loses nothing.
    kind: Any = hint if type(value) is hint else None
    if kind is bool:
        return forms.BooleanField(required=False, initial=value, **options)
    if kind is int:
        return forms.IntegerField(initial=value, required=True, **options)
    if kind is float:
        return NumberField(initial=value, required=True, **options)
    if kind is str and "\r" not in value:
        long = len(value) > LONG or "\n" in value
        return TextField(several_lines=long, required=False, initial=value, **options)
    return ValueField(required=required, initial=value, **options)


def describe(parameter: Parameter) -> str:
    """Return the parameter as it stands in the function's head."""
    plain = parameter.annotation
    if isinstance(plain, str):
        head = parameter.replace(annotation=Parameter.empty, default=Parameter.empty)
        default = "" if parameter.default is Parameter.empty else f" = {parameter.default!r}"
        return f"{head}: {plain}{default}"
    return str(parameter)
