"""What a search means: its terms, checked and read into values. Pure: no database, no clock.

What a term cannot mean becomes a problem in words; a search with a problem finds nothing.
"""

import json
import math
import re
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import is_naive, make_aware
from django.utils.translation import gettext as _

from django_jobs.masking import SECRET_NAME
from django_jobs.registry import nearest
from django_jobs.searching.terms import Term, Terms
from django_jobs.serializers import is_storable
from django_jobs.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

BIGGEST_ID = 2**63 - 1
MOST_VALUES = 500
FINGERPRINT = re.compile(r"[0-9a-f]{16}")
RETRYING = "retrying"
WORDS = (*(state.value.lower() for state in State), RETRYING)
"""What may stand behind `state:`."""

ARGS = "args."
QUALIFIERS = (
    *("id", "job", "queue", "state", "error", "fp", "about", "by", "worker"),
    *("args.…", "since", "until"),
)
FORMER = {"task": "job", "name": "job"}
"""Other words for a qualifier."""

SPAN = re.compile(r"(\d{1,6})(s|m|min|h|d|w)")
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Argument:
    """What an argument must be: `values` are the readings of what was typed, any of them fits."""

    path: tuple[str, ...]
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What jobs a search wants: all of it must fit; of the values of one term any.

    `states` are words, `retrying` among them. `None`: anything. `problems`, in words: nothing is
    found then.
    """

    ids: frozenset[int] | None = None
    states: frozenset[str] | None = None
    queues: frozenset[str] | None = None
    fingerprints: frozenset[str] | None = None
    abouts: frozenset[str] | None = None
    jobs: tuple[tuple[str, ...], ...] = ()
    errors: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    problems: tuple[str, ...] = ()

    @property
    def stored_states(self) -> frozenset[State] | None:
        """The states in which jobs may be that fit."""
        if self.states is None:
            return None
        return frozenset(
            State.SCHEDULED if word == RETRYING else State(word.upper()) for word in self.states
        )

    @property
    def only_states(self) -> bool:
        """Whether nothing is asked for but states."""
        wanted = (self.ids, self.queues, self.fingerprints, self.abouts, self.since, self.until)
        return all(value is None for value in wanted) and not (
            self.jobs or self.errors or self.origins or self.workers or self.arguments
        )

    @property
    def is_empty(self) -> bool:
        """Whether every job fits."""
        return self.states is None and self.only_states


def read(terms: Terms, now: datetime) -> Criteria:
    """Return what `terms` mean at `now`."""
    reader = _Reader(now)
    for term in terms.terms:
        reader.read(term)
    return reader.criteria(terms.problems)


def pinned(terms: Terms, now: datetime) -> Terms:
    """Return `terms` with the days and times in them written so that they mean one instant anywhere.

    Whoever reads them later may be in another time zone than the one who has typed them.
    """

    def with_zone(term: Term) -> Term:
        is_time = term.name.lower() in {"since", "until"} and not SPAN.fullmatch(term.value.lower())
        instant = _instant(term.value, now) if is_time else None
        return term if instant is None else replace(term, value=instant.isoformat())

    return replace(terms, terms=tuple(with_zone(term) for term in terms.terms))


class _Reader:
    """Collects the values of one search."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._problems: list[str] = []
        self._sets: dict[str, frozenset[Any]] = {}
        self._lists: dict[str, list[Any]] = {}
        self._limits: dict[str, datetime] = {}
        self._readers: dict[str, Callable[[Term], None]] = {
            "": self._word,
            "id": self._ids,
            "job": partial(self._append, "jobs"),
            "queue": partial(self._narrow, "queues"),
            "state": self._states,
            "error": partial(self._append_one, "errors"),
            "fp": partial(self._narrow, "fingerprints"),
            "about": self._about,
            "by": partial(self._append_one, "origins"),
            "worker": partial(self._append_one, "workers"),
            "since": self._limit,
            "until": self._limit,
        }

    def criteria(self, problems: tuple[str, ...]) -> Criteria:
        found: dict[str, Any] = {**self._sets, **self._limits}
        found |= {name: tuple(values) for name, values in self._lists.items()}
        return Criteria(**found, problems=(*problems, *self._problems))

    def read(self, term: Term) -> None:
        name = term.name.lower()
        if name.startswith(ARGS):
            self._argument(term)
        elif reader := self._readers.get(FORMER.get(name, name)):
            # The failures without an error on record have "" for their fingerprint.
            if not term.value and name not in {"", "fp"}:
                self._problem(_("Nothing follows “%(name)s:”."), name=term.name)
            else:
                reader(term)
        else:
            self._unknown(term)

    def _unknown(self, term: Term) -> None:
        known = [name.rstrip(".…") for name in QUALIFIERS]
        match = nearest(term.name, known)
        text = _("There is no “%(name)s:”.")
        if term.name == "args" or match == "args":
            text += " " + _("Arguments are searched as in args.order:991.")
        elif match:
            text += " " + _("Did you mean “%(match)s:”?")
        text += " " + _("To search for the text itself, put it in quotation marks.")
        self._problem(text, name=term.name, match=match or "")

    def _word(self, term: Term) -> None:
        text = term.value
        if not term.quoted and (number := _number(text.removeprefix("#"))) is not None:
            self._intersect("ids", frozenset({number}))
        elif FINGERPRINT.fullmatch(text):
            self._intersect("fingerprints", frozenset({text}))
        elif text:
            self._lists.setdefault("jobs", []).append((text,))

    def _ids(self, term: Term) -> None:
        numbers = [_number(text.removeprefix("#")) for text in _values(term)]
        if None in numbers or len(numbers) > MOST_VALUES:
            self._problem(_("“%(value)s” is no number of a job."), value=term.value[:80])
        else:
            self._intersect("ids", frozenset(numbers))

    def _states(self, term: Term) -> None:
        words = frozenset(text.lower() for text in _values(term))
        for word in sorted(words.difference(WORDS)):
            match = nearest(word, list(WORDS))
            hint = " " + _("Did you mean “%(match)s”?") if match else ""
            text = _("There is no state “%(word)s”; there are %(known)s.") + hint
            self._problem(text, word=word, known=", ".join(WORDS), match=match or "")
        self._intersect("states", words.intersection(WORDS))

    def _narrow(self, name: str, term: Term) -> None:
        self._intersect(name, frozenset([term.value] if term.quoted else _values(term)))

    def _about(self, term: Term) -> None:
        label, colon, key = term.value.partition(":")
        self._intersect("abouts", frozenset({f"{label.lower()}{colon}{key}"}))

    def _append(self, name: str, term: Term) -> None:
        values = (term.value,) if term.quoted else tuple(_values(term))
        self._lists.setdefault(name, []).append(values)

    def _append_one(self, name: str, term: Term) -> None:
        self._lists.setdefault(name, []).append(term.value)

    def _intersect(self, name: str, values: frozenset[Any]) -> None:
        self._sets[name] = self._sets.get(name, values) & values

    def _limit(self, term: Term) -> None:
        name = term.name.lower()
        instant = _instant(term.value, self._now)
        if instant is None:
            text = _("“%(value)s” is no time. Write 2h, 30m, 7d, or 2030-01-15T12:00.")
            self._problem(text, value=term.value)
            return
        nearer = max if name == "since" else min
        self._limits[name] = nearer(self._limits.get(name, instant), instant)

    def _argument(self, term: Term) -> None:
        path = tuple(term.name[len(ARGS) :].split("."))
        if any(SECRET_NAME.search(key) for key in path):
            text = _("“%(name)s” reads like a secret: nobody can search for its value.")
            self._problem(text, name=term.name)
            return
        found = Argument(path, _readings(term))
        self._lists.setdefault("arguments", []).append(found)

    def _problem(self, text: str, **values: str) -> None:
        self._problems.append(text % values)


def _values(term: Term) -> list[str]:
    return [part for part in term.value.split(",") if part] or [term.value]


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(BIGGEST_ID))):
        return None
    return number if (number := int(text)) <= BIGGEST_ID else None


def _readings(term: Term) -> tuple[Any, ...]:
    """Return what an argument may be that was typed like this: 991 is a number, or a text."""
    if term.quoted:
        return (term.value,)
    try:
        value = json.loads(term.value)
    except (ValueError, RecursionError):
        return (term.value,)
    # A whole object could be asked for with the secret in it.
    simple = value is None or isinstance(value, (bool, int))
    if simple or (isinstance(value, float) and math.isfinite(value)):
        return (value, term.value)
    return (term.value,)


def _instant(text: str, now: datetime) -> datetime | None:
    found: datetime | None
    try:
        if span := SPAN.fullmatch(text.lower()):
            found = now - timedelta(seconds=int(span[1]) * SECONDS[span[2]])
        else:
            found = parse_datetime(text)
        if found is None and (day := parse_date(text)):
            found = datetime.combine(day, time())
    except (ValueError, OverflowError):  # well formed, but there is no such day
        return None
    if found is None or not is_storable(found):
        return None
    return make_aware(found) if is_naive(found) else found
