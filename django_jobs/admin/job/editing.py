"""The form for other arguments of a job: a field for each parameter, checked as `enqueue` checks.

Secrets are hidden in it, and stay what they are unless something else is written in their place.
A call that the function does not take any more is edited as what is stored: a list and an object.
"""

from collections.abc import Mapping
from inspect import Parameter
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from django_jobs import calls
from django_jobs.admin.given import instant_in
from django_jobs.admin.hidden_values import (
    STILL_MASKED,
    is_still_masked,
    masked_texts,
    restored,
)
from django_jobs.admin.job.assembling import Call, assemble
from django_jobs.admin.job.fields import MISSING, ValueField, field_of, hints
from django_jobs.admin.job.verbs import Told, told
from django_jobs.display import masked_arguments
from django_jobs.exceptions import JobError
from django_jobs.models import Job
from django_jobs.states import State

PREFIX = "argument-"


class ArgumentsForm(forms.Form):
    """What both forms share: when the job was seen, hidden values, which parameters were changed."""

    as_of = forms.CharField(widget=forms.HiddenInput)
    from_start = forms.BooleanField(required=False)

    def __init__(self, job: Job, definition: Any, data: Any = None) -> None:
        super().__init__(data, initial={"as_of": (job.finished_at or job.run_at).isoformat()})
        self.signature = definition.parameters.describe()
        self.changed: list[str] = []
        self._shown: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self.fields["from_start"].label = _("Run its finished steps again, too")
        if not job.has_steps or job.state == State.SCHEDULED:
            del self.fields["from_start"]

    @property
    def arguments(self) -> list[forms.BoundField]:
        """The fields of the arguments."""
        return [self[name] for name in self.fields if name.startswith(PREFIX)]

    def clean_as_of(self) -> Any:
        """Return the instant as of which the page shows the job."""
        found = instant_in(self.cleaned_data["as_of"])
        if found is None:
            raise forms.ValidationError(_("The request was incomplete. Load the page anew."))
        return found

    def call(self) -> Call:
        """Return the arguments as they are to be, once the form is valid."""
        raise NotImplementedError

    def _add(self, name: str, field: forms.Field, shown: Any, kept: Any) -> None:
        self.fields[PREFIX + name] = field
        self._shown[name], self._kept[name] = shown, kept

    def clean(self) -> None:
        """Put hidden values back in their places, and see what is new."""
        for name, kept in self._kept.items():
            key = PREFIX + name
            if key not in self.cleaned_data:
                continue
            given = self.cleaned_data[key]
            value = given
            if given is not MISSING and kept is not MISSING:
                value = restored(given, self._shown[name], kept)
            if value is not MISSING and is_still_masked(value, "" if kept is MISSING else kept):
                self.add_error(key, STILL_MASKED)
            self.cleaned_data[key] = value
            if not _same(value, self._shown[name] if kept is MISSING else kept):
                self.changed.append(name)


class SignatureForm(ArgumentsForm):
    """A field for each parameter of the job's function."""

    def __init__(self, job: Job, definition: Any, data: Any = None) -> None:
        super().__init__(job, definition, data)
        self._parameters = definition.parameters
        self._by_place = set(self._parameters.positional[: len(job.args)])
        bind = self._parameters.signature.bind
        kept = bind(*job.args, **job.kwargs).arguments
        args, kwargs = masked_arguments(job.name, job.args, job.kwargs)
        shown = bind(*masked_texts(args), **masked_texts(kwargs)).arguments
        known = hints(definition.func)
        for name, parameter in self._parameters.signature.parameters.items():
            value = _plain(shown.get(name, _default(parameter)))
            by_place = name in self._by_place
            field = field_of(parameter, known.get(name), value, by_place=by_place)
            self._add(name, field, value, _plain(kept.get(name, MISSING)))

    def call(self) -> Call:
        """Return the arguments, each given as it was before, and no default that was not given."""
        names = self._parameters.signature.parameters
        found = {name: self.cleaned_data[PREFIX + name] for name in names}
        values = {name: value for name, value in found.items() if value is not MISSING}
        left_out = {
            name
            for name, value in values.items()
            if self._kept[name] is MISSING and _same(value, self._shown[name])
        }
        return assemble(self._parameters, values, self._by_place, left_out)

    def clean(self) -> None:
        """See to it that what is collected is a list, or an object."""
        super().clean()
        kinds: dict[Any, type] = {Parameter.VAR_POSITIONAL: list, Parameter.VAR_KEYWORD: dict}
        for name, parameter in self._parameters.signature.parameters.items():
            kind, value = kinds.get(parameter.kind), self.cleaned_data.get(PREFIX + name, MISSING)
            if kind is not None and value is not MISSING and not isinstance(value, kind):
                self.add_error(PREFIX + name, _wrong_kind(kind))


