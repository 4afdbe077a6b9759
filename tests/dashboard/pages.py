"""What the tests of the dashboard share."""

import html
import re
from datetime import timedelta

from django_jobs.models import Claim
from tests.conftest import NOON
from tests.factories import JobFactory, QueueFactory, WorkerFactory

PAGE = "/admin/jobs/"


def raw(client, **data):
    response = client.get(PAGE, data)
    assert response.status_code == 200
    return response.content.decode()


def shown(client):
    """Return what the page says: no tags, its whitespace folded."""
    return words(raw(client))


def words(page):
    """Return what a page or a part of it says."""
    page = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)
    _, found, content = page.partition('<div id="content-main"')
    page = content if found else page
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def press(client, verb, **data):
    """Press a button; return the messages that it left."""
    response = client.post(f"/admin/jobs/do/{verb}/", data, follow=True)
    assert response.status_code == 200
    assert response.redirect_chain[-1][0] == PAGE
    return [str(message) for message in response.context["messages"]]


def buttons(client):
    return sorted(set(re.findall(r'action="/admin/jobs/do/([\w-]+)/"', raw(client))))


def failing(count, fingerprint="aaaa", **fields):
    return JobFactory.create_batch(count, failed=True, fingerprint=fingerprint, **fields)


def trouble():
    """One problem for each button that mends one."""
    WorkerFactory()
    QueueFactory(name="reports", paused=True)
    QueueFactory(name="mail")
    JobFactory(queue="reports", run_at=NOON)
    JobFactory(running=True, silent=True)
    Claim.objects.update(expires_at=NOON - timedelta(minutes=14))
    failing(10)
