import re
from datetime import timedelta

import pytest
from django.contrib.admin import AdminSite
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from django_jobs.admin.buttons import pressing
from django_jobs.models import Job, JobRun, Queue
from django_jobs.states import State
from django_jobs.testing import run_jobs
from tests.conftest import NOON
from tests.dashboard.pages import PAGE, buttons, failing, press, raw, shown, trouble
from tests.factories import JobFactory, QueueFactory, ScheduleFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

OWN_QUERIES = 7
DJANGOS_QUERIES = 2
"""The session and the user; the superuser needs no permissions looked up."""

ALL_VIEWS = ("view_job", "view_queue", "view_worker", "view_schedule")
HOSTILE = "<script>alert(1)</script>"


def test_the_page_begins_with_what_is_wrong(admin_client):
    trouble()
    text = shown(admin_client)
    assert "✕ 3 problems 1 worker alive · 1 job running" in text
    for said in (
        "The worker web-1:4711 is silent since its lease ended 14 min ago, with 1 job.",
        "10 jobs of add failed within 15 min: ConnectionError: 503 from partner",
        "The queue “reports” was paused by ana 5 min ago: 1 job waits.",
        "Requeue 1 job",
        "Retry 1",
        "Retry all 10",
        "Resume",
    ):
        assert said in text


def test_where_all_is_well_it_says_so_in_a_word_and_a_shape(admin_client):
    WorkerFactory()
    QueueFactory()
    text = shown(admin_client)
    assert "✓ All clear 1 worker alive · 0 jobs running" in text
    assert "✓ No failed jobs." in text


def test_the_numbers_lead_to_the_lists(admin_client):
    QueueFactory()
    JobFactory.create_batch(3, queue="mail")
    JobFactory(retrying=True)
    page = raw(admin_client)
    assert '<a href="/admin/jobs/job/?state__exact=READY"><strong>3</strong> ready</a>' in page
    assert "<strong>1</strong> retrying" in page


def test_failures_are_listed_by_error_with_their_trend(admin_client):
    QueueFactory()
    failing(4)
    failing(2, finished_at=NOON - timedelta(minutes=20))
    text = shown(admin_client)
    assert "ConnectionError: 503 from partner tests.jobs.add · first 20 min ago 6" in text
    assert "0, 0, 0, 0, 0, 0, 2, 4" in text
    assert "▁▁▁▁▁▁▅█" in text


def test_queues_workers_and_schedules_are_on_the_page(admin_client):
    QueueFactory(name="mail")
    QueueFactory(name="reports", paused=True, paused_reason="upgrade")
    Queue.objects.filter(name="reports").update(paused_until=NOON + timedelta(hours=1))
    JobFactory(queue="mail")
    WorkerFactory(name="web-1:1", queues=["reports"])
    WorkerFactory(name="web-2:2", beat_at=NOON - timedelta(minutes=14))
    ScheduleFactory(name="nightly", cron="0 2 * * *")
    ScheduleFactory(name="late", next_run_at=NOON - timedelta(minutes=3))
    text = shown(admin_client)
    for said in (
        "mail ✕ not served 1 30 s 0",
        "reports ‖ paused by ana 5 min ago: upgrade; resumes in 1 h 0 – 1",
        "web-1:1 ● alive , 3 s ago reports 0",
        "web-2:2 ○ silent , 14 min ago all 0",
        "nightly at 02:00 every day Tue 2030-01-15 13:00 UTC (in 1 h)",
        "late every hour ✕ overdue",
    ):
        assert said in text


def test_the_numbers_say_how_many_of_the_workers_live(staff):
    WorkerFactory()
    WorkerFactory(beat_at=NOON - timedelta(minutes=14))
    QueueFactory()
    client = staff("view_job", "view_worker")
    assert '<a href="/admin/jobs/worker/"><strong>1/2</strong> workers alive</a>' in raw(client)


def test_who_may_not_see_workers_is_not_told_how_many_live(staff):
    WorkerFactory()
    QueueFactory()
    assert "workers alive" not in raw(staff("view_job"))


@pytest.mark.parametrize("may_view", [True, False])
def test_the_problem_of_a_queue_leads_to_the_queue_or_to_its_jobs(staff, may_view):
    queue = QueueFactory(name="mail")
    WorkerFactory()
    JobFactory(queue="mail", run_at=NOON - timedelta(minutes=6))
    client = staff("view_job", *(["view_queue"] if may_view else []))
    verdict = raw(client).partition('id="jobs-verdict"')[2].partition("</section>")[0]
    assert "Jobs wait too long in the queue “mail”" in verdict
    page = f"/admin/jobs/queue/{queue.pk}/change/"
    assert (page in verdict) is may_view
    assert ("/admin/jobs/job/?state__exact=READY&amp;queue=mail" in verdict) is not may_view


def test_paused_schedules_are_counted_and_lead_to_them(admin_client):
    QueueFactory()
    assert "paused" not in shown(admin_client)
    ScheduleFactory.create_batch(2, paused=True)
    ScheduleFactory(paused=True, disabled=True)
    assert "Nothing is planned. ‖ 2 schedules are paused" in shown(admin_client)
    assert 'href="/admin/jobs/schedule/?state=paused"' in raw(admin_client)


def test_a_project_without_jobs_is_told_how_to_begin(admin_client):
    text = shown(admin_client)
    assert "Your first job" in text
    assert "python manage.py runworker" in text
    assert "Failed, by error" not in text
    assert "Run a test job" in text


