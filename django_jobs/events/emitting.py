"""Sends events when rows are saved or deleted, in the same transaction: no lost event, no false one.

Owns what `emit_on` declares. How a save is watched is in `rows`, how an event is sent in `sending`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import DatabaseError, models
from django.db.models.signals import class_prepared, pre_delete

from django_jobs.events.rows import Told, as_json, find, watch
from django_jobs.events.sending import send_along
from django_jobs.exceptions import InvalidEvent
from django_jobs.registry import nearest
from django_jobs.subscriptions import check_sendable

M = TypeVar("M", bound=models.Model)
Model = type[models.Model]


@dataclass(frozen=True, slots=True)
class Emission:
    """An event that rows of a model give rise to, and when they do."""

    model: Model
    event: str
    created: bool
    changed: frozenset[str]
    deleted: bool
    when: Callable[[Any], bool] | None
    data: Callable[[Any], Mapping[str, Any]] | None

    def send(self, instance: models.Model, using: str, told: dict[str, Any]) -> None:
        """Send the event of `instance`, unless `when` says no; with what is `told`, and `data`."""
        if self.when is not None and not self._ask("when", self.when, instance):
            return
        more = {} if self.data is None else self._ask("data", self.data, instance)
        if not isinstance(more, Mapping):
            raise InvalidEvent(
                f"{self.event}: data= of {self} returned {more!r}. Let it return a dict. "
                "Nothing was saved, and nothing was sent."
            )
        send_along(using, self.event, {**told, **more})

    def _ask(self, word: str, function: Callable[[Any], Any], instance: models.Model) -> Any:
        try:
            return function(instance)
        except DatabaseError:  # a deadlock, say: the caller knows what to do with one
            raise
        except Exception as error:
            hint = "return False for rows that it does not mean" if word == "when" else "not raise"
            raise InvalidEvent(
                f"{self.event}: {word}= of {self} raised {type(error).__name__}: {error}. Let it "
                f"{hint}. Nothing was saved, and nothing was sent."
            ) from error

    def __str__(self) -> str:
        return f"emit_on({self.model.__name__}, …)"


_declared: defaultdict[Model, dict[str, Emission]] = defaultdict(dict)
_watched: set[Model] = set()
_losing: set[Model] = set()
"""Models whose deletions are listened to."""


def emit_on(  # noqa: PLR0913 - the words of one declaration, by name
    model: type[M],
    event: str,
    *,
    created: bool = False,
    changed: str | Iterable[str] = (),
    deleted: bool = False,
    when: Callable[[M], bool] | None = None,
    data: Callable[[M], Mapping[str, Any]] | None = None,
) -> None:
    """Send an event whenever a row of `model` is saved, or deleted, in that very transaction.

    `emit_on(Order, "order/paid", changed="status", when=lambda order: order.status == "paid")`.
    Any of these is enough: `created` (a row is inserted), `changed` (names of fields, one of which
    has another value in the database than before), `deleted`. `when`: a function of the instance
    that says yes or no. `data`: one that returns a dict which JSON holds. The event has
    {"model": "shop.order", "pk": 17, "created": False, "changed": {"status": ["new", "paid"]}} for
    its data, or {"model", "pk", "deleted": True}, and what `data` returns.

    A save is undone when its event cannot be sent. `QuerySet.update()`, `bulk_create()`,
    `bulk_update()`, raw SQL and fixtures send nothing. A model in another database than the jobs
    has no transaction in common with them: its events are sent when its transaction has committed,
    and are lost if that fails. A second declaration of the same model and event replaces the first.
    Raises InvalidEvent for what cannot be meant.
    """
    check_sendable(event)
    _check_model(model, event)
    names = [changed] if isinstance(changed, str) else list(changed)
    for name in names:
        _check_field(model, event, name)
    if not (created or names or deleted):
        raise InvalidEvent(
            f'{event}: emit_on({model.__name__}, …) says not when: add created=True, changed="…" '
            "or deleted=True."
        )
    for word, function in (("when", when), ("data", data)):
        if function is not None and not callable(function):
            raise InvalidEvent(f"{event}: {word} is a function of the instance, got {function!r}.")
    _declared[model][event] = Emission(model, event, created, frozenset(names), deleted, when, data)
    _listen(model, deletions=deleted)


def _listen(model: Model, *, deletions: bool) -> None:
    if model not in _watched:
        _watched.add(model)
        watch(model, _fields, _saved)
    if deletions and model not in _losing:
        _losing.add(model)
        for each in (model, *_proxies(model)):
            pre_delete.connect(_deleted, sender=each)


def _fields(model: Model, updated: frozenset[str] | None) -> frozenset[str] | None:
    """Return the fields whose change matters in a save of these; `None` when nothing matters."""
    emissions = _declared[model].values()
    names = frozenset().union(*(emission.changed for emission in emissions))
    if updated is None:
        return names if names or any(emission.created for emission in emissions) else None
    written = {name for name in names if {name, _attname(model, name)} & updated}
    return frozenset(written) or None


def _saved(model: Model, instance: models.Model, using: str, told: Told) -> None:
    for emission in list(_declared[model].values()):
        changed = {name: told.changed[name] for name in told.changed if name in emission.changed}
        if changed or (told.created and emission.created):
            what = {"created": told.created, "changed": changed}
            emission.send(instance, using, {**_who(model, told.pk), **what})


def _deleted(sender: Model, instance: models.Model, using: str, **_: Any) -> None:
    """Send the events of a row that is about to go; this is called in the transaction."""
    model = sender._meta.concrete_model
    emissions = [each for each in _declared[model].values() if each.deleted] if model else []
    # Of two who delete one row at once the second finds it gone, and Django tells both of it.
    if model and emissions and find(model, using, instance.pk, ["pk"], lock=True):
        for emission in emissions:
            emission.send(instance, using, {**_who(model, instance.pk), "deleted": True})


def _who(model: Model, pk: Any) -> dict[str, Any]:
    return {"model": model._meta.label_lower, "pk": as_json(pk)}


def _proxies(model: Model) -> Iterable[Model]:
    for each in model.__subclasses__():
        if each._meta.proxy:
            yield from (each, *_proxies(each))


def _new_model(sender: Model, **_: Any) -> None:
    """Listen to a proxy that is defined after the declaration, too."""
    if sender._meta.proxy and sender._meta.concrete_model in _losing:
        pre_delete.connect(_deleted, sender=sender)


class_prepared.connect(_new_model)


def _attname(model: Model, name: str) -> str:
    column: Any = model._meta.get_field(name)
    return str(column.attname)


def _check_model(model: Any, event: str) -> None:
    if not isinstance(model, type) or not issubclass(model, models.Model):
        raise InvalidEvent(f"{event}: emit_on takes a model such as Order, got {model!r}.")
    if model._meta.abstract:
        raise InvalidEvent(
            f"{event}: {model.__name__} is abstract and has no rows; declare it for each model "
            "that inherits from it."
        )
    if model._meta.proxy and model._meta.concrete_model:
        raise InvalidEvent(
            f"{event}: {model.__name__} is a proxy; declare it for "
            f"{model._meta.concrete_model.__name__}, whose rows they are."
        )


def _check_field(model: Model, event: str, name: Any) -> None:
    options = model._meta
    names = {field.name for field in options.concrete_fields}
    if name in names:
        return
    where = f'{event}: changed has "{name}"'
    if name in {field.name for field in options.many_to_many}:
        raise InvalidEvent(
            f"{where}, which is many-to-many and no column of {model.__name__}; it changes without "
            "a save."
        )
    if name in {field.attname for field in options.concrete_fields}:
        raise InvalidEvent(f'{where}; say "{name.removesuffix("_id")}", the name of the field.')
    match = nearest(str(name), sorted(names))
    hint = f'Did you mean "{match}"?' if match else f"Known: {', '.join(sorted(names))}."
    raise InvalidEvent(f"{where}, which is no field of {model.__name__}. {hint}")
