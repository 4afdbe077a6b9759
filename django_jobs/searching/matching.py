"""Criteria as conditions of a query. Conditions only: how far is looked says `surveying`."""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import reduce
from operator import add
from typing import Any

from django.db import connections
from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Coalesce, StrIndex

from django_jobs import registry
from django_jobs.models import Claim, Job, JobRun
from django_jobs.searching.criteria import RETRYING, Argument, Criteria
from django_jobs.states import State

MOST_CLAIMS = 1_000
WALKED = "its_state"
PLAIN = re.compile(r"[\w .:@+-]+")
"""Texts that stand in JSON as they are."""


Jobs = QuerySet[Job]


Held = Mapping[str, Collection[int]]


def matching(
    jobs: Jobs, criteria: Criteria, held: Held | None = None, *, walks: bool = False
) -> Jobs:
    """Return those of `jobs` that fit; `held`, if it is known: what `held_by_worker` returns.

    `walks`: the caller walks a window of numbers. No index of a state is to be used then: its rows
    lie anywhere, and PostgreSQL would rather read all of them than that window.
    """
    if criteria.problems:
        return jobs.none()
    column = WALKED if walks else "state"
    jobs = jobs.alias(**{WALKED: Coalesce(F("state"), Value(""))}) if walks else jobs
    jobs = jobs.filter(*_conditions(criteria, column))
    if criteria.since or criteria.until:
        jobs = _within(jobs, criteria)
    if criteria.errors:
        jobs = _with_errors(jobs, criteria.errors)
    if criteria.workers:
        held = held_by_worker(jobs.db) if held is None else held
        jobs = _of_workers(jobs, criteria.workers, held)
    for number, argument in enumerate(criteria.arguments):
        jobs = _having(jobs, argument, f"argument_{number}")
    return jobs


def held_by_worker(alias: str) -> dict[str, list[int]]:
    """Return the jobs in the hands of each worker: no index has those that run."""
    held: dict[str, list[int]] = defaultdict(list)
    claims = Claim.objects.using(alias).order_by("pk").values_list("worker", "job_ids")
    for worker, job_ids in claims[:MOST_CLAIMS]:
        held[worker] += job_ids
    return dict(held)


def _conditions(criteria: Criteria, column: str) -> Iterator[Q]:
    if criteria.ids is not None:
        yield Q(pk__in=criteria.ids)
    if criteria.states is not None:
        yield _in_states(criteria.states, column)
    if criteria.queues is not None:
        yield Q(queue__in=criteria.queues)
    if criteria.fingerprints is not None:
        # Only those that failed have an index of their fingerprints.
        yield Q((column, State.FAILED), fingerprint__in=criteria.fingerprints)
    if criteria.abouts is not None:
        yield Q(about__in=criteria.abouts)
    for names in criteria.jobs:
        yield _any(Q(name__contains=name) for name in names)
    for origin in criteria.origins:
        yield Q(enqueued_by__icontains=origin)


def _in_states(words: Collection[str], column: str) -> Q:
    if len(words) == 1 and RETRYING not in words:
        return Q((column, next(iter(words)).upper()))  # as the indexes have it
    plain = Q((f"{column}__in", [word.upper() for word in words if word != RETRYING]))
    # As `states.label` has it: the same column holds those that never began.
    began = Q(attempt__gt=0) | Q(waiting_for__isnull=False)
    retrying = Q((column, State.SCHEDULED)) & began
    return plain | retrying if RETRYING in words else plain


def _within(jobs: Jobs, criteria: Criteria) -> Jobs:
    """Return the jobs to which something has happened then: what the list shows as its time."""
    jobs = jobs.alias(changed_at=Coalesce("finished_at", "started_at", "enqueued_at"))
    if criteria.since:
        jobs = jobs.filter(changed_at__gte=criteria.since)
    return jobs.filter(changed_at__lt=criteria.until) if criteria.until else jobs


def _newest_run(column: str) -> Subquery:
    # One row each: a join could read all the runs that there are.
    runs = JobRun.objects.filter(job=OuterRef("pk")).order_by("-id")
    return Subquery(runs.values(column)[:1])


def _with_errors(jobs: Jobs, texts: Iterable[str]) -> Jobs:
    # Those without a fingerprint have not failed: their runs need not be read.
    jobs = jobs.exclude(fingerprint="")
    jobs = jobs.alias(its_error_type=_newest_run("error_type"), its_error=_newest_run("error"))
    for text in texts:
        jobs = jobs.filter(Q(its_error_type__icontains=text) | Q(its_error__icontains=text))
    return jobs


def _of_workers(jobs: Jobs, names: Iterable[str], held: Held) -> Jobs:
    jobs = jobs.filter(attempt__gt=0).alias(its_worker=_newest_run("worker"))
    for name in names:
        ids = [job_id for worker, job_ids in held.items() if name in worker for job_id in job_ids]
        running = Q(state=State.RUNNING, pk__in=ids)
        jobs = jobs.filter(running | Q(its_worker__contains=name))
    return jobs


def _having(jobs: Jobs, argument: Argument, alias: str) -> Jobs:
    """Return the jobs whose call has the argument, by name or by place.

    Only of jobs that are declared here, and do not call it a secret: of others nobody knows.
    """
    by_name: list[str] = []
    by_place: dict[int, list[str]] = defaultdict(list)
    name = argument.path[0]
    for definition in registry.definitions():
        parameters, names = definition.parameters, (definition.name, *definition.aliases)
        if not parameters.names_for(name).isdisjoint(definition.sensitive):
            continue
        if parameters.accepts(name):
            by_name += names
        if name in parameters.positional:
            by_place[parameters.positional.index(name)] += names
    if connections[jobs.db].features.supports_json_field_contains:
        by_key = (Q(kwargs__contains=_nested(argument.path, value)) for value in argument.values)
    else:
        jobs = _that_may_have(jobs, argument)
        jobs = jobs.alias(**{alias: _at("kwargs", argument.path)})
        by_key = (Q(**{alias: value}) for value in argument.values)
    found = Q(name__in=by_name) & _any(by_key)
    for place, called in by_place.items():
        placed = f"{alias}_{place}"
        jobs = jobs.alias(**{placed: _at("args", (place, *argument.path[1:]))})
        found |= Q(name__in=called) & _any(Q(**{placed: value}) for value in argument.values)
    return jobs.filter(found)


def _that_may_have(jobs: Jobs, argument: Argument) -> Jobs:
    """Return the jobs in whose call the value stands: a text is looked through, JSON is parsed.

    A value that JSON may write in several ways says nothing.
    """
    texts = {value if isinstance(value, str) else json.dumps(value) for value in argument.values}
    is_float = any(isinstance(value, float) for value in argument.values)
    if is_float or not all(text.isascii() and PLAIN.fullmatch(text) for text in texts):
        return jobs
    places = [StrIndex(F(column), Value(text)) for column in ("args", "kwargs") for text in texts]
    return jobs.alias(its_places=reduce(add, places)).filter(its_places__gt=0)


def _nested(path: tuple[str, ...], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _at(column: str, path: tuple[str | int, ...]) -> Any:
    expression: Any = F(column)
    for key in path:
        expression = KeyTransform(key, expression)
    return expression


def _any(conditions: Iterable[Q]) -> Q:
    found = Q(pk__in=())
    for condition in conditions:
        found |= condition
    return found
