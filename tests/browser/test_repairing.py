"""What an operator does at three in the morning, in a real browser."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from django_jobs import State, enqueue
from django_jobs.models import Job, Queue
from tests.browser.browsing import says, shows
from tests.browser.conftest import kill
from tests.crash.conditions import until
from tests.dashboard.pages import PAGE, failing
from tests.factories import JobFactory, QueueFactory, WorkerFactory
from tests.jobs import add

pytestmark = pytest.mark.django_db(transaction=True)

ERROR = "ConnectionError: 503 from partner"


def test_a_failure_spike_is_seen_and_all_of_it_retried(visit):
    WorkerFactory()
    failing(20)
    page = visit(PAGE)
    assert ERROR in page.locator(".jobs-problem").first.inner_text()
    page.get_by_role("button", name="Retry 1").first.click()
    says(page, "1 job retried.")
    page.get_by_role("button", name="Retry all 19").first.click()
    says(page, "19 jobs retried.")
    assert Job.objects.filter(state=State.READY).count() == 20


def test_a_worker_that_is_killed_turns_the_page_red_by_itself(visit, settings, start_worker):
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, "LEASE": 2.0}
    worker = start_worker(LEASE=2.0)
    job = enqueue(add, 2, 3)
    until(lambda: Job.objects.filter(pk=job.id, state=State.SUCCESSFUL).exists())
    page = visit(PAGE)
    shows(page, "#jobs-headline", "All clear")
    kill(worker)
    enqueue(add, 2, 3)
    page.get_by_text("No worker is alive").wait_for()
    shows(page, "#jobs-headline", "1 problem")
    shows(page, ".jobs-problem", "python manage.py runworker")


def test_a_queue_is_paused_and_resumed(visit):
    WorkerFactory()
    QueueFactory(name="mail")
    JobFactory(queue="mail")
    page = visit(PAGE)
    page.locator("#jobs-queues summary").first.click()
    page.locator("#jobs-queues").get_by_label("Reason").first.fill("db upgrade")
    page.locator("#jobs-queues").get_by_role("button", name="Pause").first.click()
    says(page, "The queue “mail” is paused")
    assert Queue.objects.get().paused_reason == "db upgrade"
    page.get_by_role("button", name="Resume").first.click()
    says(page, "The queue “mail” goes on")
    assert Queue.objects.get().paused_at is None


def test_of_two_who_press_the_same_button_the_second_is_told(visit):
    WorkerFactory()
    failing(12)
    other = User.objects.create_superuser("ben")
    first, second = visit(PAGE), visit(PAGE, user=other)
    second.get_by_role("button", name="Pause refreshing").click()  # it would lose the button
    for page in (first, second):
        page.get_by_role("button", name="Retry all 12").first.click()
    says(first, "12 jobs retried.")
    says(second, "No change: none of these jobs is failed any more.")
    assert Job.objects.filter(state=State.READY).count() == 12
    assert [entry.user.get_username() for entry in LogEntry.objects.all()] == ["admin"]


def test_all_of_it_works_without_javascript(visit):
    WorkerFactory()
    failing(12)
    page = visit(PAGE, java_script_enabled=False)
    page.get_by_role("button", name="Retry all 12").first.click()
    says(page, "12 jobs retried.")
    page.get_by_role("link", name="Refresh").click()
    shows(page, "#jobs-groups", "No failed jobs.")
