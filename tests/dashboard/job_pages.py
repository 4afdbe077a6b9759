"""What the tests of the page of a job share."""

import html
import re
from datetime import timedelta

from django_jobs.models import Job, JobStep
from django_jobs.states import StepState
from tests.conftest import NOON

PAYLOAD = "view_job_payload"


def address(job, *rest):
    return "/".join((f"/admin/jobs/job/{job.pk}", *map(str, rest), ""))


def raw(client, job, *rest, **data):
    """Return the text of a page of a job."""
    response = client.get(address(job, *(rest or ("change",))), data)
    assert response.status_code == 200
    return response.content.decode()


def said(text):
    """Return what a page says: no tags, its whitespace folded."""
    text = text.partition('<div id="content-main"')[2] or text
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def shown(client, job):
    return said(raw(client, job))


def press(client, job, verb, **data):
    """Press a button; return the messages that it left."""
    response = client.post(address(job, "do", verb), data, follow=True)
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def buttons(client, job):
    return re.findall(r'action="/admin/jobs/job/\d+/do/([\w-]+)/"', raw(client, job))


def steps_of(job, *results, **fields):
    """Give a job steps that are done, a second after each other."""
    for number, result in enumerate(results, start=1):
        start = NOON - timedelta(seconds=20 - number)
        values = {
            "state": StepState.DONE,
            "attempts": 1,
            "started_at": start,
            "finished_at": start + timedelta(seconds=0.5),
            **fields,
        }
        JobStep.objects.create(
            job_id=job.pk,
            key=f"step-{number:03}",
            position=number,
            result=result,
            claim_id=1,
            **values,
        )
    Job.objects.filter(pk=job.pk).update(has_steps=True)
