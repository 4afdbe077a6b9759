"""Watches saves: what a row was, what became of it, all in one transaction with the save.

`post_save` would not do: outside of a transaction of the caller's it is sent after the commit. So a
watched model gets a `save_base` of ours, which every save of an instance goes through, and a
`_save_table`, which writes one table and says whether it updated a row. Knows nothing of events.
"""

import json
import math
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Self

from django.db import connections, models, router

from django_jobs.engines import get_engine
from django_jobs.serializers import clean_text

Model = type[models.Model]
Row = tuple[Any, ...]
LONGEST = 500
"""Characters of a value that are told; a change of a long text shall not be too big to be sent."""


@dataclass(slots=True)
class Told:
    """What a save has done: the row's key, whether it is new, {field: [old value, new value]}."""

    pk: Any
    created: bool
    changed: dict[str, list[Any]] = field(default_factory=dict)


Fields = Callable[[Model, frozenset[str] | None], frozenset[str] | None]
Tell = Callable[[Model, models.Model, str, Told], None]


def watch(model: Model, fields: Fields, tell: Tell) -> None:
    """Have `tell` called after each save of an instance of `model`, still in its transaction.

    `fields` says which fields are compared in a save of all fields, or of these, and `None` when
    that save is of no interest. Whatever `tell` raises undoes the save. Fixtures are not watched.
    """
    ours = {"save_base": _watched(model, fields, tell), "_save_table": _noted(model)}
    for name, function in ours.items():
        setattr(model, name, function)


def _watched(model: Model, fields: Fields, tell: Tell) -> Callable[..., None]:
    save_base = _own(model, "save_base")

    @wraps(model.save_base)
    def saved(
        self: models.Model,
        raw: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        force_insert: Any = False,  # noqa: FBT002
        force_update: bool = False,  # noqa: FBT001, FBT002
        using: str | None = None,
        update_fields: Any = None,
    ) -> None:
        updated = None if update_fields is None else frozenset(update_fields)
        compared = None if raw else fields(model, updated)
        using = using or router.db_for_write(type(self), instance=self)
        arguments = (raw, force_insert, force_update, using, update_fields)
        if compared is None:
            save_base(self, *arguments)
            return
        # A write transaction from its start: on SQLite one that reads first may have to give up.
        with get_engine(using).undoable(), _Save(model, self, using, compared) as save:
            save_base(self, *arguments)
            if save.told is not None:
                tell(model, self, using, save.told)

    return saved


def _noted(model: Model) -> Callable[..., bool]:
    name = "_save_table"
    save_table = _own(model, name)

    @wraps(getattr(model, name))
    def written(
        self: models.Model,
        raw: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        cls: Any = None,
        *rest: Any,
        **named: Any,
    ) -> bool:
        save = _Save.of(self, model)
        if save is None:
            return bool(save_table(self, raw, cls, *rest, **named))
        save.look()
        updated = bool(save_table(self, raw, cls, *rest, **named))
        if cls is model:
            save.note(created=not updated)
        return updated

    return written


def find(
    model: Model, using: str, pk: Any, names: Collection[str], *, lock: bool = False
) -> Row | None:
    """Return these columns of a row, `None` when there is none; locked where the database can."""
    rows = model._base_manager.using(using).filter(pk=pk)
    if lock:
        weak = connections[using].features.has_select_for_no_key_update
        rows = rows.select_for_update(no_key=weak)
    return rows.values_list(*names).first()


def as_json(value: Any) -> Any:
    """Return `value` as an event's data tells it: what JSON has no word for as text, long texts cut."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, (list, tuple, dict)):
        text = json.dumps(value, default=str)
        return json.loads(text) if len(text) <= LONGEST else _cut(text)
    return _cut(clean_text(value.isoformat() if hasattr(value, "isoformat") else str(value)))


class _Save(AbstractContextManager["_Save"]):
    """One save that is under way; inside it others may be, of the same instance even."""

    def __init__(
        self, model: Model, instance: models.Model, using: str, compared: frozenset[str]
    ) -> None:
        self.model, self.instance, self.using = model, instance, using
        self.compared = sorted(compared)
        self.told: Told | None = None
        self._before: Row | None = None
        self._looked = False
        self.outer: _Save | None = None
        self._token: Token[_Save | None] | None = None

    def __enter__(self) -> Self:
        self.outer = _current.get()
        self._token = _current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        _current.reset(self._token)

    @staticmethod
    def of(instance: models.Model, model: Model) -> "_Save | None":
        """Return the innermost save of `instance` as a `model`."""
        save = _current.get()
        while save is not None and (save.instance is not instance or save.model is not model):
            save = save.outer
        return save

    @property
    def pk(self) -> Any:
        """The row's key in the model's own table: a child's may be another one."""
        meta = self.model._meta
        return getattr(self.instance, meta.pk.attname if meta.pk else "pk")

    def look(self) -> None:
        """Read what the row is now, once, before the first of its tables is written."""
        key = self.pk
        is_set = None not in key if isinstance(key, tuple) else key is not None
        if not self._looked and self.compared and is_set:
            self._before = find(self.model, self.using, key, self.compared, lock=True)
        self._looked = True

    def note(self, *, created: bool) -> None:
        """Note what the save has done; whether a value is another one is for the database to say.

        The instance may hold an expression, or a number as text.
        """
        self.told = Told(self.pk, created)
        before = self._before
        if created or before is None or not self._seems_changed(before):
            return
        after = find(self.model, self.using, self.pk, self.compared) or before
        self.told.changed = {
            name: [as_json(old), as_json(new)]
            for name, old, new in zip(self.compared, before, after, strict=True)
            if old != new
        }

    def _seems_changed(self, before: Row) -> bool:
        columns: list[Any] = [self.model._meta.get_field(name) for name in self.compared]
        return any(
            column.generated or self.instance.__dict__.get(column.attname) != old
            for column, old in zip(columns, before, strict=True)
        )


_current: ContextVar[_Save | None] = ContextVar("django_jobs_save", default=None)


def _own(model: Model, name: str) -> Callable[..., Any]:
    """Return `name` of `model` as a function of the instance: its own, or what it inherits then."""
    own = vars(model).get(name)
    if own is not None:
        return own  # type: ignore[no-any-return]

    def inherited(instance: models.Model, *arguments: Any, **named: Any) -> Any:
        return getattr(super(model, instance), name)(*arguments, **named)

    return inherited


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
