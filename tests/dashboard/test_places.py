"""From each of our screens to each other one, by links and by keys."""

import re

import pytest
from django.urls import reverse

from django_jobs.batches import Batch
from django_jobs.models import Event
from tests.conftest import NOON
from tests.dashboard.pages import PAGE
from tests.factories import JobFactory, JobRunFactory, QueueFactory, ScheduleFactory, WorkerFactory
from tests.jobs import nothing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

SCREENS = (
    PAGE,
    "/admin/jobs/job/",
    "/admin/jobs/failed/",
    "/admin/jobs/queue/",
    "/admin/jobs/worker/",
    "/admin/jobs/history/",
    "/admin/jobs/schedule/",
    "/admin/jobs/jobrun/",
    "/admin/jobs/batch/",
    "/admin/jobs/event/",
    "/admin/jobs/bulkoperation/",
)


def page(client, path):
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("path", SCREENS)
def test_every_screen_leads_to_all_others_and_says_which_it_is(admin_client, path):
    QueueFactory()
    text = page(admin_client, path).partition('<nav class="jobs-lists"')[2].partition("</nav>")[0]
    for other in SCREENS:
        assert re.search(rf'<a href="{other}"( aria-current="page")?>', text)
    assert text.count(f'<a href="{path}" aria-current="page">') == 1


def test_every_key_of_the_list_of_keys_is_a_different_one(admin_client):
    keys = re.findall(r'data-key="(.)"', page(admin_client, PAGE))
    assert len(keys) == len(set(keys)) == 11
    assert not set(keys) & set("gkxp")


def test_the_page_of_a_job_leads_on_too(admin_client):
    JobFactory(pk=7)
    text = page(admin_client, reverse("admin:django_jobs_job_change", args=[7]))
    assert '<a href="/admin/jobs/failed/">' in text


def test_only_what_may_be_seen_is_a_place(staff):
    text = page(staff("view_job"), "/admin/jobs/failed/")
    assert '<a href="/admin/jobs/job/">' in text
    assert "/admin/jobs/queue/" not in text


def rows():
    with Batch("album 7") as batch:
        batch.enqueue(nothing)
    yield "batch", batch.id
    yield "event", Event.objects.create(name="order/paid", sent_at=NOON, data="{}").pk
    yield "jobrun", JobRunFactory().pk
    yield "schedule", ScheduleFactory().pk
    yield "worker", WorkerFactory().pk


def test_the_pages_of_rows_and_their_histories_lead_on_too(admin_client):
    for model, key in rows():
        for part in ("change", "history"):
            text = page(admin_client, f"/admin/jobs/{model}/{key}/{part}/")
            assert text.count('<nav class="jobs-lists"') == 1
            assert '<a href="/admin/jobs/failed/">' in text
            assert text.count('data-key="d"') == text.count('id="jobs-keys-open"') == 1
            assert "django_jobs/keys.js" in text
    schedule = ScheduleFactory()
    for address in ("add", f"{schedule.pk}/backfill"):
        assert '<nav class="jobs-lists"' in page(admin_client, f"/admin/jobs/schedule/{address}/")


@pytest.mark.parametrize("path", SCREENS)
def test_every_screen_has_the_keys_once(admin_client, path):
    QueueFactory()
    text = page(admin_client, path)
    assert text.count('id="jobs-keys"') == text.count('id="jobs-keys-open"') == 1
    assert text.count("django_jobs/keys.js") == 1


def test_lists_of_django_lead_only_to_what_may_be_seen(staff):
    text = page(staff("view_schedule"), "/admin/jobs/schedule/")
    found = text.partition('<nav class="jobs-lists"')[2].partition("</nav>")[0]
    assert re.findall(r'href="([^"]*)"', found) == ["/admin/jobs/schedule/"]
