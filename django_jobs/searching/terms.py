r"""A search as people type it, split into its terms and written again. Pure: text in, text out.

`mail state:failed args.order:991 "two words"`: words, and values behind a qualifier. A value with
a space or a quotation mark in it stands in quotation marks, `\"` is one inside of them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

from django.utils.translation import gettext as _

from django_jobs.display import grouped

MOST_TERMS = 20
LONGEST = 1_000
"""Characters of a search; more is refused."""

_NAME = re.compile(r"(?P<name>[A-Za-z_][\w-]*(?:\.[\w-]+)*):")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PLAIN = re.compile(r'[^\s"]+')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or a value behind a qualifier; `quoted`: it is to be taken as it stands."""

    name: str
    value: str
    quoted: bool = False

    def __str__(self) -> str:
        plain = _PLAIN.fullmatch(self.value) and not (self.quoted or self._misleads)
        text = self.value if plain else '"' + re.sub(r'(["\\])', r"\\\1", self.value) + '"'
        return f"{self.name}:{text}" if self.name else text

    @property
    def _misleads(self) -> bool:
        return not self.name and bool(_NAME.match(self.value))


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a search in their order; `problems`: what could not be read, in words."""

    terms: tuple[Term, ...] = ()
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(str(term) for term in self.terms)

    def named(self, name: str) -> list[Term]:
        """Return the terms behind the qualifier `name`; "": the words."""
        return [term for term in self.terms if term.name == name]

    def having(self, name: str, value: str = "", *, quoted: bool = False) -> Self:
        """Return the terms with one `name:value` in the place of all such; without any for ""."""
        rest = tuple(term for term in self.terms if term.name != name)
        return replace(self, terms=(*rest, Term(name, value, quoted)) if value else rest)

    def hiding_payload(self) -> Self:
        """Return the terms with the values of arguments hidden."""
        shown = (
            replace(term, value="•••") if term.name.lower().startswith("args.") else term
            for term in self.terms
        )
        return replace(self, terms=tuple(shown))


def split(text: str) -> Terms:
    """Return the terms of `text`; never raises, for what cannot be read there are problems."""
    text = text.replace("\0", " ").strip()
    if len(text) > LONGEST:
        too_long = _("The search is longer than %(most)s characters.")
        return Terms(problems=(too_long % {"most": grouped(LONGEST)},))
    terms, problems = [], []
    for found in _scan(text):
        if isinstance(found, Term):
            terms.append(found)
        else:
            problems.append(found)
    if len(terms) > MOST_TERMS:
        problems.append(_("At most %(most)s terms can be searched for.") % {"most": MOST_TERMS})
    return Terms(tuple(terms[:MOST_TERMS]), tuple(problems))


def joined(parts: Iterable[Terms]) -> Terms:
    """Return the terms of all `parts`, each once."""
    known = list(parts)
    terms = dict.fromkeys(term for part in known for term in part.terms)
    return Terms(tuple(terms), tuple(problem for part in known for problem in part.problems))


def _scan(text: str) -> Iterator[Term | str]:
    """Yield each term, and in words what is none."""
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        name = ""
        if start := _NAME.match(text, place):
            name, place = start["name"], start.end()
        if text[place : place + 1] == '"':
            if not (quoted := _QUOTED.match(text, place)):
                yield _("A quotation mark is not closed.")
                return
            yield Term(name, _ESCAPED.sub(r"\1", quoted[1]), quoted=True)
            place = quoted.end()
        elif plain := _PLAIN.match(text, place):
            yield Term(name, plain[0])
            place = plain.end()
        else:
            yield _("Nothing follows “%(name)s:”.") % {"name": name}
