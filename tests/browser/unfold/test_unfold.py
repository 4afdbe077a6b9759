"""All screens and the presses that matter, where django-unfold has taken the admin's place."""

import json

import pytest

from django_jobs import State
from django_jobs.models import Job, Queue, Schedule
from tests.browser.browsing import shows
from tests.browser.looks import NARROW, WIDE, walk, what_axe_finds, what_does_not_fit
from tests.browser.scene import fill
from tests.browser.screens import SCREENS
from tests.dashboard.pages import PAGE
from tests.factories import JobFactory, QueueFactory, ScheduleFactory, WorkerFactory

pytestmark = pytest.mark.django_db(transaction=True)

LATER_ROWS = ("tbody tr:nth-child(n+9)", "tbody:nth-of-type(n+9)")
OURS = {"include": ["#content"], "exclude": [*LATER_ROWS, ".vDateField", ".vTimeField"]}
"""What is around it is unfold's; the fields of a date have no label in Django 5.2.

Later rows of a table look like those before.
"""

NOT_THEIRS = {WIDE: 0, NARROW: 0}
"""How low unfold's own buttons are is its matter."""

LIKE_OTHERS = {"jobs-search", "progress"}
"""The list of jobs once more, and a page that is not in the admin."""


def pressed(page, name):
    page.get_by_role("button", name=name).first.click()


def says(page, text):
    page.locator("#main").get_by_text(text).first.wait_for()


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.parametrize("day", ["new", "trouble"])
def test_nobody_is_kept_out(visit, day):
    scene = None if day == "new" else fill(trouble=True)
    page = visit("/admin/")
    wrong = {}
    screens = [one for one in SCREENS if one.day == day and one.name not in LIKE_OTHERS]
    for screen, status in walk(page, visit.address, screens, scene):
        assert status == 200, screen.name
        found = dict(what_axe_finds(page, OURS, reload=True))
        assert page.evaluate("document.documentElement.className") == "dark"  # as unfold says
        found |= what_does_not_fit(page, NOT_THEIRS)
        wrong |= {f"{screen.name}, {what}": some for what, some in found.items() if some}
    assert wrong == {}, json.dumps(wrong, indent=1, ensure_ascii=False)


def test_failed_jobs_are_retried_and_a_queue_is_paused(visit):
    WorkerFactory()
    QueueFactory(name="mail")
    JobFactory.create_batch(12, failed=True, queue="mail")
    page = visit(PAGE)
    pressed(page, "Retry all 12")
    says(page, "12 jobs retried.")
    assert Job.objects.filter(state=State.READY).count() == 12
    page.locator("#jobs-queues summary").first.click()
    page.locator("#jobs-queues").get_by_label("Reason").fill("db upgrade")
    page.locator("#jobs-queues").get_by_role("button", name="Pause").click()
    says(page, "The queue “mail” is paused")
    assert Queue.objects.get().paused_reason == "db upgrade"


def test_the_page_asks_once_although_unfold_brings_an_htmx_too(visit, settings):
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, "ADMIN_REFRESH": 3600}
    JobFactory()
    page = visit(PAGE)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else 0)
    JobFactory.create_batch(2)
    page.evaluate("htmx.trigger(document.getElementById('jobs-live'), 'jobs-refresh')")
    shows(page, "#jobs-counts", "3 ready")
    page.evaluate("fetch('/favicon.ico')")  # whatever was asked before it is on its way by now
    assert len(asked) == 1


def test_selected_jobs_are_retried(visit):
    JobFactory.create_batch(3, failed=True)
    page = visit(f"{PAGE}job/")
    page.get_by_label("Select all jobs on this page").check()
    shows(page, ".action-counter", "3 of 3 selected")
    page.get_by_label("Action:").select_option("Retry selected jobs")
    pressed(page, "Go")
    says(page, "3 jobs retried")
    assert Job.objects.filter(state=State.READY).count() == 3


def test_a_schedule_is_previewed_and_selected_ones_are_paused(visit):
    row = ScheduleFactory(name="night", cron="0 2 * * *")
    page = visit(f"{PAGE}schedule/{row.pk}/change/")
    page.get_by_label("Cron").fill("0 3 * * *")
    pressed(page, "Preview")
    says(page, "Preview: nothing is saved yet")
    assert Schedule.objects.get().cron == "0 2 * * *"
    page.goto(f"{page.url.partition('/admin/')[0]}{PAGE}schedule/")
    page.locator("input.action-select").check()
    page.get_by_label("Action:").select_option("Pause")
    page.get_by_label("Reason:").fill("their audit")
    pressed(page, "Run")
    says(page, "paused")
    assert Schedule.objects.get().paused_reason == "their audit"


def test_the_help_on_keys_is_ours_alone(visit):
    page = visit(PAGE)
    page.keyboard.press("Shift+?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    assert not page.get_by_text("Available shortcuts").is_visible()
    found = {
        **dict(what_axe_finds(page, {"include": ["#jobs-keys"]})),
        **dict(what_does_not_fit(page, NOT_THEIRS)),
    }
    assert not any(found.values()), found
