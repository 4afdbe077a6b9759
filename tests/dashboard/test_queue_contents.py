"""What the screen of one queue shows of the jobs in it and of its last day."""

import re
from datetime import timedelta

import pytest

from django_jobs.admin.queues import page as queue_screen
from django_jobs.models import Job, Release
from django_jobs.reports import queue_contents
from django_jobs.trial import enqueue_test_job
from tests.conftest import NOON
from tests.dashboard.screens import page, shown
from tests.factories import JobFactory, QueueFactory, TallyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

DJANGOS_QUERIES = 2


def address(queue):
    return f"/admin/jobs/queue/{queue.pk}/change/"


def ago(**span):
    return NOON - timedelta(**span)


def test_a_queue_shows_which_jobs_are_in_it_and_what_became_of_them_in_a_day(admin_client):
    queue = QueueFactory(name="mail")
    JobFactory.create_batch(3, queue="mail")
    JobFactory(queue="mail", name="gone.away")
    JobFactory(queue="mail", scheduled=True)
    JobFactory(queue="other", name="tests.jobs.nothing")
    hour = {"span": 60, "queue": "mail"}
    TallyFactory(ago=180, succeeded=30, failed=2, name="tests.jobs.send", **hour)
    TallyFactory(ago=180, succeeded=7, name="tests.jobs.nothing", span=60, queue="other")
    text = shown(admin_client, address(queue))
    assert "tests.jobs.add declared for the queue “default” 3 0 0 – 0 4 none" in text
    assert "gone.away not declared in this project 1 0 0 – – – –" in text
    assert "tests.jobs.send 0 32 2 0.62 s 5 3 20 s" in text
    assert "tests.jobs.nothing" not in text
    ready = "?q=queue%3A%22mail%22+state%3A%22ready%22+job%3A%22tests.jobs.add%22"
    assert f'<a href="/admin/jobs/job/{ready}">3</a>' in page(admin_client, address(queue))
    listed = shown(admin_client, f"/admin/jobs/job/{ready}")
    assert len(set(re.findall(r"add #\d+", listed))) == 3
    assert "gone.away" not in listed


def test_the_test_job_is_in_a_queue_only_when_somebody_has_run_it(admin_client):
    queue = QueueFactory(name="default")
    assert "trial.test_job" not in shown(admin_client, address(queue))
    enqueue_test_job()
    assert "trial.test_job 1 0" in shown(admin_client, address(queue))


def test_a_queue_shows_its_last_day_with_deploys(admin_client):
    queue = QueueFactory(name="mail")
    TallyFactory(ago=120, succeeded=30, failed=2, queue="mail")
    TallyFactory(ago=120, succeeded=500, queue="other")
    TallyFactory(ago=1500, succeeded=500, queue="mail")
    Release.objects.create(version="1.4", seen_at=ago(hours=3))
    found = page(admin_client, address(queue))
    assert re.findall(r'<g class="jobs-bar"[^>]* aria-label="([^"]+)"', found) == [
        "10:00–10:30: succeeded 30, failed 2",
        "09:00 version 1.4",
    ]
    assert 'href="/admin/jobs/history/?range=24h&amp;queue=mail"' in found
    assert "32 jobs finished, 2 of them failed." in shown(admin_client, address(queue))


def test_of_very_many_jobs_in_a_queue_the_next_are_looked_at_and_it_says_so(
    admin_client, monkeypatch
):
    monkeypatch.setattr(queue_contents, "QUEUE_CAP", 3)
    monkeypatch.setattr(queue_contents, "MOST_NAMES", 1)
    queue = QueueFactory(name="mail")
    JobFactory.create_batch(4, queue="mail")
    text = shown(admin_client, address(queue))
    assert "tests.jobs.add declared for the queue “default” 3+ 0 0" in text
    assert re.search(r"\d+ more are not shown", text)
    assert "looked at." in text


def test_what_takes_too_long_on_the_page_of_a_queue_is_said(admin_client, monkeypatch):
    queue = QueueFactory(name="mail")
    monkeypatch.setattr(queue_screen, "within_limit", lambda *_: None)
    text = shown(admin_client, address(queue))
    assert "Last 24 h ! Too slow to compute" in text
    assert "Which jobs are in it" not in text


@pytest.mark.parametrize("size", [10, 10_000])
def test_the_page_of_a_queue_needs_seven_queries_however_much_is_in_it(
    admin_client, django_assert_num_queries, size
):
    queue = QueueFactory(name="mail")
    Job.objects.bulk_create(JobFactory.build_batch(size, queue="mail"))
    with django_assert_num_queries(7 + DJANGOS_QUERIES):
        text = shown(admin_client, address(queue))
    assert (
        f"tests.jobs.add declared for the queue “default” {'10' if size == 10 else '1,000+'} "
        in (text)
    )
