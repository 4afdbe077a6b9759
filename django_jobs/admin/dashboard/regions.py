"""What the dashboard shows, region by region, as plain values for its templates.

Regions that the user may not see are absent, and so are the buttons he may not press.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_jobs.admin.charts import about
from django_jobs.admin.history.charts import recent_chart
from django_jobs.admin.rights import Rights
from django_jobs.admin.trends import bars
from django_jobs.display import ago, duration, grouped
from django_jobs.models import Job, Queue, Schedule, Worker
from django_jobs.reports.error_groups import ErrorGroup
from django_jobs.reports.overview import (
    ERRORS,
    NUMBERS,
    RUNNING,
    WORKERS,
    Amount,
    Overview,
    QueueState,
)
from django_jobs.reports.problems import Fix, Level, Operation, Problem
from django_jobs.reports.summary import MOST_QUEUES, SHOWN_WORKERS, shown_workers
from django_jobs.reports.verdict import Verdict
from django_jobs.schedules import portrait
from django_jobs.states import State

MARKS = {Level.OK: "✓", Level.WARNING: "!", Level.BAD: "✕"}
MENDED = {Operation.RESUME: Queue, Operation.GO_ON: Worker}
"""What is operated on by that which mends a problem, where it is not a job."""

SHOWN_SCHEDULES = 5
WHOLE = 10
"""From so many jobs a minute on no fraction is shown."""

Values = dict[str, Any]


class Regions:
    """The regions of one dashboard for one user."""

    def __init__(self, seen: Overview, found: Verdict, rights: Rights, site_name: str) -> None:
        self._seen = seen
        self._found = found
        self._rights = rights
        self._name = site_name

    def as_values(self) -> Values:
        """Return the values of all regions that the user may see."""
        seen, rights = self._seen, self._rights
        return {
            "verdict": self._verdict(),
            "counts": list(self._counts()),
            "chart": recent_chart(seen.recent),
            "history": self._address("history"),
            "groups": [self._group(group) for group in seen.groups],
            "failed": str(seen.failed),
            "errors_url": self._address("failed"),
            "considered": grouped(seen.failed.number) if seen.failed.capped else "",
            "newest": list(self._newest()),
            "queues": [self._queue(queue) for queue in seen.queues],
            "workers": list(self._workers()),
            "more_queues": len(seen.queues) >= MOST_QUEUES,
            "more_workers": len(seen.workers) > SHOWN_WORKERS,
            "schedules": list(self._schedules()),
            "paused": self._paused(),
            "to": self._ways(),
            "may": {
                "operate_jobs": rights.may_operate(Job),
                "operate_queues": rights.may_operate(Queue),
                "view_queues": rights.may_view(Queue),
                "view_workers": rights.may_view(Worker),
                "view_schedules": rights.may_view(Schedule),
            },
            "now": seen.now,
            "is_new": seen.is_new,
            "try_it": self._button("test-job", _("Run a test job"))
            if rights.may_enqueue()
            else None,
            "slow": dict.fromkeys(seen.slow, True),
        }

    def _verdict(self) -> Values:
        level = self._found.level
        alive = len(self._seen.alive)
        workers = ngettext("%(number)d worker alive", "%(number)d workers alive", alive)
        running = ngettext("%(number)d job running", "%(number)d jobs running", self._seen.running)
        slow = self._seen.slow
        facts = [] if WORKERS in slow else [workers % {"number": alive}]
        facts += [] if RUNNING in slow else [running % {"number": self._seen.running}]
        facts += self._speed()
        return {
            "level": level.value,
            "mark": MARKS[level],
            "headline": self._found.headline,
            "facts": " · ".join(facts),
            "problems": [self._problem(problem) for problem in self._found.problems],
        }

    def _speed(self) -> Iterator[str]:
        """Yield how fast it goes, if anything finished within a quarter of an hour."""
        speed = self._seen.recent.speed
        if not speed.finished:
            return
        number = speed.per_minute
        shown = number_format(number, 0 if number >= WHOLE else 1)
        yield _("%(number)s jobs/min") % {"number": shown}
        if speed.p95_run is not None:
            yield _("p95 %(span)s") % {"span": about(speed.p95_run)}

    def _problem(self, problem: Problem) -> Values:
        return {
            "level": problem.level.value,
            "mark": MARKS[problem.level],
            "word": _("bad") if problem.level is Level.BAD else _("warning"),
            "text": problem.text,
            "advice": problem.advice,
            "fixes": list(self._fixes(problem.fix)) if problem.fix else [],
            "link": self._link(problem),
        }

    def _fixes(self, fix: Fix) -> Iterator[Values]:
        """Yield the buttons that mend a problem."""
        if not self._rights.may_operate(MENDED.get(fix.operation, Job)):
            return
        if fix.operation is Operation.RESUME:
            yield self._button("resume", _("Resume"), queue=fix.target)
        elif fix.operation is Operation.REQUEUE:
            text = ngettext("Requeue %(number)s job", "Requeue %(number)s jobs", fix.count)
            yield self._button("requeue", text % {"number": grouped(fix.count)}, worker=fix.target)
        elif fix.operation is Operation.GO_ON:
            yield self._button("go-on", _("Go on"), worker=fix.target)
        elif fix.operation is Operation.CANCEL:
            yield self._button("cancel", _("Cancel"), job=fix.target)
        elif fix.operation is Operation.FORCE:
            yield self._button("cancel", _("Cancel by force"), job=fix.target, force=1)
        else:
            yield from self._retries(fix.target, fix.count, fix.job_ids[0])

    def _retries(self, fingerprint: str, count: int, newest_id: int) -> Iterator[Values]:
        yield self._button("retry", _("Retry 1"), job=newest_id)
        if count > 1:
            text = _("Retry all %(number)s") % {"number": grouped(count)}
            yield self._button("retry-all", text, fingerprint=fingerprint, seen=self._as_of)

    @property
    def _as_of(self) -> str:
        """Up to when failures were seen: the database's clock may be ahead of ours."""
        newest = [failure.finished_at for failure in self._seen.newest]
        return max(self._seen.now, *newest).isoformat() if newest else self._seen.now.isoformat()

    def _link(self, problem: Problem) -> str:
        """Return the address of the page on which a problem is seen."""
        if problem.rule == "late-schedule" and self._rights.may_view(Schedule):
            return self._list("schedule", state=portrait.OVERDUE)
        if problem.schedule_id and self._rights.may_view(Schedule):
            return self._change("schedule", problem.schedule_id)
        if problem.is_of_workers and self._rights.may_view(Worker):
            return self._list("worker")
        if problem.queue:
            return self._queue_page(problem.queue)
        if problem.fix is not None and problem.fix.job_ids:
            return self._change("job", problem.fix.job_ids[0])
        return ""

    def _counts(self) -> Iterator[Values]:
        seen = self._seen
        numbers: tuple[tuple[str, Amount, State, str], ...] = (
            (_("ready"), seen.ready, State.READY, NUMBERS),
            (_("running"), Amount(seen.running), State.RUNNING, RUNNING),
            (_("retrying"), seen.retrying, State.SCHEDULED, NUMBERS),
            (_("scheduled"), seen.scheduled, State.SCHEDULED, NUMBERS),
            (_("waiting"), seen.waiting, State.WAITING, NUMBERS),
            (_("failed"), seen.failed, State.FAILED, ERRORS),
        )
        for label, amount, state, part in numbers:
            url = self._list("job", state__exact=state)
            number = "?" if part in seen.slow else str(amount)
            yield {"label": label, "number": number, "url": url}
        if self._rights.may_view(Worker):
            known = f"{len(seen.alive)}/{len(seen.workers)}"
            number = "?" if WORKERS in seen.slow else known
            yield {"label": _("workers alive"), "number": number, "url": self._list("worker")}

    def _ways(self) -> Values:
        """Return the addresses of what the regions are a part of."""
        return {
            "queues": self._list("queue"),
            "workers": self._list("worker"),
            "schedules": self._list("schedule"),
            "failures": self._list("job", state__exact=State.FAILED),
        }

    def _queue_page(self, name: str) -> str:
        """Return the address of the queue called `name`, or of what is ready in it."""
        keys = [queue.row.pk for queue in self._seen.queues if queue.row.name == name]
        if keys and self._rights.may_view(Queue):
            return self._change("queue", keys[0])
        return self._list("job", state__exact=State.READY, queue=name)

    def _group(self, group: ErrorGroup) -> Values:
        newest = group.newest
        return {
            "error": newest.error or _("without an error on record"),
            "job": newest.name,
            "count": grouped(group.count),
            "recent": grouped(group.recent),
            "first": ago(group.first, self._seen.now),
            "last": ago(newest.finished_at, self._seen.now),
            "trend": bars(group.trend),
            "trend_text": ", ".join(str(number) for number in group.trend),
            "url": self._change("job", newest.job_id),
            "newest": newest.job_id,
            "muted": group.muted is not None,
            "buttons": list(self._retries(group.fingerprint, group.count, newest.job_id)),
        }

    def _newest(self) -> Iterator[Values]:
        for failure in self._seen.newest:
            yield {
                "title": failure.title,
                "url": self._change("job", failure.job_id),
                "error": failure.error,
                "queue": failure.queue,
                "when": ago(failure.finished_at, self._seen.now),
                "at": failure.finished_at,
                "button": self._button("retry", _("Retry"), job=failure.job_id),
            }

    def _queue(self, queue: QueueState) -> Values:
        row, now = queue.row, self._seen.now
        return {
            "name": row.name,
            "url": self._change("queue", row.pk),
            "jobs_url": self._list("job", state__exact=State.READY, queue=row.name)
            if queue.waiting.number
            else "",
            "waiting": str(queue.waiting),
            "oldest": duration(round((now - queue.oldest).total_seconds()))
            if queue.oldest
            else "–",
            "workers": "?" if WORKERS in self._seen.slow else queue.workers,
            "lonely": bool(queue.waiting.number and not queue.workers and not queue.paused)
            and WORKERS not in self._seen.slow,
            "paused": queue.paused,
            "by": row.paused_by,
            "reason": row.paused_reason,
            "since": ago(row.paused_at, now),
            "until": ago(row.paused_until, now),
            "resume": self._button("resume", _("Resume"), queue=row.name),
            "pause": self._button("pause", _("Pause"), queue=row.name),
        }

    def _workers(self) -> Iterator[Values]:
        for worker in shown_workers(self._seen.workers):
            yield {
                "name": worker.name,
                "alive": worker.is_alive,
                "wish": worker.wish,
                "queues": ", ".join(worker.queues) or _("all"),
                "held": "?" if RUNNING in self._seen.slow else self._seen.held.get(worker.name, 0),
                "beat": ago(worker.beat_at, self._seen.now),
            }

    def _schedules(self) -> Iterator[Values]:
        for row in self._seen.schedules[:SHOWN_SCHEDULES]:
            yield {
                "name": row.name,
                "url": self._change("schedule", row.pk),
                "next": portrait.next_words(row, self._seen.now),
                "rule": portrait.rule_words(row),
                "late": portrait.state_of(row, self._seen.now) == portrait.OVERDUE,
            }

    def _paused(self) -> Values | None:
        """Return how many schedules somebody has paused, if any."""
        paused = self._seen.paused_schedules
        if not paused.number:
            return None
        text = ngettext(
            "%(number)s schedule is paused", "%(number)s schedules are paused", paused.number
        )
        url = self._list("schedule", state=portrait.PAUSED)
        return {"text": text % {"number": paused}, "url": url}

    def _button(self, verb: str, label: str, **fields: Any) -> Values:
        return {"url": self._address("act", verb), "label": label, "fields": fields}

    def _list(self, model: str, **query: Any) -> str:
        found = self._address(f"{model}_changelist")
        return f"{found}?{urlencode(query)}" if query else found

    def _change(self, model: str, key: int) -> str:
        return self._address(f"{model}_change", key)

    def _address(self, name: str, *args: Any) -> str:
        return reverse(f"admin:django_jobs_{name}", args=args, current_app=self._name)