class StoredForm(ArgumentsForm):
    """The arguments as they are stored, for a call that the function does not take."""

    def __init__(self, job: Job, definition: Any, data: Any = None) -> None:
        super().__init__(job, definition, data)
        by_place, by_name = masked_arguments(job.name, job.args, job.kwargs)
        values = (
            ("args", _("by place: a JSON list"), masked_texts(by_place), job.args),
            ("kwargs", _("by name: a JSON object"), masked_texts(by_name), job.kwargs),
        )
        for name, label, shown, kept in values:
            self._add(name, ValueField(required=False, label=label, initial=shown), shown, kept)

    def call(self) -> Call:
        """Return the arguments by place and by name."""
        return tuple(self._value("args", [])), dict(self._value("kwargs", {}))

    def clean(self) -> None:
        """See to it that they are a list and an object."""
        super().clean()
        for name, kind in (("args", list), ("kwargs", dict)):
            if not isinstance(self._value(name, kind()), kind):
                self.add_error(PREFIX + name, _wrong_kind(kind))

    def _value(self, name: str, empty: Any) -> Any:
        value = self.cleaned_data.get(PREFIX + name, MISSING)
        return empty if value is MISSING else value


def arguments_form(job: Job, definition: Any, data: Mapping[str, Any] | None) -> ArgumentsForm:
    """Return the form that fits the call of `job`."""
    fits = definition.parameters.fit(job.args, job.kwargs)
    return (SignatureForm if fits else StoredForm)(job, definition, data)


def changed_by(form: ArgumentsForm, job: Job) -> Told | None:
    """Do what a valid form says; `None`: `enqueue` would refuse that, as the form now tells."""
    try:
        args, kwargs = form.call()
        result = calls.change_arguments(
            job.pk,
            args,
            kwargs,
            as_of=form.cleaned_data["as_of"],
            from_start=form.cleaned_data.get("from_start", False),
        )
    except (JobError, TypeError, ValueError) as problem:
        form.add_error(None, str(problem))
        return None
    return told(result, job.pk, _done(form, job))


def _done(form: ArgumentsForm, job: Job) -> str:
    """Return what was done in words, with the names of what was changed, and no value."""
    names = {"names": ", ".join(form.changed)}
    if job.state == State.SCHEDULED:
        given = _("given other arguments (%(names)s)") % names
        return given if form.changed else _("given the same arguments")
    retried = _("retried with changed arguments (%(names)s)") % names
    return retried if form.changed else _("retried with the same arguments")


def _default(parameter: Parameter) -> Any:
    return MISSING if parameter.default is Parameter.empty else parameter.default


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it; one that it cannot hold is not shown, and stays what it is."""
    if isinstance(value, tuple):
        value = list(value)
    is_json = value is None or isinstance(value, (bool, int, float, str, list, dict))
    return value if is_json else MISSING


def _wrong_kind(kind: type) -> str:
    return _("Write a JSON list: […].") if kind is list else _("Write a JSON object: {…}.")
