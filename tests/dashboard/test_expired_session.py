"""A session that ended before a button was pressed: nothing is done, and the way leads to a page."""

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages

from django_jobs.models import BulkOperation, Job, Queue
from django_jobs.states import State
from tests.conftest import NOON
from tests.dashboard.test_bulk import ask, fields
from tests.factories import JobFactory, QueueFactory, ScheduleFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOME = "/admin/jobs/"
ANA = {"username": "ana", "password": "pass"}


@pytest.fixture
def ana():
    return User.objects.create_superuser(**ANA)


def back_after_login(client, address, given):
    """Press without a session, log in, and return the page to which that leads."""
    response = client.post(address, given)
    assert response.status_code == 302
    login = response["Location"]
    assert login.startswith("/admin/login/?next=")
    said = [str(message) for message in get_messages(response.wsgi_request)]
    assert said == ["Nothing was done: log in first, and press again."]
    page = client.post(login, ANA, follow=True)
    assert page.status_code == 200
    return page.redirect_chain[-1][0]


@pytest.mark.parametrize(
    ("address", "given", "page"),
    [
        ("do/pause/", {"queue": "mail"}, ""),
        ("do/pause/", {"queue": "mail", "back": f"{HOME}queue/"}, "queue/"),
        ("do/pause/", {"queue": "mail", "back": "//evil.example/"}, ""),
        ("job/{job}/do/retry/", {}, "job/{job}/change/"),
        ("schedule/{schedule}/pause/", {}, "schedule/{schedule}/change/"),
        ("bulkoperation/{bulk}/stop/", {}, "bulkoperation/{bulk}/change/"),
    ],
)
def test_a_button_leads_back_to_its_page(client, ana, address, given, page):
    bulk = BulkOperation.objects.create(
        key="k",
        verb="retry",
        search="id:0",
        as_of=NOON,
        high=1,
        expected=1,
        last_id=0,
        created_at=NOON,
    )
    rows = {"job": JobFactory(failed=True).pk, "schedule": ScheduleFactory().pk, "bulk": bulk.pk}
    QueueFactory(name="mail")
    where = back_after_login(client, HOME + address.format(**rows), given)
    assert where == HOME + page.format(**rows)
    assert Queue.objects.get().paused_at is None
    assert Job.objects.get().state == State.FAILED


def test_a_confirmation_leads_back_to_the_list(client, ana):
    JobFactory(failed=True)
    client.force_login(ana)
    given = fields(ask(client, verb="delete", q="state:failed"))
    client.logout()
    where = back_after_login(client, f"{HOME}job/bulk/", given)
    assert where == f"{HOME}job/?q=state%3Afailed"
    assert Job.objects.exists()


def test_after_a_change_of_the_password_elsewhere_it_is_the_same(client, ana):
    client.login(**ANA)
    QueueFactory(name="mail")
    ana.set_password("other")
    ana.save()
    response = client.post(f"{HOME}do/pause/", {"queue": "mail"})
    assert response["Location"] == "/admin/login/?next=/admin/jobs/"
    assert Queue.objects.get().paused_at is None


def test_whoever_is_logged_in_and_is_no_staff_is_sent_to_the_login_too(client, ana):
    client.force_login(User.objects.create_user("visitor"))
    QueueFactory(name="mail")
    response = client.post(f"{HOME}do/pause/", {"queue": "mail"})
    assert response["Location"] == "/admin/login/?next=/admin/jobs/"
    assert Queue.objects.get().paused_at is None
