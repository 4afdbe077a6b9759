"""What a project's own ModelAdmin hides or allows holds on all pages of a job and for its buttons."""

import pytest
from django.contrib.admin import AdminSite, ModelAdmin
from django.urls import path

from django_jobs.admin import JobAdmin, install
from django_jobs.admin.routing import ADMINS
from django_jobs.models import Job
from django_jobs.states import State
from tests.dashboard.test_job_list import LIST
from tests.dashboard.test_routing import Urls
from tests.factories import JobFactory, QueueFactory, ScheduleFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

BUTTONS = (
    (LIST + "{}/do/retry/", {}),
    (LIST + "{}/do/duplicate/", {"seen": "0"}),
    ("/admin/jobs/do/retry/", {"job": "{}"}),
)


@pytest.fixture
def only_mail(monkeypatch):
    """Hide all other queues' jobs by the queryset."""
    whole = JobAdmin.get_queryset
    monkeypatch.setattr(
        JobAdmin, "get_queryset", lambda page, request: whole(page, request).filter(queue="mail")
    )


def press(client, button, job):
    address, given = button
    given = {name: value.format(job.pk) for name, value in given.items()}
    return client.post(address.format(job.pk), given, follow=True)


@pytest.mark.usefixtures("only_mail")
@pytest.mark.parametrize("button", BUTTONS)
def test_a_job_that_is_not_among_those_of_the_page_is_left_alone(admin_client, button):
    job = JobFactory(failed=True)
    response = press(admin_client, button, job)
    said = [str(message) for message in response.context["messages"]]
    assert said[0].startswith("No change: there is no such job")
    assert Job.objects.get().state == State.FAILED


@pytest.mark.usefixtures("only_mail")
@pytest.mark.parametrize("button", BUTTONS)
def test_the_others_are_not(admin_client, button):
    job = JobFactory(failed=True, queue="mail")
    press(admin_client, button, job)
    assert Job.objects.filter(state=State.READY).count() == 1


@pytest.mark.parametrize("button", BUTTONS)
def test_a_job_that_the_user_may_not_see_is_left_alone(admin_client, monkeypatch, button):
    monkeypatch.setattr(
        JobAdmin,
        "has_view_permission",
        lambda _page, _request, job=None: job is None or job.queue == "mail",
    )
    job = JobFactory(failed=True)
    press(admin_client, button, job)
    assert Job.objects.get().state == State.FAILED


@pytest.mark.usefixtures("only_mail")
def test_a_job_that_is_not_among_those_of_the_page_is_not_deleted(admin_client):
    hidden, shown = JobFactory(failed=True), JobFactory(failed=True, queue="mail")
    for job in (hidden, shown):
        given = {"as_of": job.finished_at.isoformat()}
        admin_client.post(f"{LIST}{job.pk}/delete/", given)
    assert list(Job.objects.all()) == [hidden]


def test_no_row_is_saved_by_hand_even_where_a_project_allows_changes(admin_client, monkeypatch):
    monkeypatch.setattr(JobAdmin, "has_change_permission", lambda *_: True)
    job = JobFactory(failed=True)
    given = {
        "name": "os.system",
        "queue": "other",
        "args": "[7]",
        "kwargs": "{}",
        "priority": 0,
        "state": "READY",
        "attempt": 0,
        "max_attempts": 1,
        "lost_count": 0,
        "max_lost": 1,
        "run_at_0": "2030-01-01",
        "run_at_1": "00:00:00",
        "metadata": "null",
        "enqueued_at_0": "2030-01-01",
        "enqueued_at_1": "00:00:00",
    }
    assert admin_client.post(f"{LIST}{job.pk}/change/", given).status_code == 403
    assert Job.objects.get().args == [1, 2]


@pytest.mark.parametrize("model", [*ADMINS, None], ids=str)
def test_all_screens_answer_beside_plain_pages_of_a_project(admin_client, settings, model):
    site = AdminSite()
    for each in [model] if model else ADMINS:
        site.register(each, ModelAdmin)
    install(site)
    settings.ROOT_URLCONF = Urls(path("admin/", site.urls))
    rows = [JobFactory(failed=True, queue="mail"), QueueFactory(name="mail"), WorkerFactory()]
    rows += [JobFactory(running=True), ScheduleFactory()]
    lists = [f"{each.__name__.lower()}/" for each in ADMINS]
    ours = ["", "live/", "failed/", "failed/live/", "history/", *lists]
    ours += [f"{row._meta.model_name}/{row.pk}/change/" for row in rows]
    for address in ours:
        assert admin_client.get(f"/admin/jobs/{address}").status_code == 200, address
