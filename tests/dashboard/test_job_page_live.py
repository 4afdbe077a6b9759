import re

import pytest

from django_jobs.admin.screens import STOP
from django_jobs.models import Job, JobLog, JobProgress, JobRun
from tests.conftest import NOON
from tests.dashboard.job_pages import PAYLOAD, address, raw, said
from tests.factories import JobFactory, JobRunFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

REGIONS = ["jobs-updated", "job-head", "job-running", "job-newest"]


def live(client, job, newest=0):
    return client.get(address(job, "live"), {"newest": newest}, headers={"hx-request": "true"})


def test_a_job_that_lives_keeps_fresh_every_two_seconds(admin_client):
    text = raw(admin_client, JobFactory(running=True))
    assert 'data-interval="2"' in text
    assert "jobs.js" in text


def test_the_setting_may_say_less_or_never(admin_client, settings):
    job = JobFactory(running=True)
    settings.DJANGO_JOBS = {"ADMIN_REFRESH": 1.5}
    assert 'data-interval="1.5"' in raw(admin_client, job)
    settings.DJANGO_JOBS = {"ADMIN_REFRESH": 0}
    assert "jobs.js" not in raw(admin_client, job)


def test_a_job_that_has_ended_is_not_asked_for_again(admin_client):
    text = raw(admin_client, JobFactory(failed=True))
    assert "jobs.js" not in text
    assert "copy.js" in text


def test_the_regions_come_anew_to_be_put_into_the_page(admin_client):
    job = JobFactory(running=True)
    response = live(admin_client, job)
    assert response.status_code == 200
    text = response.content.decode()
    found = re.findall(r'<(?:section|span)[^>]*? id="([\w-]+)" hx-swap-oob="true"', text)
    assert found == REGIONS
    page = raw(admin_client, job)
    assert all(f'id="{name}"' in page for name in found)
    assert "hx-swap-oob" not in page


def test_progress_and_the_last_lines_of_the_log_come_anew(admin_client):
    job = JobFactory(running=True)
    JobProgress.objects.create(job_id=job.pk, done=3, total=9, note="mailing", updated_at=NOON)
    for number in range(1, 301):
        JobLog.objects.create(job_id=job.pk, claim_id=job.claim_id, at=NOON, line=f"line {number}.")
    JobLog.objects.create(job_id=job.pk, claim_id=job.claim_id + 1, at=NOON, line="of a run before")
    text = said(live(admin_client, job).content.decode())
    assert "3 / 9 · mailing" in text
    assert "12:00:00 line 101." in text
    assert text.index("line 101.") < text.index("line 300.")
    assert "line 100." not in text
    assert "of a run before" not in text


def test_the_log_needs_the_permission_for_payloads(staff):
    client = staff("view_job")
    job = JobFactory(running=True)
    JobLog.objects.create(job_id=job.pk, claim_id=job.claim_id, at=NOON, line="private")
    assert "private" not in live(client, job).content.decode()


def test_refreshing_ends_with_the_job_and_the_page_says_so(admin_client):
    job = JobFactory(failed=True)
    response = live(admin_client, job)
    assert response.status_code == STOP
    text = said(response.content.decode())
    assert "✕ failed" in text
    assert "The job has ended. Load the page anew to see everything." in text


def test_a_try_that_has_ended_meanwhile_is_shown_and_told(admin_client):
    job = JobFactory(running=True)
    assert f'hx-get="{address(job, "live")}?newest=0"' in raw(admin_client, job)
    assert "A try has ended" not in live(admin_client, job).content.decode()
    JobRunFactory(job=job, broken=True, outcome="retried")
    text = said(live(admin_client, job).content.decode())
    assert "A try has ended." in text
    assert "ConnectionError" in text
    seen = live(admin_client, job, JobRun.objects.get().pk)
    assert "A try has ended" not in seen.content.decode()


def test_buttons_that_come_anew_work(admin_client):
    text = live(admin_client, JobFactory(running=True)).content.decode()
    assert 'name="csrfmiddlewaretoken"' in text
    assert '/do/cancel/"' in text


def test_what_was_opened_by_the_page_itself_does_not_stop_a_swap(admin_client):
    job = JobFactory(retrying=True)
    text = live(admin_client, job).content.decode()
    assert len(re.findall(r"<details[^>]* open", text)) == 1
    assert '<details class="job-run" open data-auto>' in text


def test_who_was_logged_out_is_sent_to_the_login_with_the_whole_page(client):
    job = JobFactory(running=True)
    response = live(client, job)
    assert (response.status_code, response.content) == (204, b"")
    page = address(job, "change").replace("/", "%2F")
    assert response["HX-Redirect"] == f"/admin/login/?next={page}"


def test_who_may_not_see_jobs_any_more_is_refused(staff):
    assert live(staff("view_queue"), JobFactory(running=True)).status_code == 403


def test_a_job_that_was_deleted_is_told_by_loading_the_page_anew(admin_client):
    job = JobFactory(running=True)
    Job.objects.all().delete()
    response = live(admin_client, job)
    assert (response.status_code, response["HX-Refresh"]) == (204, "true")


def test_a_refresh_asks_little(staff, django_assert_max_num_queries):
    client = staff("view_job", "change_job", PAYLOAD)
    job = JobFactory(running=True)
    JobRunFactory.create_batch(20, job=job, broken=True)
    with django_assert_max_num_queries(4 + 4):
        live(client, job)


def test_answers_are_not_kept_by_browsers(admin_client):
    job = JobFactory(running=True)
    assert "no-store" in live(admin_client, job)["Cache-Control"]
    assert admin_client.post(address(job, "live")).status_code == 405
