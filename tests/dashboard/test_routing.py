import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth.models import Group
from django.urls import path, re_path, resolve, reverse

from django_jobs.admin import JobsAdminSite, JobsAdminSiteMixin, install
from django_jobs.admin.routing import with_jobs
from django_jobs.checks import check_admin_prefix
from django_jobs.models import Job, Worker
from tests.factories import JobFactory, QueueFactory

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.django_db


class Urls:
    """An URLconf of its own."""

    def __init__(self, *patterns):
        self.urlpatterns = list(patterns)


@pytest.fixture
def urlconf(settings):
    """Use other addresses for the length of a test; call it with patterns."""

    def use(*patterns):
        settings.ROOT_URLCONF = Urls(*patterns)

    return use


def office(**options):
    site = AdminSite(name="office")
    install(site, **options)
    return site


@pytest.mark.parametrize(
    ("name", "options", "address"),
    [
        ("app_list", {"kwargs": {"app_label": "django_jobs"}}, "/admin/jobs/"),
        ("django_jobs_job_changelist", {}, "/admin/jobs/job/"),
        ("django_jobs_schedule_change", {"args": [7]}, "/admin/jobs/schedule/7/change/"),
        ("django_jobs_schedule_run_now", {"args": [7]}, "/admin/jobs/schedule/7/run-now/"),
        ("django_jobs_health", {}, "/admin/jobs/health.json"),
        ("app_list", {"kwargs": {"app_label": "auth"}}, "/admin/auth/"),
        ("auth_group_changelist", {}, "/admin/auth/group/"),
    ],
)
def test_djangos_own_names_lead_to_the_pages(name, options, address):
    assert reverse(f"admin:{name}", **options) == address
    assert resolve(address)


def test_index_sidebar_and_breadcrumbs_lead_there(admin_client):
    index = admin_client.get("/admin/").content.decode()
    assert 'href="/admin/jobs/"' in index
    assert 'href="/admin/jobs/job/"' in index
    assert "/admin/django_jobs/" not in index
    job = JobFactory()
    page = admin_client.get(f"/admin/jobs/job/{job.pk}/change/").content.decode()
    assert 'href="/admin/jobs/"' in page
    assert "/admin/django_jobs/" not in page


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("job/", "job/"),
        ("job/?state__exact=FAILED&q=a%26b", "job/?state__exact=FAILED&q=a%26b"),
        ("schedule/7/change/", "schedule/7/change/"),
        ("job/a%3Fb/change/", "job/a%3Fb/change/"),
        ("/evil.example/", "/evil.example/"),
    ],
)
def test_djangos_usual_address_sends_on_to_ours(admin_client, old, new):
    response = admin_client.get(f"/admin/django_jobs/{old}")
    assert (response.status_code, response["Location"]) == (307, f"/admin/jobs/{new}")


def test_a_form_that_was_open_during_a_deploy_still_works(admin_client):
    queue = QueueFactory(name="default")
    address = "/admin/django_jobs/do/pause/"
    response = admin_client.post(address, {"queue": "default"}, follow=True)
    assert response.redirect_chain[0] == ("/admin/jobs/do/pause/", 307)
    queue.refresh_from_db()
    assert queue.paused_at is not None


def test_strangers_learn_nothing_at_the_old_address(client):
    response = client.get("/admin/django_jobs/job/")
    assert response["Location"].startswith("/admin/login/")


def test_installing_twice_does_nothing_twice():
    before = admin.site.get_urls
    install(admin.site)
    assert admin.site.get_urls is before


def test_a_second_site_has_the_pages_under_its_own_name(admin_client, urlconf):
    urlconf(path("office/", office().urls), path("admin/", admin.site.urls))
    page = admin_client.get("/office/jobs/").content.decode()
    assert 'href="/office/jobs/job/"' in page
    assert '="/admin/' not in page
    QueueFactory(name="default")
    response = admin_client.post("/office/jobs/do/pause/", {"queue": "default"})
    assert response["Location"] == "/office/jobs/"


def test_the_page_of_a_job_stays_in_its_site(admin_client, urlconf):
    urlconf(path("office/", office().urls), path("admin/", admin.site.urls))
    job = JobFactory(failed=True)
    page = admin_client.get(f"/office/jobs/job/{job.pk}/change/").content.decode()
    assert f'action="/office/jobs/job/{job.pk}/do/retry/"' in page
    assert 'href="/office/jobs/job/"' in page
    assert "/admin/" not in page.partition('<div id="content-main"')[2]
    response = admin_client.post(f"/office/jobs/job/{job.pk}/do/retry/")
    assert response["Location"] == f"/office/jobs/job/{job.pk}/change/"


