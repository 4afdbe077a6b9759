"""The history: how much, how well, how fast, over an hour to a month, by queue and by job."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_jobs import clock
from django_jobs.admin.charts import about, count, percent
from django_jobs.admin.history.charts import charts
from django_jobs.admin.refreshing import live
from django_jobs.admin.screens import Screen
from django_jobs.conf import get_settings
from django_jobs.display import duration
from django_jobs.models import Job
from django_jobs.reports.history import RANGES, Part, Point, Range, by_name, parts, points, releases
from django_jobs.serializers import clean_text
from django_jobs.tallies import Figures, quantile

USUAL = "4h"
INTERVAL = "60"
"""Seconds between two refreshes: no figure is younger than a minute."""

LONGEST_LIVE = 4 * 60
"""Minutes; what is longer ago does not change while one looks."""

SHOWN = 20
CELLS = ("succeeded", "failed", "retried", "cancelled", "put_off")
TIMES = ("wait_p50", "wait_p95", "run_p50", "run_p95")

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """What is looked at: a span of time, and one queue or one job, or all of them."""

    span: Range
    queue: str = ""
    job: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> "Choice":
        """Return what the address asks for; an unknown span is the usual one."""
        asked = request.GET
        span = RANGES.get(asked.get("range", ""), RANGES[USUAL])
        queue, job = (clean_text(asked.get(name, "")) for name in ("queue", "job"))
        return cls(span, queue[:64], job[:255])

    def query(self, **other: str) -> str:
        """Return the query of the address of this choice, or of one that differs in `other`."""
        values = {"range": self.span.name, "queue": self.queue, "job": self.job, **other}
        return urlencode({name: value for name, value in values.items() if value})


class History(Screen):
    """The history of one admin site."""

    @method_decorator(require_safe)
    def page(self, request: HttpRequest) -> HttpResponse:
        """Show the charts and what took longest."""
        self.rights(request, Job)
        choice = Choice.of(request)
        values = {**self._values(choice), "parents": [(_("Jobs"), self.home)]}
        if choice.span.length <= LONGEST_LIVE:
            again = f"{self.address('admin:django_jobs_history_live')}?{choice.query()}"
            if fresh := live(again):
                values["live"] = {**fresh, "interval": INTERVAL}
        template = "admin/django_jobs/history.html"
        return self.show(request, template, values, title=pgettext("figures", "History"))

    @method_decorator(login_not_required)
    @method_decorator(never_cache)
    @method_decorator(require_safe)
    def live(self, request: HttpRequest) -> HttpResponse:
        """Return the regions anew."""
        choice = Choice.of(request)
        if not self.site.has_permission(request):
            return self.to_login(f"{self._home}?{choice.query()}")
        self.rights(request, Job)
        values = self._values(choice)
        return self.refresh(request, "admin/django_jobs/history/live.html", values)

    @method_decorator(require_safe)
    def figures(self, request: HttpRequest) -> HttpResponse:
        """Return the figures behind the charts as a table for other programs."""
        self.rights(request, Job)
        choice = Choice.of(request)
        alias, now = get_settings().DATABASE, clock.now()
        response = HttpResponse(content_type="text/csv; charset=utf-8")
        name = f"jobs-{choice.span.name}.csv"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        rows = csv.writer(response)
        rows.writerow(("begin", "end", *CELLS, *TIMES, "failure_rate"))
        rows.writerows(
            _as_cells(point) for point in points(alias, choice.span, now, choice.queue, choice.job)
        )
        return response

    def _values(self, choice: Choice) -> Values:
        alias, now = get_settings().DATABASE, clock.now()
        found = points(alias, choice.span, now, choice.queue, choice.job)
        every = parts(alias, choice.span, now)
        return {
            "now": now,
            "choice": choice,
            "charts": charts(found, releases(alias, found[0].begin)),
            "ranges": list(self._ranges(choice)),
            "queues": _known({part.queue for part in every}, choice.queue),
            "jobs": _known({part.name for part in every}, choice.job),
            "worst": list(self._worst(choice, every)),
            "csv": f"{self.address('admin:django_jobs_history_csv')}?{choice.query()}",
            "home": self._home,
            "by_hours": choice.span.parts_grain > 1,
        }

    def _ranges(self, choice: Choice) -> Iterator[Values]:
        for name, span in RANGES.items():
            url = f"{self._home}?{choice.query(range=name)}"
            label = duration(span.length * 60.0)
            yield {"label": label, "url": url, "current": span == choice.span}

    def _worst(self, choice: Choice, every: Sequence[Part]) -> Iterator[Values]:
        """Yield the jobs that took longest in all."""
        chosen = tuple(
            part
            for part in every
            if choice.queue in ("", part.queue) and choice.job in ("", part.name)
        )
        longest = sorted(by_name(chosen).items(), key=lambda item: -item[1].run_sum)
        for name, figures in longest[:SHOWN]:
            slow = quantile(figures.runs, 0.95)
            yield {
                "name": name,
                "url": f"{self._home}?{choice.query(job=name)}",
                "count": count(figures.ended),
                "failed": count(figures.failed),
                "finished": count(figures.finished),
                "rate": _in_words(figures.failure_rate, percent),
                # An estimate, unlike the sum, which no run can have exceeded.
                "p95": _in_words(None if slow is None else min(slow, figures.run_sum), about),
                "total": about(figures.run_sum),
            }

    @property
    def _home(self) -> str:
        return self.address("admin:django_jobs_history")


def _known(found: set[str], chosen: str) -> list[str]:
    """Return what can be chosen, in order; what is chosen stays so, though nothing of it ran."""
    return sorted(found | ({chosen} if chosen else set()))


def _in_words(number: float | None, say: Any) -> str:
    return "–" if number is None else str(say(number))


def _as_cells(point: Point) -> tuple[Any, ...]:
    figures = point.figures
    rate = figures.failure_rate
    return (
        point.begin.isoformat(),
        point.end.isoformat(),
        *(getattr(figures, name) for name in CELLS),
        *_as_numbers(figures),
        "" if rate is None else round(rate, 4),
    )


def _as_numbers(figures: Figures) -> Iterator[Any]:
    for counts in (figures.waits, figures.runs):
        for share in (0.5, 0.95):
            found = quantile(counts, share)
            yield "" if found is None else round(found, 3)
