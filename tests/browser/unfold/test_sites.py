"""Other admin sites than the default one: beside django-unfold all of them have to be its own."""

import pytest
from django.contrib import admin
from django.urls import path
from unfold.admin import ModelAdmin
from unfold.sites import UnfoldAdminSite

from django_jobs.admin import JobsAdminSite, JobsAdminSiteMixin, ScheduleAdmin, install
from django_jobs.models import Schedule
from tests.dashboard.pages import trouble
from tests.factories import JobFactory, ScheduleFactory

pytestmark = pytest.mark.django_db


class Office(JobsAdminSiteMixin, UnfoldAdminSite):
    """A project's own site with the pages of jobs."""


class Schedules(ModelAdmin, ScheduleAdmin):
    """Ours, with what unfold gives to lists and forms."""


class Ops(JobsAdminSite, UnfoldAdminSite):
    """A site for jobs and nothing else."""


def installed():
    site = UnfoldAdminSite(name="office")
    install(site)
    return site


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.parametrize("make", [lambda: Office("office"), lambda: Ops("office"), installed])
def test_a_second_site_has_all_pages(admin_client, settings, make):
    class Addresses:
        urlpatterns = [path("office/", make().urls), path("admin/", admin.site.urls)]

    settings.ROOT_URLCONF = Addresses
    trouble()
    job = JobFactory(failed=True)
    screens = ("", "failed/", "history/", "queue/", "worker/", "schedule/", "job/")
    for place in (*screens, f"job/{job.pk}/change/"):
        response = admin_client.get(f"/office/jobs/{place}")
        assert response.status_code == 200, place
        page = response.content.decode()
        assert 'href="/office/jobs/' in page, place
        assert 'href="/admin/jobs/' not in page, place


def test_a_site_for_jobs_alone_opens_with_the_dashboard(admin_client, settings):
    class Addresses:
        urlpatterns = [path("ops/", Ops("ops").urls)]

    settings.ROOT_URLCONF = Addresses
    assert admin_client.get("/ops/")["Location"] == "/ops/jobs/"


# Unfold 0.110 overrides a method of Django 6.1 as it was before.
@pytest.mark.filterwarnings("ignore:Overriding get_action_choices")
def test_a_list_of_ours_can_be_made_one_of_unfolds(admin_client, settings):
    site = Office("office")
    site.register(Schedule, Schedules)

    class Addresses:
        urlpatterns = [path("office/", site.urls)]

    settings.ROOT_URLCONF = Addresses
    row = ScheduleFactory(name="night")
    assert isinstance(site.get_model_admin(Schedule), Schedules)
    for place in ("", f"{row.pk}/change/", "add/"):
        response = admin_client.get(f"/office/jobs/schedule/{place}")
        assert response.status_code == 200, place
    chosen = {"action": "pause_schedules", "_selected_action": [row.pk], "reason": "their audit"}
    admin_client.post("/office/jobs/schedule/", chosen)
    row.refresh_from_db()
    assert row.paused_reason == "their audit"
