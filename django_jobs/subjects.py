"""The row of the project that a job is about: how the job names it, and how it is found again.

The name is text, "shop.order:17": the model's label and the primary key. It is no foreign key, for
the row may be in another database than the job, its key may be of any type, and it may go.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Model

from django_jobs.serializers import clean_text
from django_jobs.subscriptions import look_up

LONGEST = 255


@dataclass(frozen=True, slots=True)
class KeyIn:
    """Says in which argument of a job the key of its row is: `{"shop.Order": "order_id"}`."""

    model: str
    path: str

    @classmethod
    def of(cls, declared: Mapping[Any, Any]) -> "KeyIn":
        """Return what `about=` declares; raises TypeError."""
        pairs = list(declared.items())
        if len(pairs) == 1:
            model, path = pairs[0]
            if isinstance(model, type) and issubclass(model, Model):
                model = model._meta.label
            if isinstance(model, str) and model.count(".") == 1 and path and isinstance(path, str):
                return cls(model, path)
        raise TypeError(
            'about takes one model and the argument that is its key, {"shop.Order": "order_id"}, '
            f"got {declared!r}."
        )

    @property
    def has_model(self) -> bool:
        """Whether there is a model of that name."""
        try:
            return bool(apps.get_model(self.model))
        except LookupError:
            return False

    def name_in(self, arguments: Mapping[str, Any]) -> str | None:
        """Return the name of the row whose key is there, `None` where it is `None` or missing.

        Raises ValueError for what cannot be a key, LookupError when there is no such model.
        """
        key, _ = look_up(arguments, self.path)
        return None if key is None else _name(apps.get_model(self.model), key)


def name_of(row: Any) -> str:
    """Return the name of a saved row; raises TypeError and ValueError for anything else."""
    if not isinstance(row, Model):
        raise TypeError(f"a job is about a row of a model, such as an order, got {row!r}.")
    keys = row.pk if isinstance(row.pk, tuple) else (row.pk,)
    if None in keys or row._state.adding:  # noqa: SLF001 - Django documents it, in spite of its name
        raise ValueError(
            f"a job is about a row that is in the database, and this {row._meta.label} is not: save "
            "it first."
        )
    return _name(type(row), row.pk)


def row_called(name: str) -> Model | None:
    """Return the row of that name, from where the project's routers read it; `None`: it is gone."""
    label, _, key = name.partition(":")
    try:
        model = apps.get_model(label)
        value = _key_of(model).to_python(key)
    except (LookupError, ValueError, ValidationError):  # of a release that is no more
        return None
    found: Model | None = model._base_manager.filter(pk=value).first()
    return found


def _name(model: type[Model], key: Any) -> str:
    label = (model._meta.concrete_model or model)._meta.label_lower  # a proxy has the same rows
    try:
        value = _key_of(model).to_python(key)
    except ValidationError:
        raise ValueError(f"{key!r} is no key of {model._meta.label}.") from None
    if isinstance(value, (list, tuple)):
        value = json.dumps([str(part) for part in value], ensure_ascii=False)
    name = f"{label}:{value}"
    if len(name) > LONGEST or clean_text(name) != name:
        raise ValueError(
            f"a job names the row it is about in at most {LONGEST} characters, without NUL and lone "
            f"surrogates, got {name!r}."
        )
    return name


def _key_of(model: type[Model]) -> Any:
    return model._meta.pk
