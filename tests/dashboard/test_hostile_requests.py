"""Requests that no page of ours makes: what is too long, too big, or no text, is answered in words."""

import pytest
from django.urls import reverse

from django_jobs.models import Job, Queue, Schedule
from django_jobs.states import State
from tests.conftest import NOON
from tests.dashboard.test_bulk import ask, fields
from tests.dashboard.test_job_list import LIST
from tests.factories import JobFactory, QueueFactory, ScheduleFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOME = "/admin/jobs/"
BIG, LONG, NUL = "9" * 30, "9" * 5000, "a\0b"
FIRST, LAST = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"
MODELS = ("job", "jobrun", "queue", "worker", "schedule", "batch", "event", "bulkoperation")


def said(response):
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("number", [BIG, LONG, "-1", "٣", "%00", "_00", "1%0a"])
def test_what_is_no_number_of_a_row_has_no_page(admin_client, model, number):
    for page in ("change", "history"):
        response = admin_client.get(f"{HOME}{model}/{number}/{page}/")
        assert response.status_code in {302, 404}


@pytest.mark.parametrize("verb", ["retry", "cancel", "run-now", "duplicate"])
def test_a_button_of_a_job_that_cannot_be_says_that_there_is_none(admin_client, verb):
    response = admin_client.post(f"{LIST}{BIG}/do/{verb}/", {"seen": "0"}, follow=True)
    assert said(response)[0].startswith("No change: there is no such job")


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        ("retry-all", {"fingerprint": NUL, "seen": NOON.isoformat()}),
        ("retry-all", {"fingerprint": "aaaa", "seen": FIRST}),
        ("retry-all", {"fingerprint": "aaaa", "seen": LAST}),
        ("cancel-waiting", {"queue": NUL, "seen": NOON.isoformat()}),
        ("cancel-waiting", {"queue": "mail", "seen": FIRST}),
        ("requeue", {"worker": NUL}),
        ("pause", {"queue": NUL}),
        ("resume", {"queue": NUL}),
        ("limit", {"queue": NUL, "seconds": "5"}),
        ("mute", {"fingerprint": NUL}),
        ("unmute", {"fingerprint": NUL}),
        ("quiet", {"worker": NUL}),
        ("go-on", {"worker": NUL}),
        ("stop", {"worker": NUL}),
        ("forget", {"worker": NUL}),
        ("cancel", {"job": BIG}),
    ],
)
def test_a_button_with_values_that_no_row_has_changes_nothing(admin_client, verb, given):
    JobFactory(failed=True, fingerprint="aaaa")
    QueueFactory(name="mail")
    texts = said(admin_client.post(f"{HOME}do/{verb}/", given, follow=True))
    assert texts[0].startswith(("No change", "Nothing was done"))
    assert Job.objects.get().state == State.FAILED


def test_a_reason_with_nul_is_kept_without_it(admin_client):
    QueueFactory(name="mail")
    admin_client.post(f"{HOME}do/pause/", {"queue": "mail", "reason": NUL})
    row = ScheduleFactory()
    admin_client.post(f"{HOME}schedule/{row.pk}/pause/", {"reason": NUL})
    assert Queue.objects.get().paused_reason == "a�b"
    assert Schedule.objects.get().paused_reason == "a�b"


@pytest.mark.parametrize("page", ["", "live/", "figures.csv"])
@pytest.mark.parametrize("name", ["queue", "job"])
def test_the_history_of_what_cannot_be_is_empty(admin_client, page, name):
    assert admin_client.get(f"{HOME}history/{page}", {name: NUL}).status_code == 200


def test_a_filter_with_nul_is_refused(admin_client):
    assert admin_client.get(f"{HOME}jobrun/", {"outcome__exact": NUL}).status_code == 400


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
@pytest.mark.parametrize("limit", ["since", "until"])
@pytest.mark.parametrize("time", [FIRST, LAST, "0001-01-01", "9999-12-31"])
def test_the_ends_of_the_calendar_are_no_times_to_search_for(
    admin_client, settings, zone, limit, time
):
    settings.TIME_ZONE = zone
    JobFactory()
    response = admin_client.get(LIST, {"q": f"{limit}:{time}"})
    assert f"“{time}” is no time" in response.content.decode()


@pytest.mark.parametrize("changes", [{"as_of": FIRST}, {"as_of": LAST}, {"as_of": ""}])
@pytest.mark.parametrize("expected", [1, 1000])
def test_a_confirmation_as_of_no_time_does_nothing(admin_client, changes, expected):
    JobFactory(failed=True)
    given = {**fields(ask(admin_client)), "expected": expected, **changes}
    texts = said(admin_client.post(f"{LIST}bulk/", given, follow=True))
    assert texts == ["Nothing was done: the request was incomplete. Load the page anew."]


def test_a_confirmation_with_nul_begins_an_operation_that_can_be_stored(admin_client):
    JobFactory(failed=True)
    given = {**fields(ask(admin_client)), "expected": 1000, "key": NUL, "search": f"fp: {NUL}"}
    assert admin_client.post(f"{LIST}bulk/", given, follow=True).status_code == 200


@pytest.mark.parametrize("as_of", [FIRST, LAST, NUL])
def test_arguments_are_not_changed_as_of_no_time(admin_client, as_of):
    job = JobFactory(failed=True)
    given = {"as_of": as_of, "argument-left": "5", "argument-right": "6"}
    response = admin_client.post(f"{LIST}{job.pk}/arguments/", given)
    assert response.status_code == 200
    assert Job.objects.get().args == [1, 2]


@pytest.mark.parametrize("value", [LONG, "1e400", "NaN", '"\\u0000"', '"\\ud800"', "[" * 5000])
def test_a_value_that_cannot_be_stored_is_shown_again_with_what_is_wrong(admin_client, value):
    job = JobFactory(failed=True, args=[{"a": 1}, 2])
    given = {"as_of": job.finished_at.isoformat(), "argument-left": value, "argument-right": "2"}
    response = admin_client.post(f"{LIST}{job.pk}/arguments/", given)
    assert response.status_code == 200
    assert response.context["form"].errors
    assert Job.objects.get().args == [{"a": 1}, 2]


def test_more_selected_jobs_than_can_be_asked_about_are_refused(admin_client):
    rows = JobFactory.create_batch(300, successful=True)
    JobFactory(successful=True, queue="mail")
    given = {"action": "delete_jobs", "select_across": "1", "_selected_action": rows[0].pk}
    response = admin_client.post(f"{LIST}?q=queue:default", given, follow=True)
    assert said(response)[0].startswith("At most ")
    assert response.redirect_chain[-1][0] != reverse("admin:django_jobs_job_bulk")
    assert "Delete" not in response.context["title"]


def test_a_search_that_is_too_long_never_becomes_a_question_about_all_jobs(admin_client):
    JobFactory(failed=True)
    response = admin_client.get(f"{LIST}bulk/", {"verb": "delete", "q": "x" * 1001}, follow=True)
    assert said(response) == ["The search is longer than 1,000 characters."]
    assert response.redirect_chain[-1][0].startswith(f"{LIST}?")
