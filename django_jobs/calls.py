"""What an operator may do to the call of a job: give it other arguments, or enqueue it anew.

The sister of `operations`: it may join the caller's transaction, and of two who want the same
thing the second hears that it is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from django_jobs import clock, enqueueing, operations, registry
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.calls import NewCall
from django_jobs.models import Job
from django_jobs.operations import KEY_TAKEN, NOT_FOUND, OperationResult
from django_jobs.origins import by_hand
from django_jobs.states import State
from django_jobs.subjects import KeyIn
from django_jobs.subscriptions import Event

CHANGEABLE = frozenset({State.FAILED, State.CANCELLED, State.SCHEDULED})
"""Whose arguments may be changed. What was successful has done its work with those it has, and
what is ready, runs or waits may use them at any moment."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What came of enqueueing a call anew: the new job, or why not, and which job is in the way."""

    job_id: int | None
    refused: str = ""


def change_arguments(
    job_id: int,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    as_of: datetime,
    from_start: bool = False,
) -> OperationResult:
    """Give a job other arguments and retry it; a scheduled one runs with them when it is due.

    For jobs that failed, were cancelled or are scheduled. `as_of`: its `finished_at`, or else
    `run_at`, as the caller has seen it; what has been touched since is refused. The arguments it
    was enqueued with stay on record. Raises as `enqueue` does for those it would not take.
    """
    alias = get_settings().DATABASE
    job = Job.objects.using(alias).filter(pk=job_id).first()
    if job is None:
        return OperationResult(refused={job_id: str(NOT_FOUND)})
    definition = registry.get(job.name)
    new = enqueueing.new_job(definition, *_with_event(definition, args, kwargs))
    engine = get_engine(alias)
    with engine.undoable():
        call = NewCall(new.args, new.kwargs, _about(definition, job, new.about))
        state = engine.change_call(job_id, call, as_of, CHANGEABLE)
        if state is None:
            return OperationResult(refused={job_id: _touched(alias, job_id)})
        if state is State.SCHEDULED:
            engine.let_cancel_anew({job_id: new.cancels}, clock.now_or_none())
            return OperationResult(done=frozenset({job_id}))
        result = operations.retry([job_id], from_start=from_start)
        if result.refused:
            transaction.set_rollback(True, using=alias)
    return result


def duplicate(job_id: int, *, by: str = "", seen: int | None = None) -> Copy:
    """Enqueue the call of a job anew, with its queue, priority, attempts, unique key and row.

    `by`, who wants it, is for people to read; who enqueued the first job did not enqueue this one.
    `seen`: the newest job that repeats it, as the caller knows (0: none); where there is a newer
    one, nothing is enqueued, so that of two who press a button one does it. Raises as `enqueue`
    does for a call that the function does not take any more, and JobNotFound.
    """
    alias = get_settings().DATABASE
    engine = get_engine(alias)
    with engine.undoable():
        call = engine.hold_call(job_id)
        if call is None:
            return Copy(None, str(NOT_FOUND))
        if seen is not None and (call.copied_as or 0) != seen:
            text = _("it was enqueued anew as #%(id)d meanwhile") % {"id": call.copied_as}
            return Copy(call.copied_as, text)
        definition = registry.get(call.name).using(
            queue=call.queue,
            priority=call.priority,
            max_attempts=call.max_attempts,
            unique_key=call.unique_key,
        )
        definition.about = call.about  # whatever the arguments say by now
        definition.enqueued_by = by_hand(by)
        arguments = _with_event(definition, tuple(call.args), call.kwargs)
        [handle] = enqueueing.insert(engine, [enqueueing.new_job(definition, *arguments)])
        if not handle.created or handle.id is None:
            return Copy(handle.id, str(KEY_TAKEN))
        engine.note_copy(job_id, handle.id)
    return Copy(handle.id)


def _about(definition: Any, job: Job, about: str | None) -> str | None:
    """Return what a job is about with other arguments: what these say, unless `using` has said."""
    if not isinstance(definition.about, KeyIn):
        return job.about
    try:
        said = enqueueing.subject(definition, tuple(job.args), job.kwargs)
    except (LookupError, TypeError, ValueError):  # arguments that the function does not take
        return job.about or about
    return about if job.about == said else job.about


def _touched(alias: str, job_id: int) -> str:
    job = Job.objects.using(alias).filter(pk=job_id).first()
    if job is None:
        return str(NOT_FOUND)
    text = _("it is %(state)s, and was touched since it was looked at; look again")
    return text % {"state": _(job.label)}


def _with_event(
    definition: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Return stored arguments as `enqueue` takes them: the event of a listening job as an Event."""
    if not definition.wants_event:
        return args, kwargs
    name = definition.parameters.positional[0]
    if args and _is_event(args[0]):
        return (Event.from_json(args[0]), *args[1:]), kwargs
    if _is_event(kwargs.get(name)):
        return args, {**kwargs, name: Event.from_json(kwargs[name])}
    return args, kwargs


def _is_event(value: Any) -> bool:
    return isinstance(value, Mapping) and "name" in value
