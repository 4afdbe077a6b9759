"""What an operation on all jobs that fit would mean: which ones, how many, as of when."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from django_jobs import clock, operations
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.models import Job
from django_jobs.operations import OperationResult
from django_jobs.reports.overview import Amount
from django_jobs.searching.criteria import RETRYING, Criteria, pinned, read
from django_jobs.searching.matching import Jobs
from django_jobs.searching.surveying import CAP, Survey
from django_jobs.searching.terms import Terms
from django_jobs.states import FINAL, LIVE, State

AT_ONCE = 500
"""So many jobs are dealt with in the request; more are left to the workers."""

SAMPLE = 5


@dataclass(frozen=True, slots=True)
class Verb:
    """What can be done: to jobs in which states, and to which of them where none is named."""

    do: Callable[[Iterable[int]], OperationResult]
    possible: frozenset[State]
    usual: frozenset[State]


VERBS = {
    "retry": Verb(operations.retry, FINAL, frozenset({State.FAILED})),
    "cancel": Verb(operations.cancel, LIVE, LIVE),
    "delete": Verb(operations.delete, FINAL, FINAL),
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be done to the jobs that fit `search`, with numbers above `low` up to `high`.

    `whole`: nothing outside of these numbers fits. `sample`: the newest of them.
    """

    verb: str
    search: str
    as_of: datetime
    low: int
    high: int
    count: Amount
    whole: bool
    sample: tuple[Job, ...] = ()
    problems: tuple[str, ...] = ()


def propose(verb: str, terms: Terms, jobs: Jobs, to: int | None = None) -> Proposal:
    """Return what `verb` would mean to those of `jobs` that fit `terms`.

    `to`: the newest number that the search looks at, as in `Survey`.
    """
    alias = get_settings().DATABASE
    as_of = get_engine(alias).at(clock.now_or_none())
    terms = pinned(_narrowed(verb, terms, read(terms, as_of)), as_of)
    criteria = read(terms, as_of)
    survey = Survey(alias, criteria, to)
    everywhere = survey.is_whole or (survey.is_indexed and to is None)
    low, high = (0, survey.newest) if everywhere else (survey.low, survey.high)
    rows = survey.rows(meant(verb, jobs, as_of))
    if criteria.problems:
        count = Amount(0)
    elif everywhere and not survey.is_whole:
        count = Amount(CAP, capped=True)  # more than the index was counted for
    else:
        number = rows.values("pk")[: CAP + 1].count()
        count = Amount(min(number, CAP), number > CAP)
    sample = survey.page(rows, SAMPLE).jobs
    problems = criteria.problems
    return Proposal(verb, str(terms), as_of, low, high, count, everywhere, sample, problems)


def meant(verb: str, jobs: Jobs, as_of: datetime) -> Jobs:
    """Return those of `jobs` that `verb` is about: not what has ended, or begun anew, since."""
    final = VERBS[verb].possible == FINAL
    return jobs.filter(finished_at__lte=as_of) if final else jobs


def _narrowed(verb: str, terms: Terms, criteria: Criteria) -> Terms:
    """Return the terms with the states to which the verb can be done."""
    found = VERBS[verb]
    if criteria.states is None:
        words = {state.value.lower() for state in found.usual}
    else:
        words = {word for word in criteria.states if _stored(word) in found.possible}
    if not words:  # it can be done to none of these, and 0 is no job
        return terms.having("id", "0")
    return terms.having("state", ",".join(sorted(words)))


def _stored(word: str) -> State:
    return State.SCHEDULED if word == RETRYING else State(word.upper())
