"""What the screens of queues show, as plain values for their templates."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_jobs.admin.buttons.pressing import MINUTES
from django_jobs.admin.rights import Rights
from django_jobs.admin.screens import Screen
from django_jobs.display import ago, duration
from django_jobs.models import Job, Queue
from django_jobs.reports.overview import PATIENCE, QueueState
from django_jobs.reports.queues import QueueDetail, QueueLine, QueueReport

LIST = "admin:django_jobs_queue_changelist"
Values = dict[str, Any]


class QueueRegions:
    """The regions of one admin site for one user."""

    def __init__(self, screen: Screen, rights: Rights) -> None:
        self._screen = screen
        self._may_operate = rights.may_operate(Queue)
        self._may_cancel = rights.may_operate(Job)
        self._may_view_jobs = rights.may_view(Job)

    def all(self, seen: QueueReport | None) -> Values:
        """Return what the screen of all queues shows, or that it takes too long."""
        if seen is None:
            return {"slow": True, "headline": _("Queues")}
        back = self._screen.address(LIST)
        number = len(seen.queues)
        text = ngettext("%(number)d queue", "%(number)d queues", number)
        return {
            "headline": text % {"number": number},
            "queues": [self._line(line, seen.now, back) for line in seen.queues],
            "more": seen.more,
            "may_operate": self._may_operate,
            **self._choices(),
        }

    def one(self, seen: QueueDetail) -> Values:
        """Return what the screen of one queue shows."""
        row = seen.state.row
        back = self._screen.address("admin:django_jobs_queue_change", row.pk)
        ask = self._screen.address("admin:django_jobs_queue_cancel_waiting", row.pk)
        return {
            "queue": self._state(seen.state, seen.now, back),
            "oldest": list(self._oldest(seen)) if self._may_view_jobs else None,
            "seconds": "" if row.latency_limit is None else row.latency_limit,
            "default": round(PATIENCE.total_seconds()),
            "set_limit": self.button("limit", _("Set"), back, queue=row.name),
            "may_operate": self._may_operate,
            "cancel_url": ask if self._may_cancel and seen.state.waiting.number else "",
            **self._choices(),
        }

    def button(self, verb: str, label: str, back: str, **fields: Any) -> Values:
        """Return a button that leads back to the page `back`."""
        url = self._screen.address("admin:django_jobs_act", verb)
        return {"url": url, "label": label, "fields": {**fields, "back": back}}

    def _choices(self) -> Values:
        spans = [(number, duration(timedelta(minutes=number))) for number in MINUTES]
        return {"minutes": spans}

    def _line(self, line: QueueLine, now: datetime, back: str) -> Values:
        return {
            **self._state(line.state, now, back),
            "running": str(line.running),
            "retrying": str(line.retrying),
            "scheduled": str(line.scheduled),
            "pace": number_format(round(line.speed.per_minute, 1), 1) if line.speed else "–",
            "p95": duration(line.speed.p95_run) if line.speed and line.speed.p95_run else "–",
        }

    def _state(self, state: QueueState, now: datetime, back: str) -> Values:
        row, oldest = state.row, state.oldest
        return {
            "name": row.name,
            "url": self._screen.address("admin:django_jobs_queue_change", row.pk),
            "ready": str(state.waiting),
            "oldest": duration(round((now - oldest).total_seconds())) if oldest else "–",
            "limit": duration(state.limit),
            "late": state.is_late(now) and not state.paused,
            "workers": state.workers,
            "lonely": bool(state.waiting.number and not state.workers and not state.paused),
            "paused": state.paused,
            "by": row.paused_by,
            "reason": row.paused_reason,
            "since": ago(row.paused_at, now),
            "until": ago(row.paused_until, now),
            "resume": self.button("resume", _("Resume"), back, queue=row.name),
            "pause": self.button("pause", _("Pause"), back, queue=row.name),
        }

    def _oldest(self, seen: QueueDetail) -> Iterator[Values]:
        for job in seen.oldest:
            yield {
                "title": str(job),
                "url": self._screen.address("admin:django_jobs_job_change", job.pk),
                "priority": job.priority,
                "tries": f"{job.attempt}/{job.max_attempts}",
                "waits": duration(max(round((seen.now - job.run_at).total_seconds()), 0)),
            }