def test_a_test_job_is_run_by_a_press_once_at_a_time(admin_client):
    [said] = press(admin_client, "test-job")
    job = Job.objects.get()
    assert said == f"The test job #{job.pk} is enqueued; a worker that is there runs it at once."
    assert (job.name, job.queue) == ("django_jobs.trial.test_job", "default")
    assert job.enqueued_by == "admin"
    [said] = press(admin_client, "test-job")
    assert said == f"No change: the test job #{job.pk} is on its way already."
    [entry] = LogEntry.objects.all()
    assert (entry.object_id, entry.get_change_message()) == (
        str(job.pk),
        "test job enqueued on the dashboard",
    )
    assert "Run a test job" not in raw(admin_client)
    run_jobs()
    job.refresh_from_db()
    assert (job.state, JobRun.objects.get().result) == (State.SUCCESSFUL, "It works.")


def test_the_test_job_goes_into_a_queue_that_the_project_allows(admin_client, settings):
    settings.DJANGO_JOBS = {"QUEUES": ["mail", "slow"]}
    press(admin_client, "test-job")
    assert Job.objects.get().queue == "mail"


def test_who_may_not_make_jobs_cannot_run_a_test_job(staff):
    client = staff("view_job", "change_job")
    assert buttons(client) == []
    assert client.post("/admin/jobs/do/test-job/").status_code == 403
    assert not Job.objects.exists()


def test_who_may_make_jobs_may_run_a_test_job(staff):
    assert buttons(staff("view_job", "add_job")) == ["test-job"]


@pytest.mark.parametrize("size", [1, 15])
def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    admin_client, django_assert_num_queries, size
):
    for number in range(size):
        QueueFactory(name=f"q{number}", paused=bool(number % 2))
        JobFactory(queue=f"q{number}")
        WorkerFactory()
        ScheduleFactory()
        failing(3, f"error-{number}")
        JobFactory(running=True, silent=True)
    with django_assert_num_queries(OWN_QUERIES + DJANGOS_QUERIES):
        raw(admin_client)


def test_hostile_texts_are_never_markup(admin_client):
    QueueFactory(name=HOSTILE[:64], paused=True, paused_reason=HOSTILE)
    Queue.objects.update(paused_by=HOSTILE)
    JobFactory(queue=HOSTILE[:64], run_at=NOON)
    WorkerFactory(name=HOSTILE, queues=[HOSTILE])
    ScheduleFactory(name=HOSTILE)
    for job in failing(10, HOSTILE[:16], name=f"shop.{HOSTILE}"):
        job.runs.update(error_type=HOSTILE, error=HOSTILE)
    page = raw(admin_client)
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;") > 8


def test_nothing_on_the_page_needs_an_exception_from_a_strict_policy(admin_client):
    trouble()
    page = raw(admin_client).partition('<div id="content-main"')[2]
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:|<script", page)


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        ([], []),
        (["change_job"], ["requeue", "retry", "retry-all"]),
        (["change_queue"], ["pause", "resume"]),
    ],
)
def test_buttons_that_a_user_may_not_press_are_absent_and_refused(staff, granted, allowed):
    trouble()
    client = staff(*ALL_VIEWS, *granted)
    assert buttons(client) == allowed
    refused = {
        verb
        for verb, (model, _) in pressing.VERBS.items()
        if f"change_{model.__name__.lower()}" not in granted
    }
    assert not refused & set(allowed)
    for verb in refused:
        response = client.post(f"/admin/jobs/do/{verb}/", {"queue": "mail"})
        assert response.status_code == 403
    assert not LogEntry.objects.exists()


def test_regions_that_a_user_may_not_see_are_absent(staff):
    trouble()
    page = raw(staff("view_job"))
    assert 'id="jobs-newest"' in page
    for region in ("queues", "workers", "schedules"):
        assert f'id="jobs-{region}"' not in page


def test_who_may_see_some_lists_but_no_jobs_gets_the_lists(staff):
    page = raw(staff("view_queue"))
    assert "/admin/jobs/queue/" in page
    assert "jobs-verdict" not in page


def test_who_may_see_nothing_is_refused(staff):
    assert staff().get(PAGE).status_code == 403


def test_strangers_are_sent_to_the_login(client):
    response = client.get(PAGE)
    assert (response.status_code, response["Location"]) == (302, f"/admin/login/?next={PAGE}")
    response = client.post("/admin/jobs/do/resume/", {"queue": "mail"})
    assert response["Location"].startswith("/admin/login/")


def test_actions_are_posts_with_a_token(admin_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.get("/admin/jobs/do/resume/").status_code == 405
    assert client.post("/admin/jobs/do/resume/", {"queue": "mail"}).status_code == 403
    assert client.post(PAGE).status_code in {403, 405}


def test_an_unknown_action_is_no_page(admin_client):
    assert admin_client.post("/admin/jobs/do/explode/").status_code == 404


def test_a_site_without_our_lists_shows_nothing(rf, admin_user):
    from django.core.exceptions import PermissionDenied

    from django_jobs.admin.dashboard.page import Dashboard

    request = rf.get(PAGE)
    request.user = admin_user
    with pytest.raises(PermissionDenied):
        Dashboard(AdminSite()).page(request)


def test_the_lists_stand_above_it_all(admin_client):
    page = raw(admin_client)
    assert f'<a href="{reverse("admin:django_jobs_job_changelist")}">Jobs</a>' in page
