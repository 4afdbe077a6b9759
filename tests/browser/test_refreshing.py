"""A page that somebody leaves open: it follows what happens, and does not get in the way."""

import pytest
from django.contrib.sessions.models import Session

from tests.browser.browsing import shows
from tests.dashboard.pages import PAGE
from tests.factories import JobFactory, QueueFactory, WorkerFactory

pytestmark = pytest.mark.django_db(transaction=True)

HIDEABLE = """
    let away = false;
    Object.defineProperty(document, "hidden", { get: () => away });
    window.leave = (hidden) => {
        away = hidden;
        document.dispatchEvent(new Event("visibilitychange"));
    };
"""
LONG = 60_000
"""Milliseconds, by the page's clock."""


@pytest.fixture(autouse=True)
def _shop(server):
    WorkerFactory()
    QueueFactory(name="mail")


def looks(page):
    """Return a list that grows with each look that the page takes."""
    taken = []
    page.on("request", lambda request: taken.append(request.url) if "/live/" in request.url else 0)
    return taken


def test_the_page_follows_what_happens(visit):
    page = visit(PAGE)
    JobFactory.create_batch(3, queue="mail")
    page.locator("#jobs-counts a", has_text="3 ready").wait_for()


def test_what_is_open_and_has_the_focus_is_left_alone(visit):
    page = visit(PAGE)
    queues = page.locator("#jobs-queues")
    queues.locator("summary").first.click()
    reason = queues.get_by_label("Reason").first
    reason.press_sequentially("db up")
    JobFactory.create_batch(3, queue="mail")
    page.locator("#jobs-counts a", has_text="3 ready").wait_for()
    page.keyboard.type("grade")
    assert reason.input_value() == "db upgrade"
    assert queues.locator("details").first.get_attribute("open") is not None


def test_a_pause_holds_for_all_pages_until_it_is_ended(visit):
    page = visit(PAGE)
    page.clock.install()
    page.get_by_role("button", name="Pause refreshing").click()
    page.reload()
    taken = looks(page)
    page.clock.run_for(LONG)
    assert taken == []
    with page.expect_response("**/live/"):
        page.get_by_role("button", name="Go on refreshing").click()
    assert len(taken) == 1


def test_a_tab_that_nobody_sees_does_not_ask_until_it_is_seen_again(visit):
    page = visit("/admin/")
    page.context.add_init_script(HIDEABLE)
    page.clock.install()
    page.goto(page.url.replace("/admin/", PAGE))
    page.evaluate("leave(true)")
    taken = looks(page)
    page.clock.run_for(LONG)
    assert taken == []
    with page.expect_response("**/live/"):
        page.evaluate("leave(false)")
    assert len(taken) == 1


def test_a_lost_session_leads_to_the_login_and_back_to_the_page(visit, admin_user):
    page = visit(PAGE)
    Session.objects.all().delete()
    page.wait_for_url("**/admin/login/?next=%2Fadmin%2Fjobs%2F")
    page.get_by_label("Username").fill(admin_user.get_username())
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{PAGE}")
    shows(page, "#jobs-headline", "All clear")


def test_what_breaks_the_policy_would_be_noticed(visit, browsing):
    page = visit(PAGE)
    with page.expect_console_message():
        page.evaluate("document.body.setAttribute('onclick', 'alert(1)')")
    (message,) = browsing.said
    assert "Content Security Policy" in message
    browsing.said.clear()


def test_keys_lead_to_other_screens_and_are_told(visit):
    page = visit(PAGE)
    page.keyboard.type("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.type("gj")
    page.wait_for_url("**/admin/jobs/job/")
    page.keyboard.type("/queue:mail")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=queue%3Amail**")
