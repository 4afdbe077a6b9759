import json

import pytest
from django.contrib.auth.models import User

from tests.conftest import NOON
from tests.dashboard.pages import PAGE, failing, shown
from tests.factories import JobFactory, QueueFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def health(client, **headers):
    response = client.get("/admin/jobs/health.json", headers=headers)
    return response.status_code, json.loads(response.content)


def test_machines_get_the_same_verdict(admin_client):
    WorkerFactory()
    status, found = health(admin_client)
    assert (status, found["level"], found["problems"]) == (200, "ok", [])
    QueueFactory(name="mail", paused=True)
    JobFactory(queue="mail", run_at=NOON)
    status, found = health(admin_client)
    assert (status, found["level"], found["problems"][0]["rule"]) == (
        200,
        "warning",
        "paused-queue",
    )
    failing(10)
    status, found = health(admin_client)
    assert (status, found["level"], len(found["problems"])) == (503, "bad", 2)
    assert found["problems"][0]["text"] in shown(admin_client)


def test_machines_may_come_with_a_token(client, settings):
    assert health(client)[0] == 403
    assert health(client, authorization="Bearer ")[0] == 403
    settings.DJANGO_JOBS = {"ADMIN_HEALTH_TOKEN": "sesame"}
    assert health(client)[0] == 403
    assert health(client, authorization="Bearer wrong")[0] == 403
    assert health(client, authorization="Bearer sesame")[0] == 200


def test_staff_without_the_permission_get_no_verdict(staff):
    assert health(staff("view_queue"))[0] == 403


def test_people_who_are_no_staff_see_nothing(client):
    client.force_login(User.objects.create_user("bob"))
    assert client.get(PAGE).status_code == 302
    assert health(client)[0] == 403
