"""What has happened to a job, in order: enqueued, waited, tried, waited again, ended, retried."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from django_jobs.admin.job.spans import in_turn, percent
from django_jobs.admin.job.words import look_of, look_of_run
from django_jobs.display import duration
from django_jobs.reports.closeup import Closeup
from django_jobs.states import RunOutcome, State

NOW = " jobs-now"
"""Behind the kind of what goes on."""

ENDED = "gap"
"""The job was over, until somebody retried it."""

AFTER: Mapping[str, str] = {
    RunOutcome.RETRIED: "backoff",
    RunOutcome.TIMED_OUT: "backoff",
    RunOutcome.SNOOZED: "snoozed",
    RunOutcome.SUCCESSFUL: ENDED,
    RunOutcome.FAILED: ENDED,
    RunOutcome.CANCELLED: ENDED,
}


class Part(NamedTuple):
    """A span of time; `end` is `None` while it goes on. `kind`: of the drawing's stylesheet."""

    kind: str
    text: str
    start: datetime
    end: datetime | None
    mark: str = ""


def timeline(seen: Closeup, now: datetime) -> dict[str, Any]:
    """Return the parts for a drawing, and the same as rows of a table."""
    parts = list(_parts(seen, now))
    spans = [max((part.end or now) - part.start, timedelta()) for part in parts]
    places = in_turn(spans)
    return {
        "rows": [
            {"at": part.start, "text": part.text, "took": duration(span), "open": part.end is None}
            for part, span in zip(parts, spans, strict=True)
        ],
        "bars": [
            {
                "kind": part.kind,
                "x": percent(place),
                "width": percent(width),
                "end": percent(place + width),
                "mark": part.mark,
                "title": f"{part.text}: {duration(span)}",
            }
            for part, span, (place, width) in zip(parts, spans, places, strict=True)
        ],
        "summary": " → ".join(part.text for part in parts),
        "ended": look_of(seen.job).word if seen.is_over else "",
        "ended_at": seen.job.finished_at,
        "earlier": seen.more_runs,
    }


def _parts(seen: Closeup, now: datetime) -> Iterator[Part]:
    job, runs = seen.job, seen.runs[::-1]
    at, kind = job.enqueued_at, "wait"
    if seen.more_runs:
        at = runs[0].started_at or runs[0].finished_at
    text = _("enqueued, waited")
    for run in runs:
        start = run.started_at or run.finished_at
        if start > at:
            yield from _pause(job, Part(kind, text, at, start))
        yield _try(run, start)
        at = run.finished_at
        kind = AFTER.get(run.outcome, "wait")
        text = _between(kind, run.outcome)
    yield from _rest(seen, at, kind, text if runs or seen.more_runs else _("enqueued, waits"), now)


def _try(run: Any, start: datetime) -> Part:
    look = look_of_run(run.outcome)
    text = _("try %(number)s: %(end)s") % {"number": run.attempt, "end": look.word}
    return Part(f"run jobs-{look.tone or 'plain'}", text, start, run.finished_at, look.mark)


def _between(kind: str, outcome: str) -> str:
    if kind == ENDED:
        return _("%(end)s, until it was retried") % {"end": look_of_run(outcome).word}
    words = {"backoff": _("waited for the next try"), "snoozed": _("snoozed")}
    return words.get(kind, _("waited"))


def _pause(job: Any, part: Part) -> Iterator[Part]:
    """Yield what lies between two tries: of a job that was over, the wait that followed, too.

    When it was retried is known of the last time only: that made it ready.
    """
    again = job.run_at
    if part.kind != ENDED or part.end is None or not part.start < again < part.end:
        yield part
        return
    yield part._replace(end=again)
    yield Part("wait", _("waited"), again, part.end)


def _rest(seen: Closeup, at: datetime, kind: str, text: str, now: datetime) -> Iterator[Part]:
    """Yield what comes after the last run that has ended."""
    job = seen.job
    if seen.is_over:
        if job.finished_at > at and (kind != ENDED or job.run_at > at):
            yield from _pause(job, Part(kind, text, at, job.finished_at))
        return
    if job.state == State.RUNNING and job.started_at:
        if job.started_at > at:
            yield from _pause(job, Part(kind, text, at, job.started_at))
        word = _("try %(number)s: %(end)s") % {"number": job.attempt, "end": look_of(job).word}
        yield Part(f"run{NOW}", word, job.started_at, None, look_of(job).mark)
        return
    mark = look_of(job).mark
    if kind == ENDED:
        again = min(max(job.run_at, at), now)
        yield Part(kind, text, at, again)
        at, kind, text = again, "wait", _("waited")
    yield Part(f"{kind}{NOW}", text, min(at, now), None, mark)
