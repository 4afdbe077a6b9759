"""How far a search looks, what it counts, its pages; and that no database walks all jobs for it."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_jobs import clock
from django_jobs.models import Job
from django_jobs.searching import surveying
from django_jobs.searching.criteria import read
from django_jobs.searching.surveying import Survey
from django_jobs.searching.terms import split
from tests.factories import JobFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

KIND = "0123456789abcdef"


def survey(text="", to=None):
    return Survey("default", read(split(text), clock.now()), to)


def page(found, size=50, **place):
    return found.page(found.rows(Job.objects.all()), size, **place)


def ids(found, size=50, **place):
    return [row.pk for row in page(found, size, **place).jobs]


def jobs(count, **fields):
    return [row.pk for row in JobFactory.create_batch(count, **fields)]


def test_the_pages_go_on_where_the_one_before_ended():
    made = jobs(7)[::-1]
    found = survey()
    first = page(found, 3)
    assert ([row.pk for row in first.jobs], first.newer, first.older) == (made[:3], False, True)
    second = page(found, 3, before=made[2])
    assert ([row.pk for row in second.jobs], second.newer, second.older) == (made[3:6], True, True)
    last = page(found, 3, before=made[5])
    assert ([row.pk for row in last.jobs], last.older) == (made[6:], False)
    back = page(found, 3, after=made[3])
    assert ([row.pk for row in back.jobs], back.newer, back.older) == (made[:3], False, True)
    back = page(found, 3, after=made[6])
    assert ([row.pk for row in back.jobs], back.newer) == (made[3:6], True)


@pytest.mark.parametrize("text", ["state:failed", f"fp:{KIND}"])
def test_an_index_finds_jobs_of_any_age(monkeypatch, text):
    monkeypatch.setattr(surveying, "WINDOW", 3)
    failed = jobs(2, failed=True, fingerprint=KIND)
    jobs(5)
    found = survey(text)
    assert ids(found) == failed[::-1]
    assert found.is_whole
    assert found.is_indexed


def test_running_jobs_are_found_by_the_claims(monkeypatch):
    monkeypatch.setattr(surveying, "WINDOW", 3)
    running = jobs(2, running=True)
    jobs(5)
    assert ids(survey("state:running")) == running[::-1]


def test_without_an_index_only_the_newest_are_searched_and_older_ones_on_demand(monkeypatch):
    monkeypatch.setattr(surveying, "WINDOW", 3)
    old = jobs(3, name="shop.mail")
    new = jobs(2, name="shop.mail")
    found = survey("mail")
    assert ids(found) == [*new[::-1], old[-1]]
    assert not found.is_whole
    older = survey("mail", to=found.low)
    assert ids(older) == old[:2][::-1]
    assert older.high == found.low


def test_more_than_are_counted_are_searched_like_everything_else(monkeypatch):
    monkeypatch.setattr(surveying, "CAP", 2)
    monkeypatch.setattr(surveying, "WINDOW", 3)
    failed = jobs(5, failed=True)
    found = survey("state:failed")
    assert ids(found) == failed[::-1][:3]
    assert not found.is_whole
    assert found.is_indexed


def test_jobs_are_counted_by_state_up_to_the_cap(monkeypatch):
    monkeypatch.setattr(surveying, "CAP", 3)
    for kind in ({}, {"scheduled": True}, {"waiting": True}, {"running": True}):
        jobs(1, **kind)
    jobs(4, failed=True)
    jobs(4, successful=True)
    counts = {word: str(amount) for word, amount in survey().counts.items()}
    assert counts == {
        "ready": "1",
        "running": "1",
        "scheduled": "1",
        "waiting": "1",
        "failed": "3+",
        "successful": "3+",
        "cancelled": "0",
    }


def test_where_not_all_was_looked_at_a_count_says_so(monkeypatch):
    monkeypatch.setattr(surveying, "WINDOW", 2)
    jobs(2, successful=True)
    jobs(1, successful=True, queue="mail")
    jobs(1)
    assert str(survey().counts["successful"]) == "1+"
    assert str(survey("queue:mail").counts["successful"]) == "1+"
    assert str(survey("queue:mail").counts["failed"]) == "0+"


def test_the_counts_are_of_the_jobs_that_fit_but_for_their_state():
    jobs(2, queue="mail")
    jobs(3, queue="mail", failed=True)
    jobs(4, failed=True)
    counts = survey("queue:mail state:failed").counts
    assert (str(counts["failed"]), str(counts["ready"])) == ("3", "2")


def test_newer_jobs_are_counted_only_if_they_fit():
    [first] = jobs(1)
    jobs(2, queue="mail")
    jobs(1)
    assert survey("queue:mail").newer(first, 100) == 2
    assert survey("").newer(first, 2) == 2


def test_without_jobs_there_is_an_empty_page():
    found = survey()
    assert found.newest == 0
    assert page(found).jobs == ()


@pytest.mark.parametrize("text", ["state:failed queue:default", f"fp:{KIND} since:1h"])
def test_what_no_index_has_is_walked_by_number_not_by_state(monkeypatch, text):
    monkeypatch.setattr(surveying, "CAP", 2)
    failed = jobs(3, failed=True, fingerprint=KIND)
    found = survey(text)
    assert ids(found) == failed[::-1]
    assert not found.is_indexed
    plan = found.rows(Job.objects.all()).explain()
    assert "django_jobs_job_failed" not in plan


def test_a_worker_is_found_in_the_jobs_that_are_looked_at(monkeypatch):
    old = jobs(1, successful=True)
    newer = jobs(2, successful=True)
    monkeypatch.setattr(surveying, "WINDOW", 2)
    found = survey("worker:web-1")
    assert ids(found) == newer[::-1]
    assert found.counts["successful"].number == 2
    assert ids(survey("worker:web-1", to=old[0])) == old


SEARCHES = [
    *("", "state:ready", "state:running", "state:scheduled", "state:waiting", "state:failed"),
    *("state:successful", "state:retrying", f"fp:{KIND}", "mail", "queue:a", "state:ready queue:a"),
    *("error:x", "worker:w", "since:2h", "id:7", "state:failed,ready", "state:failed queue:a"),
    *("by:ana", "by:ana state:failed"),
]


@pytest.mark.skipif("connection.vendor != 'sqlite'")
@pytest.mark.parametrize("text", SEARCHES)
def test_no_search_walks_all_jobs(text):
    plans = []

    def explain(execute, sql, params, many, context):
        if sql.startswith("SELECT"):
            statement = f"EXPLAIN QUERY PLAN {sql.replace('%s', '?')}"
            plan = context["connection"].connection.execute(statement, params)
            plans.append([row[3] for row in plan.fetchall()])
        return execute(sql, params, many, context)

    found = survey(text)
    with connection.execute_wrapper(explain):
        assert found.counts
        ids(found)
    walks = [
        step
        for plan in plans
        for step in plan
        if step.startswith("SCAN") and "jobs_job" in step and "INDEX" not in step
    ]
    # The newest first, by the number: it ends with the page.
    assert walks in ([], ["SCAN django_jobs_job"] if not text else [])


@pytest.mark.parametrize("text", SEARCHES)
@pytest.mark.parametrize("size", [1, 20])
def test_the_number_of_queries_does_not_depend_on_the_number_of_jobs(text, size):
    for kind in ({}, {"failed": True, "fingerprint": KIND}, {"running": True}, {"queue": "a"}):
        jobs(size, **kind)
    with CaptureQueriesContext(connection) as captured:
        found = survey(text)
        assert found.counts
        ids(found)
    assert len(captured) <= 5
