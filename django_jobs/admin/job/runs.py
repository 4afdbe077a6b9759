"""The attempts of a job as plain values for its page."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_jobs.admin.job.payload import pretty_text
from django_jobs.admin.job.tracebacks import own_frames
from django_jobs.admin.job.words import look_of_run
from django_jobs.conf import get_settings
from django_jobs.display import ago, duration, grouped
from django_jobs.link_templates import fill, is_about_run
from django_jobs.models import Job
from django_jobs.reports.closeup import ALIKE, MOST_LINES, Closeup
from django_jobs.reports.stored import LONGEST_TEXT
from django_jobs.states import State

Values = dict[str, Any]
Address = Callable[..., str]


def run_values(seen: Closeup, run: Any, now: datetime, address: Address) -> Values:
    """Return one attempt; what the user may not see was not read."""
    look = look_of_run(run.outcome)
    log = [] if "log" in run.get_deferred_fields() else run.log.splitlines()
    return {
        "attempt": run.attempt,
        "look": look,
        "took": duration(run.finished_at - run.started_at) if run.started_at else "",
        "at": run.finished_at,
        "ago": ago(run.finished_at, now),
        "worker": run.worker,
        "version": run.version or "",
        "late": run.fenced_at is not None,
        "kind": run.error_type.rpartition(".")[2],
        "error": run.error,
        "text": run.error_text if run.error_text != run.error else "",
        "own": own_frames(run.traceback),
        "traceback": run.traceback,
        "log": "\n".join(log[-MOST_LINES:]),
        "log_cut": len(log) > MOST_LINES,
        "cut": grouped(LONGEST_TEXT) if run.is_cut else "",
        "alike": _alike(seen, run, address),
        "links": links(run_facts(seen.job, run), about_run=True),
        "result": _result(run, seen.job, address),
    }


def links(facts: Values, *, about_run: bool) -> list[Values]:
    """Return the links to other tools: those that are about an attempt, or about the job."""
    return [
        {"label": label, "url": fill(template, facts)}
        for label, template in get_settings().ADMIN_LINKS.items()
        if is_about_run(template) is about_run
    ]


def job_facts(job: Job) -> Values:
    """Return what a link to another tool may say about a job."""
    return {"job_id": job.pk, "name": job.name, "queue": job.queue}


def run_facts(job: Job, run: Any) -> Values:
    """Return what a link to another tool may say about an attempt."""
    return {
        **job_facts(job),
        "attempt": run.attempt,
        "worker": run.worker,
        "error_type": run.error_type,
        "fingerprint": run.fingerprint,
        "started": run.started_at.isoformat() if run.started_at else "",
        "finished": run.finished_at.isoformat(),
    }


def _alike(seen: Closeup, run: Any, address: Address) -> Values | None:
    """Return the way to the failed jobs of one kind, and how many others there are, if counted."""
    if not run.fingerprint:
        return None
    query = urlencode({"q": f"fp:{run.fingerprint}"})
    url = f"{address('admin:django_jobs_job_changelist')}?{query}"
    counted = seen.alike.get(run.fingerprint)
    if counted is None:
        return {"text": _("jobs that failed like this"), "url": url}
    itself = seen.job.state == State.FAILED and seen.job.fingerprint == run.fingerprint
    others = counted - (1 if itself else 0)
    number = f"{grouped(ALIKE)}+" if counted > ALIKE else grouped(others)
    text = ngettext(
        "%(number)s other job failed like this", "%(number)s other jobs failed like this", others
    )
    if not others:
        return {"text": _("no other job failed like this"), "url": ""}
    return {"text": text % {"number": number}, "url": url}


def _result(run: Any, job: Job, address: Address) -> Values | None:
    size = getattr(run, "size", None)
    if size is None:
        return None
    url = address("admin:django_jobs_job_download", job.pk, f"result-{run.pk}")
    if run.kept is None:
        return {"text": "", "size": grouped(size), "folded": False, "cut": "0", "url": url}
    return {**pretty_text(run.kept), "url": url}
