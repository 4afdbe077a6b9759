"""What the tests of the admin's pages of schedules share."""

import html
import re

from django.urls import reverse

LIST = "admin:django_jobs_schedule_changelist"


def address(page, row):
    return reverse(f"admin:django_jobs_schedule_{page}", args=[row.pk])


def text(response):
    """Return what a page says: no tags, its whitespace folded."""
    assert response.status_code == 200
    plain = re.sub(
        r"<(script|style|datalist).*?</\1>", " ", response.content.decode(), flags=re.DOTALL
    )
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", plain)).split())


def listed(client, **data):
    return text(client.get(reverse(LIST), data))


def opened(client, row):
    return text(client.get(address("change", row)))


def act(client, action, *rows, **data):
    """Do an action of the list; return the messages that it left."""
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    response = client.post(reverse(LIST), {**chosen, **data}, follow=True)
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def press(client, page, row, **data):
    """Press a button of the page; return the messages that it left."""
    response = client.post(address(page, row), data, follow=True)
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def filled(**fields):
    """Return a form as a browser sends it."""
    return {
        "name": "report",
        "job_name": "tests.jobs.add",
        "cron": "0 2 * * *",
        "every": "",
        "timezone": "UTC",
        "args": "[1, 2]",
        "kwargs": "{}",
        "missed": "one",
        "missed_within": "1d",
        "overlap": "skip",
        "jitter": "0s",
        "starts_at_0": "",
        "starts_at_1": "",
        "ends_at_0": "",
        "ends_at_1": "",
        **fields,
    }
