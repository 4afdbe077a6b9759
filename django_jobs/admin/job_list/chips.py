"""What stands above the list of jobs, as plain values for its template: chips, words, notes."""

from typing import Any

from django.utils.translation import gettext as _

from django_jobs import registry
from django_jobs.admin.job_search import JobSearch
from django_jobs.admin.state_marks import WORDS
from django_jobs.conf import get_settings
from django_jobs.display import grouped
from django_jobs.models import Queue
from django_jobs.reports.reading import within_limit
from django_jobs.searching.surveying import WINDOW, Survey
from django_jobs.searching.terms import Term

MOST_CHOICES = 100
SPANS = ("15m", "1h", "24h", "7d")
SHOWN_STATES = ("ready", "running", "scheduled", "waiting", "failed", "successful", "cancelled")

Values = dict[str, Any]


def above(search: JobSearch, survey: Survey | None) -> Values:
    """Return the values; one query, for the queues. `survey`: `None` where it takes too long."""
    alias = get_settings().DATABASE
    queues = Queue.objects.using(alias).values_list("name", flat=True)
    names = within_limit(alias, lambda: list(queues[:MOST_CHOICES])) or []
    jobs = [definition.name for definition in registry.definitions()][:MOST_CHOICES]
    return {
        "text": str(search.terms),
        "problems": search.criteria.problems,
        "states": _states(search, survey) if survey else [],
        "choices": [
            _choice(search, "queue", _("queue"), [(name, name) for name in names]),
            _choice(search, "job", _("job"), [(n, n.rpartition(".")[2]) for n in jobs]),
            _choice(search, "since", _("since"), [(span, span) for span in SPANS]),
        ],
        "suggestions": _suggestions(names, jobs),
        "note": _note(search, survey) if survey else None,
        "slow": survey is None,
        "is_filtered": bool(search.terms.terms or search.terms.problems or search.to),
        "is_new": survey is not None and not survey.newest,
        "help": help_lines(),
    }


def _states(search: JobSearch, survey: Survey) -> list[Values]:
    if search.criteria.problems:
        return []
    counts, chosen = survey.counts, search.criteria.states or frozenset()
    return [
        {
            "shape": WORDS[word][0],
            "label": WORDS[word][1],
            "number": str(counts[word]),
            "chosen": word in chosen,
            "query": search.chip("state", "" if chosen == {word} else word),
        }
        for word in SHOWN_STATES
    ]


def _choice(search: JobSearch, name: str, label: str, values: list[tuple[str, str]]) -> Values:
    chosen = ", ".join(term.value for term in search.terms.named(name))
    links = [
        {"label": shown, "query": search.chip(name, value), "chosen": value == chosen}
        for value, shown in values
    ]
    return {
        "label": label,
        "chosen": chosen,
        "links": links,
        "clear": search.chip(name) if chosen else "",
    }


def _suggestions(queues: list[str], jobs: list[str]) -> list[str]:
    found = [f"state:{word}" for word in WORDS if word != "stopping"]
    terms = [Term("queue", name, quoted="," in name) for name in queues]
    return [*found, *(str(term) for term in (*terms, *(Term("job", name) for name in jobs)))]


def _note(search: JobSearch, survey: Survey) -> Values | None:
    """Return how far was looked, where that is not everywhere."""
    if search.criteria.problems or survey.is_whole:
        return None
    text = _("Searched were the jobs #%(first)s to #%(last)s, %(number)s at a time.")
    values = {"first": survey.low + 1, "last": survey.high, "number": grouped(WINDOW)}
    older = search.query(to=survey.low) if survey.low else ""
    newest = search.query(to=None) if survey.high < survey.newest else ""
    return {"text": text % values, "older": older, "newest": newest}


def help_lines() -> list[tuple[str, str]]:
    """Return each qualifier with what it finds."""
    return [
        ("19, #19, id:19,20", _("jobs by their numbers")),
        ("mail, job:send_mail", _("jobs whose name contains the text")),
        ("state:failed,cancelled", _("jobs in one of these states")),
        ("queue:mail", _("jobs of that queue")),
        ("error:timeout", _("jobs whose newest error has the text in its class or first line")),
        ("fp:1f3a…", _("failed jobs of one kind: the fingerprint of their error")),
        ("about:shop.order:17", _("jobs about that row")),
        ("by:ana", _("jobs enqueued by that user or operator, in such a view or request")),
        ("worker:web-1", _("jobs that run, or ran last, on such a worker")),
        ("args.order:991", _("jobs with that argument; args.order.id:7 looks inside of it")),
        ("since:2h until:30m", _("jobs to which something has happened since, or before")),
        ('"two words"', _("a text with spaces, or one that looks like something else")),
    ]
