"""What the list of jobs is asked for: the search in an address, and addresses of other searches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.translation import gettext as _

from django_jobs import clock
from django_jobs.admin.given import number_in
from django_jobs.admin.rights import may_see_payload
from django_jobs.searching.criteria import Criteria, read
from django_jobs.searching.terms import Term, Terms, joined, split

CHIPS = {
    "state": "state",
    "state__exact": "state",
    "queue": "queue",
    "job": "job",
    "since": "since",
}
"""Parameters of an address that stand for a term; links of other pages have them."""

OWN = (*CHIPS, "to", "before", "after")
"""Parameters that are the list's own, and no look-ups of Django's."""


@dataclass(frozen=True, slots=True)
class JobSearch:
    """A search, from where on it looks, and the place in its pages."""

    terms: Terms
    criteria: Criteria
    to: int | None = None
    before: int | None = None
    after: int | None = None

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        """Return what the address of `request` asks for."""
        given: Any = request.GET
        chips = tuple(_chips(given))
        terms = joined([split(given.get("q", "")), Terms(chips)])
        to, before, after = (number_in(given.get(name, "")) for name in ("to", "before", "after"))
        return replace(cls.reading(request, terms), to=to, before=before, after=after)

    @classmethod
    def reading(cls, request: HttpRequest, terms: Terms) -> Self:
        """Return the search for `terms`, as far as the user may search for them."""
        criteria = read(terms, clock.now())
        if criteria.arguments and not may_see_payload(request):
            problem = _("You may not see arguments, nor search for them.")
            criteria = replace(criteria, problems=(*criteria.problems, problem))
        return cls(terms, criteria)

    def query(self, terms: Terms | None = None, **places: int | None) -> str:
        """Return the query of an address with this search, or with other `terms`."""
        text = str(self.terms if terms is None else terms)
        values = {"q": text, **({"to": self.to} if terms is None else {}), **places}
        return "?" + urlencode({name: value for name, value in values.items() if value})

    def chip(self, name: str, value: str = "") -> str:
        """Return the query with `name:value` in the place of all such terms; "": with none."""
        return self.query(self.terms.having(name, value, quoted="," in value))


def _chips(given: Any) -> Iterator[Term]:
    for parameter, name in CHIPS.items():
        if value := given.get(parameter, "").replace("\0", ""):
            # The names of queues and jobs stand as they are.
            plain = name in {"state", "since"}
            yield Term(name, value.lower() if plain else value, quoted=not plain and "," in value)
