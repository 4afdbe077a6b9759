"""What the page of a job shows, region by region, as plain values for its templates.

What the user may not see is absent, and so is what he may not do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from django_jobs import registry
from django_jobs.admin.job import payload
from django_jobs.admin.job.runs import Address, Values, job_facts, links, run_values
from django_jobs.admin.job.timeline import timeline
from django_jobs.admin.job.waterfall import waterfall
from django_jobs.admin.job.words import STATES, look_of
from django_jobs.admin.rights import Rights
from django_jobs.calls import CHANGEABLE
from django_jobs.display import ago, grouped
from django_jobs.models import Batch, Event, Schedule
from django_jobs.origins import spoken
from django_jobs.reports.closeup import Closeup
from django_jobs.reports.explaining import reasons
from django_jobs.searching.terms import Term
from django_jobs.states import FINAL, State


@dataclass(frozen=True, slots=True)
class May:
    """What the user may do with this job, beside looking at it."""

    operate: bool
    enqueue: bool
    payload: bool
    erase: bool


class JobRegions:
    """The regions of the page of one job, for one user."""

    def __init__(self, seen: Closeup, may: May, rights: Rights, address: Address) -> None:
        self._seen = seen
        self._job = seen.job
        self._may = may
        self._rights = rights
        self._address = address
        self._definition = registry.find(self._job.name)

    def all(self, now: datetime) -> Values:
        """Return everything that the page shows."""
        seen = self._seen
        return {
            **self.changing(now),
            "timeline": timeline(seen, now),
            "older": [run_values(seen, run, now, self._address) for run in seen.runs[1:]],
            "more_runs": seen.more_runs,
            "steps": waterfall(seen, now, payload=self._may.payload),
            "call": self._call(),
            "links": list(self._links()),
            "children": self._children(),
            "tools": links(job_facts(self._job), about_run=False),
        }

    def changing(self, now: datetime) -> Values:
        """Return what changes while the job runs."""
        seen, newest = self._seen, self._seen.runs[:1]
        return {
            "head": self._head(now),
            "running": self._running(now),
            "newest": run_values(seen, newest[0], now, self._address) if newest else None,
            "newest_id": newest[0].pk if newest else 0,
            "may": self._may,
            "now": now,
        }

    def _head(self, now: datetime) -> Values:
        job = self._job
        return {
            "title": str(job),
            "name": job.name,
            "look": look_of(job),
            "since": ago(job.finished_at or job.started_at or job.enqueued_at, now),
            "instants": list(self._instants(now)),
            "facts": list(self._facts()),
            "why": [] if self._seen.is_over else self._why(),
            "is_running": job.state == State.RUNNING,
            "unknown": self._definition is None,
            "buttons": list(self._buttons()),
            "edit": self._edit(),
            "duplicate": self._duplicate(),
            "erase": self._erase(),
            "history": self._address("admin:django_jobs_job_history", job.pk),
            "lost": job.lost_count,
        }

    def _instants(self, now: datetime) -> Iterator[Values]:
        job = self._job
        found = (
            (_("enqueued"), job.enqueued_at),
            (_("due"), self._seen.due),
            (_("started"), job.started_at),
            (_("asked to stop"), job.cancel_requested_at),
            (_("ended"), job.finished_at),
        )
        for label, at in found:
            if at is not None:
                yield {"label": label, "at": at, "ago": ago(at, now)}

    def _facts(self) -> Iterator[Values]:
        job = self._job
        yield {"label": _("queue"), "text": job.queue, "url": self._list(queue=job.queue)}
        yield {"label": _("priority"), "text": str(job.priority)}
        yield {"label": _("tries"), "text": f"{job.attempt}/{job.max_attempts}"}
        if job.lost_count:
            yield {"label": _("workers lost"), "text": f"{job.lost_count}/{job.max_lost}"}
        if job.about:
            url = self._list(q=f"about:{job.about}")
            yield {"label": _("about"), "text": job.about, "url": url}
        if origin := self._origin():
            same = self._job.enqueued_by
            url = self._list(q=str(Term("by", same))) if same else ""
            yield {"label": _("enqueued by"), "text": origin, "url": url}
        if job.unique_key:
            yield {"label": _("unique key"), "text": job.unique_key}
        if job.version:
            yield {"label": _("version"), "text": job.version}
        if job.state != State.RUNNING and (progress := self._progress()):
            yield {"label": _("last progress"), "text": progress}

    def _progress(self) -> str:
        """Return how far the job has said it is, "" if it has said nothing."""
        job = self._job
        if job.progress_done is None:
            return ""
        total = f" / {grouped(job.progress_total)}" if job.progress_total else ""
        note = f" · {job.progress_note}" if job.progress_note else ""
        return f"{grouped(job.progress_done)}{total}{note}"

    def _origin(self) -> str:
        """Return in words who and what enqueued the job, as far as its row says."""
        who = spoken(self._job.enqueued_by) if self._job.enqueued_by else ""
        return ", ".join(part for part in (who, self._occasion(who)) if part)

    def _occasion(self, who: str) -> str:
        job = self._job
        if job.schedule_id:
            return _("schedule %(name)s") % {"name": job.schedule_name or f"#{job.schedule_id}"}
        if self._event_id():
            return _("an event")
        if job.copy_of:
            text = _("as a copy of #%(id)d") if who else _("somebody here, as a copy of #%(id)d")
            return text % {"id": job.copy_of}
        return _("job #%(id)d") % {"id": job.invoked_by} if job.invoked_by else ""

    def _why(self) -> list[Values]:
        seen = self._seen
        steps = None if seen.more_steps else seen.steps or None
        found = reasons(self._job, steps, seen.runs[0] if seen.runs else None)
        return [
            {
                "text": reason.text,
                "advice": reason.advice,
                "id": reason.job_id,
                "url": self._change(reason.job_id) if reason.job_id else "",
            }
            for reason in found
        ]

    def _buttons(self) -> Iterator[Values]:
        job = self._job
        if not self._may.operate:
            return
        if job.state in FINAL and self._definition is not None:
            yield self._button("retry", _("Retry"))
        if job.state == State.SCHEDULED:
            yield self._button("run-now", _("Run now"))
        if job.state not in FINAL and job.cancel_requested_at is None:
            yield self._button("cancel", _("Cancel"))

    def _edit(self) -> str:
        may = self._may.operate and self._may.payload and self._definition is not None
        if not may or self._is_broken or self._job.state not in CHANGEABLE:
            return ""
        return self._address("admin:django_jobs_job_arguments", self._job.pk)

    def _duplicate(self) -> Values | None:
        if not self._may.enqueue or self._definition is None or self._is_broken:
            return None
        return self._button("duplicate", _("Enqueue"), seen=self._job.copied_as or 0)

    def _erase(self) -> str:
        """Return the address of the question before the job is deleted; "" where it is not."""
        if not self._may.erase or self._job.state not in FINAL:
            return ""
        return self._address("admin:django_jobs_job_delete", self._job.pk)

    def _running(self, now: datetime) -> Values | None:
        """Return how far the job says it is, and the log of the run that goes on, if one does."""
        job, lines = self._job, self._seen.lines
        done, total = job.progress_done, job.progress_total
        # What a job has reported stays on record when its run has ended.
        if job.state != State.RUNNING or (done is None and not lines):
            return None
        share = min(max(done / total, 0), 1) if done is not None and total else None
        return {
            "progress": self._progress(),
            "value": None if share is None else f"{share:.4f}",
            "log": "\n".join(f"{line.at:%H:%M:%S} {line.line}" for line in lines),
            "since": ago(job.started_at, now),
            "look": STATES["running"],
        }

    def _call(self) -> Values:
        job, may_see, broken = self._job, self._may.payload, self._seen.unreadable
        if self._is_broken:
            text = f"{job.short_name}(…)"
        else:
            text = payload.call(job.name, job.args, job.kwargs, payload=may_see)
        if not may_see:
            return {"line": text, "arguments": None, "original": None}
        return {
            "line": text,
            "arguments": [self._value(each, "arguments") for each in payload.call_of(job, broken)],
            "original": [
                self._value(each, "original") for each in payload.original_of(job, broken)
            ],
        }

    def _value(self, shown: Values, what: str) -> Values:
        url = self._address("admin:django_jobs_job_download", self._job.pk, what)
        return {**shown, "url": url}

    @property
    def _is_broken(self) -> bool:
        return not payload.CALL.isdisjoint(self._seen.unreadable)

    def _links(self) -> Iterator[Values]:
        """Yield what the job hangs together with; links only to what the user may see."""
        job, may_view = self._job, self._rights.may_view
        jobs = (
            (_("parent, waits for this job"), job.parent_id),
            (_("parent, invoked this job"), job.invoked_by),
            (_("copy of"), job.copy_of),
            (_("newest copy"), job.copied_as),
            (_("live job with its unique key"), job.rival_id if job.unique_key else None),
        )
        for label, job_id in jobs:
            if job_id:
                yield {"label": label, "text": f"#{job_id}", "url": self._change(job_id)}
        if job.batch_id:
            yield self._link(_("batch"), "batch", job.batch_id, may=may_view(Batch))
        if job.schedule_id:
            name = job.schedule_name or ""
            link = self._link(
                _("schedule"), "schedule", job.schedule_id, name, may=may_view(Schedule) and name
            )
            yield {**link, "at": job.planned_at}
        if event_id := self._event_id():
            yield self._link(_("event"), "event", event_id, may=may_view(Event))

    def _children(self) -> Values | None:
        job = self._job
        if not job.flow_id:
            return None
        return {
            "ended": grouped(job.flow_total - job.flow_pending),
            "total": grouped(job.flow_total),
            "more": self._seen.more_children,
            "batch": self._link("", "batch", job.flow_id, may=self._rights.may_view(Batch))["url"],
            "rows": [
                {
                    "text": f"{child.name.rpartition('.')[2]} #{child.job_id}",
                    "url": self._change(child.job_id),
                    "look": STATES.get(child.state.lower()),
                }
                for child in self._seen.children
            ],
        }

    def _event_id(self) -> int | None:
        """Return the number of the event that started the job, as it stands in its arguments."""
        if self._definition is None or not self._definition.wants_event:
            return None
        name = self._definition.parameters.positional[0]
        value = self._job.args[0] if self._job.args else self._job.kwargs.get(name)
        found = value.get("id") if isinstance(value, dict) else None
        return found if isinstance(found, int) else None

    def _link(self, label: str, model: str, key: int, name: str = "", *, may: Any = True) -> Values:
        url = self._address(f"admin:django_jobs_{model}_change", key) if may else ""
        return {"label": label, "text": name or f"#{key}", "url": url}

    def _button(self, verb: str, label: str, **fields: Any) -> Values:
        url = self._address("admin:django_jobs_job_act", self._job.pk, verb)
        return {"url": url, "label": label, "fields": fields}

    def _change(self, job_id: int) -> str:
        return self._address("admin:django_jobs_job_change", job_id)

    def _list(self, **query: str) -> str:
        return f"{self._address('admin:django_jobs_job_changelist')}?{urlencode(query)}"
