"""In a second admin site every page and every button stays in that site."""

import re

import pytest
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.urls import path

from django_jobs.admin import install
from django_jobs.models import Event, Job, Schedule
from tests.conftest import NOON
from tests.dashboard.test_routing import Urls
from tests.factories import JobFactory, QueueFactory, ScheduleFactory, TickFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

OFFICE = "/office/jobs/"


@pytest.fixture(autouse=True)
def _two_sites(settings):
    site = AdminSite(name="office")
    install(site)
    settings.ROOT_URLCONF = Urls(path("admin/", admin.site.urls), path("office/", site.urls))


def pages():
    """One address of each kind, with something to see on each."""
    failed = JobFactory(failed=True, fingerprint="aaaa")
    queue, row = QueueFactory(name="default"), ScheduleFactory(source="code", overrides=["cron"])
    TickFactory(schedule=row, job_id=failed.pk)
    event = Event.objects.create(name="a/b", key="k", sent_at=NOON, started=[failed.pk])
    WorkerFactory()
    yield from ("", "failed/", "history/", "job/", "jobrun/", "queue/", "worker/", "schedule/")
    yield from ("batch/", "event/", "bulkoperation/", "job/bulk/?verb=retry", "schedule/add/")
    yield from (f"job/{failed.pk}/{page}/" for page in ("change", "history", "arguments"))
    yield from (f"queue/{queue.pk}/{page}/" for page in ("change", "cancel-waiting"))
    yield from (f"schedule/{row.pk}/{page}/" for page in ("change", "backfill", "delete"))
    yield f"event/{event.pk}/change/"


def test_no_page_leads_into_the_other_site(admin_client):
    for page in pages():
        response = admin_client.get(OFFICE + page, follow=True)
        assert response.status_code == 200, page
        text = response.content.decode()
        assert not re.findall(r'(?:href|action|data-url)="(/admin/[^"]*)"', text), page
        assert response.request["PATH_INFO"].startswith("/office/"), page


def test_no_button_of_a_schedule_leads_into_the_other_site(admin_client):
    row = ScheduleFactory()
    for verb in ("pause", "resume", "catch-up", "run-now", "reset"):
        response = admin_client.post(f"{OFFICE}schedule/{row.pk}/{verb}/")
        assert response["Location"] == f"{OFFICE}schedule/{row.pk}/change/"
    assert Job.objects.count() == 1
    given = {"action": "backfill_schedule", "_selected_action": row.pk}
    response = admin_client.post(f"{OFFICE}schedule/", given)
    assert response["Location"] == f"{OFFICE}schedule/{row.pk}/backfill/"
    Schedule.objects.update(source="code")
    response = admin_client.post(f"{OFFICE}schedule/{row.pk}/delete/", {"post": "yes"})
    assert Schedule.objects.exists()
