"""Small things that would not be missed until they are needed."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin import AdminSite, ModelAdmin
from django.core.cache import cache
from django.urls import path

from django_jobs.admin import JobAdmin, JobsPanel, base, install
from django_jobs.models import Batch, BatchJob, Job
from django_jobs.states import State
from tests.conftest import NOON
from tests.dashboard.pages import PAGE, failing
from tests.dashboard.test_bulk import ask, fields
from tests.dashboard.test_job_list import LIST
from tests.dashboard.test_routing import Urls
from tests.factories import JobFactory
from tests.models import Purchase

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def numbers(page):
    return [int(number) for number in re.findall(r'name="_selected_action" value="(\d+)"', page)]


def link(page, rel):
    return re.search(rf'href="([^"]+)" rel="{rel}"', page)[1].replace("&amp;", "&")


def test_newer_and_older_lead_from_page_to_page_and_back(admin_client, monkeypatch):
    monkeypatch.setattr(JobAdmin, "list_per_page", 2)
    ids = [row.pk for row in JobFactory.create_batch(6)][::-1]
    first = admin_client.get(LIST).content.decode()
    second = admin_client.get(LIST + link(first, "next")).content.decode()
    third = admin_client.get(LIST + link(second, "next")).content.decode()
    assert [numbers(page) for page in (first, second, third)] == [ids[:2], ids[2:4], ids[4:]]
    back = admin_client.get(LIST + link(third, "prev")).content.decode()
    assert numbers(back) == ids[2:4]
    assert numbers(admin_client.get(LIST + link(back, "prev")).content.decode()) == ids[:2]


def test_failures_by_a_clock_that_is_ahead_are_retried_with_all_of_their_error(admin_client):
    failing(3)
    Job.objects.update(finished_at=NOON + timedelta(seconds=3))
    page = admin_client.get(f"{PAGE}failed/").content.decode()
    form = page[page.index(f'action="{PAGE}do/retry-all/"') :]
    found = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form.partition("</form>")[0]))
    admin_client.post(f"{PAGE}do/retry-all/", found)
    assert set(Job.objects.values_list("state", flat=True)) == {State.READY}


def test_the_result_of_another_job_is_not_downloaded_with_this_ones_number(admin_client):
    one, other = JobFactory(successful=True), JobFactory(successful=True)
    what = f"result-{other.runs.get().pk}"
    assert admin_client.get(f"{LIST}{other.pk}/download/{what}/").status_code == 200
    assert admin_client.get(f"{LIST}{one.pk}/download/{what}/").status_code == 404


@pytest.mark.parametrize("rights", [("view_job",), ("view_job", "view_batch")])
def test_the_batch_of_a_job_is_a_link_for_those_who_may_see_batches(staff, rights):
    row = JobFactory()
    batch = Batch.objects.create(total=1, pending=1, created_at=NOON)
    BatchJob.objects.create(batch_id=batch.pk, job_id=row.pk, name=row.name)
    page = staff(*rights).get(f"{LIST}{row.pk}/change/").content.decode()
    assert f"#{batch.pk}" in page
    assert (f'href="/admin/jobs/batch/{batch.pk}/change/"' in page) is (len(rights) > 1)


def test_what_was_done_to_all_that_match_is_seen_at_once_by_those_who_look(admin_client):
    cache.clear()
    failing(3)
    live = f"{PAGE}failed/live/"
    assert "3 failed jobs" in admin_client.get(live).content.decode()
    admin_client.post(f"{LIST}bulk/", fields(ask(admin_client)))
    assert "No failed jobs." in admin_client.get(live).content.decode()
    cache.clear()


def test_the_panels_button_is_for_those_who_may_see_the_row(staff, settings):
    class PurchaseAdmin(JobsPanel, ModelAdmin):
        pass

    site = AdminSite(name="admin")
    install(site)
    site.register(Purchase, PurchaseAdmin)
    settings.ROOT_URLCONF = Urls(path("admin/", site.urls))
    row = Purchase.objects.create()
    job = JobFactory(failed=True, about=f"tests.purchase:{row.pk}")
    client = staff("view_job", "change_job")
    address = f"/admin/tests/purchase/{row.pk}/jobs/{job.pk}/retry/"
    assert client.post(address).status_code == 403
    assert Job.objects.get().state == State.FAILED


def test_a_list_of_records_is_not_counted_beyond_its_cap(admin_client, monkeypatch):
    monkeypatch.setattr(base, "CAP", 3)
    JobFactory.create_batch(5, successful=True)
    found = admin_client.get("/admin/jobs/jobrun/").context["cl"]
    assert found.paginator.count == 3
