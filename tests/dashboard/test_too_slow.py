"""What the pages say when the database does not answer in time."""

import html
import json
import re

import pytest
from django.core.cache import cache
from django.db import connection

from django_jobs import clock
from django_jobs.models import Job, JobRun, Queue, Worker
from django_jobs.reports import overview, verdict
from tests.dashboard.pages import trouble
from tests.dashboard.screens import page

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

SLOW = "Too slow to compute"


@pytest.fixture(autouse=True)
def _fresh_cache(monkeypatch):
    monkeypatch.setattr("django_jobs.reports.reading.LIMIT", 0.2)
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def locked():
    """Return a function that keeps everybody from reading a table until the test is over."""
    others = []

    def lock(model):
        other = connection.copy()
        others.append(other)
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {model._meta.db_table} IN ACCESS EXCLUSIVE MODE")

    yield lock
    for other in others:
        other.rollback()
        other.close()


def region(text, name):
    found = re.search(rf'<section[^>]* id="{name}".*?</section>', text, re.DOTALL)
    assert found, name
    return html.unescape(found[0])


@pytest.mark.parametrize("address", ["/admin/jobs/", "/admin/jobs/live/"])
def test_the_region_that_is_too_slow_says_so_and_the_others_stand(admin_client, locked, address):
    trouble()
    locked(Queue)
    text = page(admin_client, address)
    assert SLOW in region(text, "jobs-queues")
    assert "No queues" not in region(text, "jobs-queues")
    assert "ConnectionError: 503 from partner" in region(text, "jobs-groups")
    assert "alive" in region(text, "jobs-workers")
    assert "Too slow to compute, so that nobody knows: queues." in region(text, "jobs-verdict")


def test_unknown_workers_are_not_called_dead(admin_client, locked):
    trouble()
    locked(Worker)
    text = page(admin_client, "/admin/jobs/")
    assert SLOW in region(text, "jobs-workers")
    assert "No worker is alive" not in text
    assert "not served" not in text
    assert "0 workers alive" not in text


def test_monitors_hear_of_it(admin_client, locked):
    locked(Queue)
    found = json.loads(admin_client.get("/admin/jobs/health.json").content)
    assert (found["level"], [item["rule"] for item in found["problems"]]) == (
        "warning",
        ["too-slow"],
    )


@pytest.mark.parametrize("part", verdict.part_words())
def test_a_part_that_is_missing_makes_nothing_else_wrong(part):
    import dataclasses

    seen = overview.look("default", clock.now())
    assert seen.is_new
    seen = dataclasses.replace(seen, slow=frozenset({part}))
    assert not seen.is_new
    assert [problem.rule for problem in verdict.judge(seen).problems] == ["too-slow"]


@pytest.mark.parametrize(
    ("name", "model", "title"),
    [
        ("failed", Worker, "Failed jobs by error"),
        ("worker", Worker, "Workers"),
        ("queue", Queue, "Queues"),
    ],
)
@pytest.mark.parametrize("part", ["", "live/"])
def test_a_screen_that_is_too_slow_says_so(admin_client, locked, name, model, title, part):
    locked(model)
    text = page(admin_client, f"/admin/jobs/{name}/{part}")
    assert SLOW in text
    assert title in text


def test_the_list_of_jobs_that_is_too_slow_says_so_and_not_that_there_are_none(
    admin_client, locked
):
    trouble()
    locked(JobRun)
    text = page(admin_client, "/admin/jobs/job/")
    assert SLOW in text
    assert "No jobs match" not in text
    assert "There are no jobs yet" not in text
    assert "All that match (" not in text


def test_a_search_that_is_too_slow_to_begin_with_says_so(admin_client, locked):
    trouble()
    locked(Job)
    for address in (
        "/admin/jobs/job/",
        "/admin/jobs/job/?q=state:failed",
        "/admin/jobs/job/?q=mail",
    ):
        text = page(admin_client, address)
        assert SLOW in text
        assert "There are no jobs yet" not in text
    assert admin_client.get("/admin/jobs/job/news/", {"newest": "1", "ids": "1"}).status_code == 503


@pytest.mark.parametrize("verb", ["retry", "cancel", "delete"])
def test_the_question_before_a_bulk_operation_that_is_too_slow_says_so(admin_client, locked, verb):
    trouble()
    locked(Job)
    text = page(admin_client, "/admin/jobs/job/bulk/", verb=verb, q="state:failed")
    assert SLOW in text
    assert "Yes, " not in text


@pytest.mark.parametrize("part", ["change", "cancel-waiting"])
@pytest.mark.parametrize("model", [Queue, Job])
def test_the_screens_of_one_queue_that_are_too_slow_say_so(admin_client, locked, model, part):
    trouble()
    key = Queue.objects.get(name="mail").pk
    locked(model)
    text = page(admin_client, f"/admin/jobs/queue/{key}/{part}/")
    assert SLOW in text
    assert "No job is ready" not in text
    assert "mail" in text or model is Queue


def test_the_job_that_was_just_retried_may_take_too_long_to_look_up(admin_client, locked):
    trouble()
    job = Job.objects.filter(state="FAILED").first()
    assert "which was retried" in page(admin_client, "/admin/jobs/failed/", tried=str(job.pk))
    locked(Job)
    assert SLOW in page(admin_client, "/admin/jobs/failed/", tried=str(job.pk))


@pytest.mark.parametrize("model", [Job, JobRun])
def test_the_page_of_a_job_that_is_too_slow_says_so(admin_client, locked, model):
    trouble()
    job = Job.objects.filter(state="FAILED").first()
    locked(model)
    assert SLOW in page(admin_client, f"/admin/jobs/job/{job.pk}/change/")
    assert SLOW in page(admin_client, f"/admin/jobs/job/{job.pk}/delete/")
    assert admin_client.get(f"/admin/jobs/job/{job.pk}/live/").status_code == 503


def test_a_refresh_needs_no_query_more(admin_client, django_assert_num_queries):
    trouble()
    with django_assert_num_queries(2 + 7 + 2):  # session and user; ours; BEGIN and COMMIT
        page(admin_client, "/admin/jobs/live/")
