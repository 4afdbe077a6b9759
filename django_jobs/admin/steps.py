"""The steps of a job as a table on its page: one query, of bounded size."""

from typing import Any

from django.db.models import Case, F, TextField, When
from django.db.models.functions import Length
from django.utils.html import format_html, format_html_join

from django_jobs.conf import get_settings
from django_jobs.display import duration, json_text
from django_jobs.models import Job, JobStep
from django_jobs.serializers import load
from django_jobs.states import FINAL

MOST_STEPS = 200
LONGEST_RESULT = 2_000


def steps_table(job: Job, *, payload: bool) -> str:
    """Return the first 200 steps of `job` as HTML, their results with `payload` only."""
    steps = JobStep.objects.using(get_settings().DATABASE).filter(job_id=job.pk).defer("result")
    if payload:
        size = Length("result")
        short = When(size__lte=LONGEST_RESULT, then=F("result"))
        steps = steps.annotate(size=size, short=Case(short, output_field=TextField()))
    found = list(steps[: MOST_STEPS + 1])
    titles = ["", "step", "state", "calls", "took", "error", *(["result"] if payload else [])]
    table = format_html(
        "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>",
        format_html_join("", "<th>{}</th>", ((title,) for title in titles)),
        format_html_join(
            "",
            "<tr>{}</tr>",
            ((_cells(job, step, payload=payload),) for step in found[:MOST_STEPS]),
        ),
    )
    if len(found) <= MOST_STEPS:
        return table
    more = f"These are the first {MOST_STEPS:,}; jobs show {job.pk} lists all."
    return format_html("{}<p>{}</p>", table, more)


def _cells(job: Job, step: Any, *, payload: bool) -> str:
    error = f"{step.error_type}: {step.error}" if step.error_type else ""
    word = step.word(ended=job.state in FINAL)
    cells = [step.position, step.key, word, step.attempts or "", _took(step), error]
    if payload:
        cells.append(_result(step))
    return format_html_join("", "<td>{}</td>", ((cell,) for cell in cells))


def _took(step: JobStep) -> str:
    if step.started_at is None or not step.attempts:
        return ""
    return duration(step.finished_at - step.started_at)


def _result(step: Any) -> str:
    if step.size is None:
        return ""
    if step.size > LONGEST_RESULT:
        return f"{step.size:,} characters"
    return json_text(load(step.short))
