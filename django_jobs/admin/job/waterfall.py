"""The steps of a job as a waterfall: since when each waited, and how long its newest call took."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from django_jobs.admin.job.payload import readable
from django_jobs.admin.job.spans import on_scale
from django_jobs.admin.job.words import look_of_step
from django_jobs.display import duration, grouped
from django_jobs.reports.closeup import LARGEST_STEP, Closeup
from django_jobs.states import StepState

Span = tuple[datetime, datetime]


def waterfall(seen: Closeup, now: datetime, *, payload: bool) -> dict[str, Any] | None:
    """Return the rows of a table, each with its bars; `None` for a job without steps."""
    if not seen.steps:
        return None
    spans = list(_spans(seen, now))
    ends = [instant for pair in spans for span in pair if span for instant in span]
    left, right = (min(ends), max(ends)) if ends else (now, now)
    return {
        "rows": [
            {
                **_words(step, seen, now, payload=payload),
                "took": duration(ran[1] - ran[0]) if ran else "",
                "waited": duration(waited[1] - waited[0]) if waited else "",
                "wait": on_scale(*waited, left, right) if waited else None,
                "run": on_scale(*ran, left, right) if ran else None,
            }
            for step, (waited, ran) in zip(seen.steps, spans, strict=True)
        ],
        "from": left,
        "whole": duration(right - left),
        "payload": payload,
        "more": seen.more_steps,
        "shown": len(seen.steps),
    }


def _spans(seen: Closeup, now: datetime) -> Iterator[tuple[Span | None, Span | None]]:
    """Yield of each step when it waited and when it ran.

    It waited from the end of the step before; one that ran beside that did not wait for it.
    """
    before = seen.steps[0].started_at
    for step in seen.steps:
        started, ended = step.started_at or step.finished_at, step.finished_at
        if step.attempts:
            waited = (before, started) if before and before < started else None
            ran = (started, ended)
        else:
            last = _end_of_wait(step, seen, now)
            first = started if last > started else min(before or started, started)
            waited, ran, ended = (first, max(last, first)), None, last
        yield waited, ran
        before = max(before or ended, ended)


def _end_of_wait(step: Any, seen: Closeup, now: datetime) -> datetime:
    """Return until when a step waits, or has waited; as far as that has come."""
    until: datetime = step.finished_at
    if step.state == StepState.SLEEPING and step.wake_at:
        until = step.wake_at
    elif step.state == StepState.WAITING:
        until = now
    limit: datetime = seen.job.finished_at or now
    start: datetime = step.started_at or step.finished_at
    return max(min(until, limit), start)


def _words(step: Any, seen: Closeup, now: datetime, *, payload: bool) -> dict[str, Any]:
    look = look_of_step(step.state)
    slept = step.state == StepState.SLEEPING and step.wake_at and step.wake_at <= now
    return {
        "position": step.position,
        "key": step.key,
        "mark": look_of_step(StepState.DONE).mark if slept else look.mark,
        "tone": look.tone,
        "word": step.word(ended=seen.is_over),
        "calls": step.attempts or "",
        "error": f"{step.error_type}: {step.error}" if step.error_type else "",
        **(_result(step) if payload else {}),
    }


def _result(step: Any) -> dict[str, Any]:
    if step.size is None:
        return {}
    if step.size > LARGEST_STEP:
        return {"result": _("%(size)s characters") % {"size": grouped(step.size)}}
    text, is_json = readable(step.short, indent=None)
    return {"result": text, "broken": not is_json}
