"""The panel of a row's jobs on the page of that row, in an admin of the project's own."""

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.urls import path

from django_jobs import operations, subjects
from django_jobs.admin import JobsPanel, install
from django_jobs.admin.panel import FACES
from django_jobs.models import Job
from django_jobs.states import State, label
from django_jobs.subjects import name_of
from tests.conftest import NOON
from tests.factories import JobFactory
from tests.models import Purchase, Voucher

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


class PurchaseAdmin(JobsPanel, ModelAdmin):
    fields = ("state", "note")


class Urls:
    def __init__(self, *patterns):
        self.urlpatterns = list(patterns)


@pytest.fixture(autouse=True)
def site(settings):
    """An admin site with pages of rows, at the place of the other one."""
    site = AdminSite(name="admin")
    install(site)
    site.register(Purchase, PurchaseAdmin)
    site.register(Voucher, PurchaseAdmin, fields=("used",))
    settings.ROOT_URLCONF = Urls(path("admin/", site.urls))
    return site


@pytest.fixture
def row():
    return Purchase.objects.create()


def page_of(row):
    return f"/admin/tests/{row._meta.model_name}/{row.pk}/change/"


def button_of(row, job):
    return f"/admin/tests/{row._meta.model_name}/{row.pk}/jobs/{job.pk}/retry/"


def content(client, row):
    response = client.get(page_of(row))
    assert response.status_code == 200
    return response.content.decode()


def panel(client, row):
    """The panel's text, "" where there is none."""
    found = re.search(r'<section[^>]*id="jobs-panel".*?</section>', content(client, row), re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split()) if found else ""


def about(row, **fields):
    return JobFactory(about=name_of(row), **fields)


def may(staff, *codenames):
    """A member of staff who may change purchases, and what is named of jobs."""
    client = staff(*codenames)
    user = client.get("/admin/").wsgi_request.user
    user.user_permissions.add(Permission.objects.get(codename="change_purchase"))
    return client


def test_the_page_of_a_row_shows_the_jobs_about_it_newest_first(admin_client, row):
    about(row, successful=True)
    about(row, failed=True, name="tests.jobs.send")
    about(Purchase.objects.create(), name="tests.jobs.other")
    text = panel(admin_client, row)
    assert re.search(r"send #\d+ ✕ failed ConnectionError: 503 from partner 10 s ago", text)
    assert re.search(r"send #.*add #\d+ ✓ successful 10 s ago", text)
    assert "other" not in text


def test_a_row_without_jobs_says_so(admin_client, row):
    assert panel(admin_client, row) == "Jobs No jobs about it."


def test_every_word_for_a_state_has_a_shape():
    words = {label(state, 0) for state in State} | {
        label(State.RUNNING, 1, cancel_requested=True),
        label(State.SCHEDULED, 1),
    }
    assert words == set(FACES)


def test_only_the_newest_twenty_are_shown_and_the_rest_is_told(admin_client, row):
    JobFactory.create_batch(20, about=name_of(row))
    assert "there are older ones" not in panel(admin_client, row)
    JobFactory(about=name_of(row), name="tests.jobs.newest")
    text = panel(admin_client, row)
    assert "The newest 20; there are older ones." in text
    assert (text.count("add #"), text.count("newest #")) == (19, 1)


def test_each_job_leads_to_its_page(admin_client, row):
    job = about(row)
    assert f'href="/admin/jobs/job/{job.pk}/change/"' in content(admin_client, row)


def test_the_panel_is_one_query_however_many_jobs_there_are(admin_client, row):
    def queries():
        with CaptureQueriesContext(connections["default"]) as found:
            content(admin_client, row)
        return [query["sql"] for query in found if "django_jobs_" in query["sql"]]

    about(row)
    assert len(queries()) == 1
    JobFactory.create_batch(30, about=name_of(row), failed=True)
    assert len(queries()) == 1


def test_whoever_may_not_see_jobs_sees_no_panel_and_costs_no_query(staff, row):
    client = may(staff)
    job = about(row, failed=True)
    with CaptureQueriesContext(connections["default"]) as found:
        assert panel(client, row) == ""
    assert not [query for query in found if "django_jobs_" in query["sql"]]
    assert client.post(button_of(row, job)).status_code == 403


def test_whoever_may_only_look_has_no_button(staff, row):
    client = may(staff, "view_job")
    job = about(row, failed=True)
    assert "failed" in panel(client, row)
    assert "Retry" not in panel(client, row)
    assert client.post(button_of(row, job)).status_code == 403
    job.refresh_from_db()
    assert job.state == State.FAILED


def test_a_failed_job_is_retried_and_the_log_says_so(staff, row):
    client = may(staff, "view_job", "change_job")
    job = about(row, failed=True)
    assert f'action="{button_of(row, job)}"' in content(client, row)
    response = client.post(button_of(row, job), follow=True)
    assert response.redirect_chain == [(page_of(row), 302)]
    assert [str(message) for message in response.context["messages"]] == ["1 job retried."]
    job.refresh_from_db()
    assert job.state == State.READY
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("ana", str(job.pk))
    assert entry.get_change_message().startswith("1 retried on the page of purchase")


def test_who_presses_second_hears_that_it_is_done(admin_client, row):
    job = about(row, failed=True)
    admin_client.post(button_of(row, job))
    response = admin_client.post(button_of(row, job), follow=True)
    [_, message] = [str(message) for message in response.context["messages"]]
    assert message.startswith(f"1 job unchanged. #{job.pk}: it is ready")
    assert LogEntry.objects.count() == 1


