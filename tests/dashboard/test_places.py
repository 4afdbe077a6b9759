"""From each of our screens to each other one, by links and by keys."""

import re

import pytest
from django.urls import reverse

from tests.dashboard.pages import PAGE
from tests.factories import JobFactory, QueueFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

SCREENS = (
    PAGE,
    "/admin/jobs/job/",
    "/admin/jobs/failed/",
    "/admin/jobs/queue/",
    "/admin/jobs/worker/",
    "/admin/jobs/history/",
)


def page(client, path):
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("path", SCREENS)
def test_every_screen_leads_to_all_others_and_says_which_it_is(admin_client, path):
    QueueFactory()
    text = page(admin_client, path).partition('<nav class="jobs-lists"')[2].partition("</nav>")[0]
    for other in (*SCREENS, "/admin/jobs/schedule/", "/admin/jobs/event/", "/admin/jobs/batch/"):
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
