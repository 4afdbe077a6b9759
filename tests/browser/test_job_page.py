"""The page of a job in a real browser, and the page of the one who waits for it."""

import pytest

from django_jobs import State, clock
from django_jobs.models import Job, JobProgress
from tests.browser.browsing import says, shows
from tests.dashboard.job_pages import address
from tests.factories import JobFactory, JobRunFactory

pytestmark = pytest.mark.django_db(transaction=True)

LONG = 60_000
"""Milliseconds, by the page's clock."""


def report(job, done, note):
    values = {"done": done, "total": 8, "note": note, "updated_at": clock.now()}
    JobProgress.objects.update_or_create(job_id=job.pk, defaults=values)


def end(job, result):
    JobRunFactory(job=job, result=result)
    final = {"state": State.SUCCESSFUL, "claim_id": None, "finished_at": clock.now()}
    Job.objects.filter(pk=job.pk).update(**final)


def looks_after(page, what):
    """Return how often the page asks in a long time; `what`: a part of the address."""
    taken = []
    page.on("request", lambda request: taken.append(request.url) if what in request.url else 0)
    page.clock.run_for(LONG)
    return len(taken)


def test_a_job_is_followed_to_its_end_and_no_further(visit):
    job = JobFactory(running=True)
    page = visit(address(job, "change"))
    page.clock.install()
    report(job, 3, "rows read")
    page.get_by_text("3 / 8 · rows read").wait_for()
    with page.expect_response(lambda response: response.status == 286):
        end(job, "all of it")
    page.get_by_text("The job has ended.").wait_for()
    shows(page, "#job-state", "successful")
    assert looks_after(page, "/live/") == 0
    assert page.get_by_role("button", name="Pause refreshing").is_hidden()
    page.get_by_role("link", name="Load the page anew").click()
    shows(page, "#job-newest", "all of it")


def test_a_failed_job_is_retried_with_other_arguments(visit):
    job = JobFactory(failed=True, args=[1, 2])
    page = visit(address(job, "change"))
    page.get_by_role("link", name="Retry with changed arguments").click()
    page.get_by_label("left").clear()
    page.get_by_role("button", name="Change and retry").click()
    shows(page, ".job-argument.errors", "left")
    page.get_by_label("left").fill("40")
    page.get_by_role("button", name="Change and retry").click()
    says(page, f"#{job.pk}")
    job.refresh_from_db()
    assert (job.state, job.args) == (State.READY, [40, 2])
    shows(page, "#content", "add(40, 2)")


def test_a_traceback_is_copied(visit):
    page = visit(address(JobFactory(failed=True), "change"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#job-newest").get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert "shop/jobs.py" in page.evaluate("navigator.clipboard.readText()")


def test_whoever_waits_sees_how_far_it_is_without_a_login(browsing):
    job = JobFactory(running=True)
    page = browsing.open(f"/waiting/{job.pk}/")
    page.clock.install()
    assert page.get_by_role("status").inner_text() == "In progress"
    report(job, 2, "customers written")
    page.get_by_text("customers written").wait_for()
    assert page.get_by_role("progressbar").get_attribute("value") == "25"
    end(job, "Ana, Ben")
    page.get_by_text("Ana, Ben").wait_for()
    assert page.get_by_role("status").inner_text() == "Done"
    assert looks_after(page, "/progress/") == 0