def test_the_prefix_can_be_chosen(admin_client, urlconf, settings):
    settings.DJANGO_JOBS = {"ADMIN_PREFIX": "/background/work/"}
    urlconf(path("office/", office().urls))
    page = admin_client.get("/office/background/work/").content.decode()
    assert 'href="/office/background/work/job/"' in page


@pytest.mark.parametrize("prefix", ["", "/", "django_jobs"])
def test_without_a_prefix_the_pages_stay_where_django_puts_them(admin_client, urlconf, prefix):
    urlconf(path("office/", office(prefix=prefix).urls))
    page = admin_client.get("/office/django_jobs/").content.decode()
    assert 'id="jobs-verdict"' in page
    assert 'href="/office/django_jobs/job/"' in page


@pytest.mark.parametrize(
    "theirs",
    [
        path("jobs/opening/", lambda _request: None),
        path("jobs/", lambda _request: None),
        re_path(r"^jobs/(\d+)/$", lambda _request: None),
    ],
)
def test_a_page_of_the_project_under_that_name_stays(admin_client, urlconf, theirs):
    class Site(AdminSite):
        def get_urls(self):
            return [theirs, *super().get_urls()]

    site = Site(name="office")
    install(site)
    urlconf(path("office/", site.urls))
    assert resolve("/office/jobs/opening/" if "opening" in str(theirs.pattern) else "/office/jobs/")
    page = admin_client.get("/office/django_jobs/").content.decode()
    assert 'id="jobs-verdict"' in page
    assert 'href="/office/django_jobs/job/"' in page


def test_an_app_called_jobs_keeps_its_page(monkeypatch, admin_client, urlconf):
    monkeypatch.setattr(Group._meta, "app_label", "jobs")
    monkeypatch.setitem(apps.app_configs, "jobs", apps.app_configs["auth"])
    site = AdminSite(name="office")
    site.register(Group, ModelAdmin)
    install(site)
    urlconf(path("office/", site.urls))
    assert 'id="jobs-verdict"' not in admin_client.get("/office/jobs/").content.decode()
    assert 'id="jobs-verdict"' in admin_client.get("/office/django_jobs/").content.decode()


def test_a_site_of_ones_own_inherits_it(admin_client, urlconf):
    class Site(JobsAdminSiteMixin, AdminSite):
        jobs_prefix = "work"

    site = Site(name="office")
    install(site)  # does nothing more
    urlconf(path("office/", site.urls))
    assert 'id="jobs-verdict"' in admin_client.get("/office/work/").content.decode()


def test_an_isolated_site_opens_with_the_dashboard(admin_client, urlconf):
    urlconf(path("ops/", JobsAdminSite(name="ops").urls))
    response = admin_client.get("/ops/")
    assert response["Location"] == "/ops/jobs/"
    assert 'id="jobs-verdict"' in admin_client.get("/ops/jobs/").content.decode()


def test_a_projects_own_page_of_jobs_is_kept_and_asked(admin_client, urlconf):
    class Strict(ModelAdmin):
        def has_view_permission(self, *_):
            return False

    site = AdminSite(name="office")
    site.register(Job, Strict)
    install(site)
    urlconf(path("office/", site.urls))
    assert isinstance(site.get_model_admin(Job), Strict)
    assert 'id="jobs-verdict"' not in admin_client.get("/office/jobs/").content.decode()
    assert site.is_registered(Worker)


def test_a_plain_page_of_a_project_decides_by_its_permission_to_change(admin_client, urlconf):
    site = AdminSite(name="office")
    site.register(Job, ModelAdmin)
    install(site)
    urlconf(path("office/", site.urls))
    JobFactory(failed=True)
    assert "/office/jobs/do/retry/" in admin_client.get("/office/jobs/").content.decode()


def test_a_site_without_a_catch_all_keeps_all_its_pages():
    site = AdminSite(name="office")
    site.final_catch_all_view = False
    original = site.get_urls()
    assert {str(one.pattern) for one in original} <= {
        str(one.pattern) for one in with_jobs(site, lambda: original)
    }


def test_it_can_be_switched_off():
    code = (
        "import django; django.setup()\n"
        "from django.urls import reverse\n"
        "print(reverse('admin:app_list', kwargs={'app_label': 'django_jobs'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONPATH": str(ROOT),
            "TEST_DJANGO_JOBS": '{"ADMIN_AUTO": false}',
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "/admin/django_jobs/"


def test_a_taken_prefix_is_reported(monkeypatch, settings):
    assert not check_admin_prefix()
    monkeypatch.setattr(Group._meta, "app_label", "jobs")
    [warning] = check_admin_prefix()
    assert warning.id == "django_jobs.W007"
    assert "/admin/django_jobs/" in warning.msg
    settings.DJANGO_JOBS = {"ADMIN_AUTO": False}
    assert not check_admin_prefix()
