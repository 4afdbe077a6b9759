"""The list of jobs in a real browser: searched, and done something to all that match."""

import re
from datetime import timedelta

import pytest

from django_jobs import State, clock
from django_jobs.models import Job
from tests.browser.browsing import says, shows
from tests.factories import JobFactory

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/jobs/job/"
VERY_MANY = 20_000


def failed_jobs(number, queue):
    """Write so many failed jobs, as quickly as it goes."""
    at = clock.now() - timedelta(minutes=5)
    times = {"run_at": at, "enqueued_at": at, "started_at": at, "finished_at": at}
    Job.objects.bulk_create(
        (
            Job(
                name="tests.jobs.add", args=[1], queue=queue, state=State.FAILED, attempt=4, **times
            )
            for _ in range(number)
        ),
        batch_size=1_000,
    )


def rows(page):
    return page.locator("#result_list tbody th").all_inner_texts()


def test_a_search_finds_what_fits_and_its_address_can_be_passed_on(visit):
    wanted = JobFactory(failed=True, queue="mail", kwargs={"right": 991})
    JobFactory(failed=True, queue="mail")
    JobFactory(queue="mail", kwargs={"right": 991})
    page = visit(LIST)
    assert len(rows(page)) == 3
    page.get_by_label("Search", exact=True).fill("state:failed queue:mail args.right:991")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=state%3Afailed**")
    assert [row.splitlines()[0] for row in rows(page)] == [str(wanted)]
    again = visit(page.url.partition(LIST)[2].join((LIST, "")))
    assert rows(again) == rows(page)


def test_what_is_not_understood_is_said(visit):
    JobFactory()
    page = visit(f"{LIST}?q=stat:failed")
    assert "Not understood" in page.get_by_role("alert").inner_text()


def test_all_that_match_are_retried_by_a_real_worker_and_it_is_seen(visit, start_worker):
    failed_jobs(VERY_MANY, "mail")
    failed_jobs(1, "web")
    page = visit(f"{LIST}?q=queue:mail")
    page.get_by_role("button", name="Retry all").click()
    shows(page, "#jobs-ask", "Retry 10,000+ jobs?")
    page.get_by_role("button", name="Yes, retry them").click()
    says(page, "They are left to the workers.")
    title, share = page.locator("#jobs-bulk-title"), page.locator("#jobs-bulk progress")
    assert "Waits for a worker" in title.inner_text()
    start_worker("--queues", "nothing")
    title.get_by_text(re.compile(r"At work: [1-9][\d,]+ of 10,000\+ jobs")).wait_for()
    title.get_by_text(f"Done: {VERY_MANY:,} of {VERY_MANY:,} jobs").wait_for()
    assert share.get_attribute("value") == "100"
    states = Job.objects.values_list("queue", "state").distinct().order_by("queue")
    assert list(states) == [("mail", State.READY), ("web", State.FAILED)]