def test_only_failed_jobs_have_a_button(admin_client, row):
    for state in ("successful", "cancelled", "running", "retrying"):
        about(row, **{state: True})
    assert "Retry" not in panel(admin_client, row)


def test_the_button_is_for_jobs_about_the_row_alone(admin_client, row):
    other = JobFactory(failed=True)
    assert admin_client.post(button_of(row, other)).status_code == 404
    other.refresh_from_db()
    assert other.state == State.FAILED
    assert admin_client.post(f"/admin/tests/purchase/777/jobs/{other.pk}/retry/").status_code == 404


def test_the_button_is_no_link(admin_client, row):
    job = about(row, failed=True)
    assert admin_client.get(button_of(row, job)).status_code == 405


def test_the_button_needs_the_token_of_the_form(client, admin_user, row):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    assert strict.post(button_of(row, about(row, failed=True))).status_code == 403


def test_the_panel_is_outside_of_the_form(admin_client, row):
    about(row, failed=True)
    page = content(admin_client, row)
    form = page[page.index('id="purchase_form"') :]
    assert form.index("</form>") < form.index('id="jobs-panel"')


def test_the_form_itself_works_as_before(admin_client, row):
    response = admin_client.post(page_of(row), {"state": "paid", "note": "x"})
    assert response.status_code == 302
    row.refresh_from_db()
    assert row.state == "paid"


def test_a_form_with_errors_has_the_panel_too(admin_client, row):
    about(row)
    response = admin_client.post(page_of(row), {"state": "", "note": "x"})
    assert 'class="errornote"' in response.content.decode()
    assert 'id="jobs-panel"' in response.content.decode()


@pytest.mark.parametrize("address", ["add/", "{}/change/?_popup=1"])
def test_there_is_none_where_there_is_no_row_or_no_room(admin_client, row, address):
    response = admin_client.get("/admin/tests/purchase/" + address.format(row.pk))
    assert response.status_code == 200
    assert 'id="jobs-panel"' not in response.content.decode()


def test_hostile_text_harms_nobody(admin_client, row):
    job = about(row, name="tests.jobs.<script>alert(1)</script>", failed=True)
    job.runs.update(error="</td><script>alert(2)</script>", error_type="E")
    page = content(admin_client, row)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(2)" in page


def test_a_key_that_is_no_number_works(admin_client):
    row = Voucher.objects.create()
    job = about(row, failed=True)
    response = admin_client.post(button_of(row, job), follow=True)
    assert [str(message) for message in response.context["messages"]] == ["1 job retried."]
    assert "ready" in panel(admin_client, row)


def test_a_page_with_a_template_of_its_own_keeps_it(admin_client, row, monkeypatch, settings):
    template = (
        "{% extends 'admin/change_form.html' %}{% block form_top %}<b>own top</b>{% endblock %}"
    )
    settings.TEMPLATES = [
        {
            **settings.TEMPLATES[0],
            "APP_DIRS": False,
            "OPTIONS": {
                **settings.TEMPLATES[0]["OPTIONS"],
                "loaders": [
                    ("django.template.loaders.locmem.Loader", {"own/change.html": template}),
                    "django.template.loaders.app_directories.Loader",
                ],
            },
        }
    ]
    monkeypatch.setattr(PurchaseAdmin, "change_form_template", "own/change.html")
    about(row)
    page = content(admin_client, row)
    assert "<b>own top</b>" in page
    assert 'id="jobs-panel"' in page


def test_a_site_without_the_pages_of_jobs_has_no_panel(admin_client, row, settings):
    site = AdminSite(name="admin")
    site.register(Purchase, PurchaseAdmin)
    settings.ROOT_URLCONF = Urls(path("admin/", site.urls))
    about(row)
    assert panel(admin_client, row) == ""


def test_two_who_press_at_the_same_moment_do_it_once(admin_client, row, monkeypatch):
    job = about(row, failed=True)
    retry = operations.retry

    def second(ids):
        retry(ids)
        return retry(ids)

    monkeypatch.setattr(operations, "retry", second)
    response = admin_client.post(button_of(row, job), follow=True)
    [message] = [str(message) for message in response.context["messages"]]
    assert message.startswith("1 job unchanged.")
    assert Job.objects.get().state == State.READY


@pytest.mark.django_db(databases=["default", "other"])
def test_the_jobs_database_is_asked(admin_client, row, settings):
    settings.DJANGO_JOBS = {"DATABASE": "other"}
    Job.objects.using("other").create(
        name="tests.jobs.far",
        about=name_of(row),
        run_at=NOON,
        enqueued_at=NOON - timedelta(minutes=2),
    )
    assert "far #" in panel(admin_client, row)


def test_the_pages_of_the_default_site_stay_what_they_are():
    assert not admin.site.is_registered(Purchase)


def test_after_the_login_the_way_leads_back_to_the_row(client, row):
    response = client.post(button_of(row, about(row, failed=True)))
    assert response["Location"] == f"/admin/login/?next={page_of(row)}"


def test_a_row_whose_key_is_too_long_for_a_job_keeps_its_page(admin_client, row, monkeypatch):
    job = about(row, failed=True)
    monkeypatch.setattr(subjects, "LONGEST", 10)
    assert "jobs-panel" not in content(admin_client, row)
    assert admin_client.post(button_of(row, job)).status_code == 404
