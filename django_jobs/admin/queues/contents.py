"""What the screen of one queue shows of the jobs in it and of its last 24 hours."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from django_jobs import registry
from django_jobs.admin.charts import about, count
from django_jobs.admin.history.charts import day_chart
from django_jobs.admin.screens import Screen
from django_jobs.display import duration, grouped
from django_jobs.reports.queue_contents import DAY, NamedJobs, QueueContents
from django_jobs.reports.summary import QUEUE_CAP
from django_jobs.searching.terms import Term, Terms
from django_jobs.tallies import quantile

Values = dict[str, Any]


class Contents:
    """Two regions of the screen of the queue called `queue`, as plain values for their template."""

    def __init__(self, screen: Screen, queue: str) -> None:
        self._screen = screen
        self._queue = queue

    def as_values(self, seen: QueueContents | None) -> Values:
        """Return what is in the queue, or that it takes too long."""
        if seen is None:
            return {"slow": True}
        history = urlencode({"range": DAY.name, "queue": self._queue})
        return {
            "chart": day_chart(seen.points, seen.releases),
            "history": f"{self._screen.address('admin:django_jobs_history')}?{history}",
            "names": list(self._names(seen)),
            "more": grouped(seen.more) if seen.more else "",
            "considered": grouped(QUEUE_CAP) if seen.capped else "",
        }

    def _names(self, seen: QueueContents) -> Iterator[Values]:
        for one in seen.names:
            p95 = quantile(one.figures.runs, 0.95)
            yield {
                "name": one.name,
                "ready": str(one.ready),
                "url": self._list(one),
                "ended": count(one.figures.ended),
                "failed": count(one.figures.failed),
                "p95": "–" if p95 is None else about(p95),
                **self._declared(one.name),
            }

    def _declared(self, name: str) -> Values:
        """Return what the code says of a job, and where it belongs if not here."""
        definition = registry.find(name)
        if definition is None:
            unknown = dict.fromkeys(("priority", "attempts", "timeout"), "–")
            return {**unknown, "note": _("not declared in this project")}
        elsewhere = definition.queue != self._queue
        note = _("declared for the queue “%(queue)s”") % {"queue": definition.queue}
        return {
            "note": note if elsewhere else "",
            "priority": definition.priority,
            "attempts": definition.max_attempts,
            "timeout": duration(definition.timeout) if definition.timeout else _("none"),
        }

    def _list(self, one: NamedJobs) -> str:
        """Return the address of the jobs of that name that are ready here."""
        if not one.ready.number:
            return ""
        words = {"queue": self._queue, "state": "ready", "job": one.name}
        asked = Terms(tuple(Term(word, text, quoted=True) for word, text in words.items()))
        jobs = self._screen.address("admin:django_jobs_job_changelist")
        return f"{jobs}?{urlencode({'q': str(asked)})}"
