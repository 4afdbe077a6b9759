"""What an operator does at three in the morning, in a real browser."""

import os
import signal
import subprocess
import sys

import pytest
from django.contrib.sessions.models import Session

from django_jobs import State, enqueue
from django_jobs.models import Job, Queue
from tests.browser.browsing import PATIENCE
from tests.crash.conditions import until
from tests.dashboard.pages import PAGE, failing
from tests.factories import JobFactory, QueueFactory, WorkerFactory
from tests.jobs import add

pytestmark = pytest.mark.django_db(transaction=True)

ERROR = "ConnectionError: 503 from partner"


def headline(page):
    return page.locator("#jobs-headline")


def said(page):
    return page.locator("ul.messagelist").inner_text()


def test_a_failure_spike_is_seen_and_all_of_it_retried(visit):
    WorkerFactory()
    failing(20)
    page = visit(PAGE)
    assert ERROR in page.locator(".jobs-problem").first.inner_text()
    page.get_by_role("button", name="Retry 1").first.click()
    assert "1 job retried." in said(page)
    page.get_by_role("button", name="Retry all 19").first.click()
    assert "19 jobs retried." in said(page)
    assert Job.objects.filter(state=State.READY).count() == 20


def test_a_worker_that_is_killed_turns_the_page_red_by_itself(visit, settings, worker_environment):
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, "LEASE": 2.0}
    environment = {**worker_environment, "TEST_DJANGO_JOBS": '{"LEASE": 2.0}'}
    command = [sys.executable, "-m", "django", "runworker"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as worker:
        try:
            job = enqueue(add, 2, 3)
            until(lambda: Job.objects.filter(pk=job.id, state=State.SUCCESSFUL).exists())
            page = visit(PAGE)
            assert "All clear" in headline(page).inner_text()
        finally:
            os.kill(worker.pid, signal.SIGKILL)
    enqueue(add, 2, 3)
    page.get_by_text("No worker is alive").wait_for(timeout=PATIENCE)
    assert "1 problem" in headline(page).inner_text()
    assert "python manage.py runworker" in page.locator(".jobs-problem").inner_text()


def test_a_queue_is_paused_and_resumed(visit):
    WorkerFactory()
    QueueFactory(name="mail")
    JobFactory(queue="mail")
    page = visit(PAGE)
    page.locator("#jobs-queues summary").first.click()
    page.locator("#jobs-queues").get_by_label("Reason").first.fill("db upgrade")
    page.locator("#jobs-queues").get_by_role("button", name="Pause").first.click()
    assert "The queue “mail” is paused" in said(page)
    assert Queue.objects.get().paused_reason == "db upgrade"
    page.get_by_role("button", name="Resume").first.click()
    assert "The queue “mail” goes on" in said(page)
    assert Queue.objects.get().paused_at is None


def test_the_page_follows_what_happens_and_leaves_alone_what_is_open(visit):
    WorkerFactory()
    QueueFactory(name="mail")
    page = visit(PAGE)
    page.locator("#jobs-queues summary").first.click()
    JobFactory.create_batch(3, queue="mail")
    page.locator("#jobs-counts").get_by_text("3").first.wait_for()
    assert page.locator("#jobs-queues details").first.get_attribute("open") is not None
    page.get_by_role("button", name="Pause refreshing").click()
    page.reload()
    assert page.get_by_role("button", name="Go on refreshing").is_visible()


def test_a_lost_session_leads_to_the_login_and_back_to_the_page(visit, admin_user):
    WorkerFactory()
    QueueFactory()
    page = visit(PAGE)
    Session.objects.all().delete()
    page.wait_for_url("**/admin/login/?next=%2Fadmin%2Fjobs%2F")
    page.get_by_label("Username").fill(admin_user.get_username())
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{PAGE}")
    assert "All clear" in headline(page).inner_text()


def test_all_of_it_works_without_javascript(visit):
    WorkerFactory()
    failing(12)
    page = visit(PAGE, java_script_enabled=False)
    page.get_by_role("button", name="Retry all 12").first.click()
    assert "12 jobs retried." in said(page)
    page.get_by_role("link", name="Refresh").click()
    assert "No failed jobs." in page.locator("#jobs-groups").inner_text()
