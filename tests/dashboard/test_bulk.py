"""Doing something to all jobs that match: the page that asks, and the page of an operation."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_jobs import job
from django_jobs.admin.bulk import asking
from django_jobs.engines import get_engine
from django_jobs.models import BulkOperation, Job
from django_jobs.searching import surveying
from django_jobs.services import BulkWorker
from django_jobs.services import bulk as service
from django_jobs.states import State
from tests.conftest import NOON
from tests.dashboard.test_job_list import HOSTILE, LIST, raw, text_of
from tests.factories import JobFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

BULK = f"{LIST}bulk/"


def ask(client, verb="retry", **data):
    response = client.get(BULK, {"verb": verb, **data})
    assert response.status_code == 200
    return response.content.decode()


def fields(page):
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


def confirm(client, page, **changes):
    """Press the button of the page; return what is said then, and where."""
    response = client.post(BULK, {**fields(page), **changes}, follow=True)
    assert response.status_code == 200
    said = [str(message) for message in response.context["messages"]]
    return said, response.redirect_chain[-1][0]


def states():
    return [row.state for row in Job.objects.order_by("pk")]


@pytest.fixture
def many(monkeypatch):
    monkeypatch.setattr(asking, "AT_ONCE", 2)
    monkeypatch.setattr(service, "PAGE", 2)


def test_the_page_says_how_many_as_of_when_and_shows_the_newest(admin_client):
    rows = JobFactory.create_batch(7, failed=True, queue="mail")
    JobFactory(failed=True)
    text = text_of(ask(admin_client, q="queue:mail"))
    assert "Retry 7 jobs?" in text
    assert "Those that fit: queue:mail state:failed" in text
    assert "As of 2030-01-15 12:00:00" in text
    assert [f"add #{row.pk}" in text for row in rows] == [False] * 2 + [True] * 5
    assert "ConnectionError: 503 from partner" in text
    assert states() == [State.FAILED] * 8


def test_what_was_confirmed_is_done_and_logged_once(admin_client):
    JobFactory.create_batch(3, failed=True, queue="mail")
    JobFactory(failed=True)
    said, where = confirm(admin_client, ask(admin_client, q="queue:mail"))
    assert (said, where) == (["3 jobs retried."], f"{LIST}?q=queue%3Amail")
    assert states() == [State.READY] * 3 + [State.FAILED]
    entry = LogEntry.objects.get()
    assert entry.get_change_message() == (
        "3 retried, of the jobs that fit: queue:mail state:failed"
    )
    assert admin_client.get("/admin/").status_code == 200


def test_who_confirms_second_hears_that_it_is_done(admin_client):
    JobFactory(failed=True)
    page = ask(admin_client)
    assert confirm(admin_client, page)[0] == ["1 job retried."]
    assert confirm(admin_client, page)[0] == ["No change: none of these jobs fits any more."]
    assert LogEntry.objects.count() == 1


def test_what_came_after_the_page_was_shown_is_left_alone(admin_client, frozen_clock):
    JobFactory(failed=True)
    page = ask(admin_client)
    frozen_clock.advance(timedelta(minutes=1))
    JobFactory(failed=True)
    assert confirm(admin_client, page)[0] == ["1 job retried."]
    assert states() == [State.READY, State.FAILED]


def test_if_more_fit_than_were_confirmed_it_is_asked_again(admin_client):
    rows = JobFactory.create_batch(2, queue="mail")
    Job.objects.filter(pk=rows[0].pk).update(queue="other")
    page = ask(admin_client, "cancel", q="queue:mail")
    Job.objects.update(queue="mail")
    said, where = confirm(admin_client, page)
    assert said == ["Nothing was done: more jobs fit by now. Look again."]
    assert where.startswith(f"{BULK}?verb=cancel")
    assert states() == [State.READY] * 2


@pytest.mark.parametrize("verb", ["retry", "cancel", "delete"])
def test_where_nothing_can_be_done_the_page_says_so(admin_client, verb):
    JobFactory(**({} if verb != "cancel" else {"failed": True}))
    text = text_of(ask(admin_client, verb))
    assert "There is nothing to do." in text


def test_where_not_all_is_searched_the_page_says_to_whom_it_is_done(admin_client, monkeypatch):
    monkeypatch.setattr(surveying, "WINDOW", 3)
    rows = JobFactory.create_batch(5, failed=True, name="shop.mail")
    page = ask(admin_client, q="mail", verb="delete")
    assert f"Only among the jobs #{rows[2].pk} to #{rows[4].pk}" in text_of(page)
    confirm(admin_client, page)
    assert [row.pk for row in Job.objects.order_by("pk")] == [rows[0].pk, rows[1].pk]


@pytest.mark.usefixtures("many")
def test_many_are_left_to_the_workers_whose_page_shows_how_far_they_are(admin_client):
    JobFactory.create_batch(5, failed=True)
    page = ask(admin_client)
    assert "More than 2 are left to the workers" in text_of(page)
    said, where = confirm(admin_client, page)
    row = BulkOperation.objects.get()
    assert said == ["They are left to the workers."]
    assert where == f"/admin/jobs/bulkoperation/{row.pk}/change/"
    assert "Waits for a worker: 0 of 5 jobs" in text_of(raw(admin_client, where))
    assert states() == [State.FAILED] * 5
    BulkWorker().run(get_engine("default"))
    text = raw(admin_client, where)
    assert "Done: 5 of 5 jobs" in text_of(text)
    assert '<progress max="100" value="100"' in text
    assert states() == [State.READY] * 5
    assert LogEntry.objects.get().object_id == str(row.pk)


def test_an_operation_that_is_done_says_how_many_they_were_after_all(admin_client):
    row = BulkOperation.objects.create(
        key="k",
        verb="retry",
        search="all",
        as_of=NOON,
        created_at=NOON,
        high=1,
        last_id=1,
        expected=10_001,
        done=12_000,
        refused=5,
    )
    page = f"/admin/jobs/bulkoperation/{row.pk}/change/"
    assert "12,005 of 10,000+ jobs" in text_of(raw(admin_client, page))
    BulkOperation.objects.update(finished_at=NOON)
    assert "Done: 12,005 of 12,005 jobs" in text_of(raw(admin_client, page))


@pytest.mark.usefixtures("many")
def test_an_operation_is_started_once_however_often_it_is_confirmed(admin_client):
    JobFactory.create_batch(5, failed=True)
    page = ask(admin_client)
    confirm(admin_client, page)
    assert confirm(admin_client, page)[0] == ["No change: this was started already."]
    assert BulkOperation.objects.count() == LogEntry.objects.count() == 1


@pytest.fixture
def operation():
    values = {"verb": "retry", "search": "state:failed", "as_of": NOON, "high": 99, "last_id": 40}
    return BulkOperation.objects.create(
        key="k",
        created_at=NOON,
        created_by="ana",
        expected=80,
        started_at=NOON - timedelta(seconds=4),
        done=39,
        refused=1,
        reasons={"it is ready": [1, 17]},
        **values,
    )


def page_of(row, part="change"):
    return f"/admin/jobs/bulkoperation/{row.pk}/{part}/"


def test_a_page_shows_progress_outcome_and_reasons(admin_client, operation):
    page = raw(admin_client, page_of(operation))
    text = text_of(page)
    for said in (
        "At work: 40 of 80 jobs",
        "50 %",
        "Asked for by ana just now, as of 2030-01-15 12:00:00.",
        "At work for 4 s, 10 jobs a second.",
        "39 retried",
        "1 refused",
        "it is ready 1 #17",
    ):
        assert said in text
    assert f'hx-get="{page_of(operation, "live")}"' in page


def test_it_keeps_fresh_until_it_has_ended(admin_client, operation):
    response = admin_client.get(page_of(operation, "live"))
    assert response.status_code == 200
    assert 'id="jobs-bulk" hx-swap-oob="true"' in response.content.decode()
    BulkOperation.objects.update(finished_at=NOON)
    assert admin_client.get(page_of(operation, "live")).status_code == 286
    assert "jobs-live" not in raw(admin_client, page_of(operation))


def test_it_is_stopped_by_a_button_and_the_second_hears_of_it(staff, operation):
    client = staff("view_job", "change_job")
    assert "Stop it" in raw(client, page_of(operation))
    for said in ("It is stopped; what was done stays done.", "No change: it had ended already."):
        response = client.post(page_of(operation, "stop"), follow=True)
        assert [str(message) for message in response.context["messages"]] == [said]
    assert "Stopped: 40 of 80 jobs" in text_of(raw(client, page_of(operation)))
    assert BulkOperation.objects.get().stopped_by == "ana"
    assert LogEntry.objects.get().get_change_message() == "stopped"


def test_those_who_may_only_look_cannot_stop_it(staff, operation):
    client = staff("view_job")
    assert "Stop it" not in raw(client, page_of(operation))
    assert client.post(page_of(operation, "stop")).status_code == 403
    assert client.get(BULK, {"verb": "retry"}).status_code == 403
    assert client.post(BULK, {"verb": "retry"}).status_code == 403
    assert BulkOperation.objects.get().finished_at is None


def test_a_deletion_is_stopped_only_by_those_who_may_delete(staff, operation):
    BulkOperation.objects.update(verb="delete")
    assert staff("view_job", "change_job").post(page_of(operation, "stop")).status_code == 403


def test_operations_are_listed(admin_client, operation):
    text = text_of(raw(admin_client, "/admin/jobs/bulkoperation/"))
    assert f"Retry jobs #{operation.pk}" in text
    assert "at work" in text


@pytest.mark.parametrize("part", ["change", "live"])
def test_who_may_not_see_jobs_sees_no_operations(staff, operation, part):
    assert staff("view_queue").get(page_of(operation, part)).status_code == 403


def test_strangers_are_sent_to_the_login(client, operation):
    assert client.get(page_of(operation)).status_code == 302
    assert client.get(BULK, {"verb": "retry"}).status_code == 302
    response = client.get(page_of(operation, "live"), headers={"hx-request": "true"})
    assert response["HX-Redirect"].startswith("/admin/login/?next=")


@pytest.mark.parametrize("address", ["999/change/", "x/change/", "999/live/"])
def test_an_operation_that_is_gone_is_no_page(admin_client, address):
    assert admin_client.get(f"/admin/jobs/bulkoperation/{address}").status_code == 404


def test_values_of_arguments_are_shown_to_nobody_who_may_not_see_them(staff, operation):
    BulkOperation.objects.update(search="args.order:991")
    client = staff("view_job")
    assert "991" not in text_of(raw(client, page_of(operation)))


def test_who_may_not_see_arguments_cannot_choose_by_them(staff):
    @job(name="shop.deliver")
    def deliver(order):
        pass

    JobFactory(failed=True, name="shop.deliver", args=[991])
    client = staff("view_job", "change_job")
    assert client.get(BULK, {"verb": "retry", "q": "args.order:991"}).status_code == 302
    data = {**fields(ask(client)), "search": "args.order:991 state:failed"}
    assert client.post(BULK, data).status_code == 403
    assert states() == [State.FAILED]


@pytest.mark.parametrize(
    "changes",
    [
        {"as_of": ""},
        {"as_of": "soon"},
        {"as_of": "2030-99-01"},
        {"as_of": "2030-01-15T12:00:00"},
        {"low": "x"},
        {"high": "-1"},
        {"expected": ""},
        {"key": ""},
        {"search": ""},
        {"search": '"open'},
    ],
)
def test_a_broken_request_does_nothing(admin_client, changes):
    JobFactory(failed=True)
    [said], _ = confirm(admin_client, ask(admin_client), **changes)
    assert said.startswith("Nothing was done: the request was incomplete.")
    assert states() == [State.FAILED]


def test_actions_are_posts_with_a_token(admin_user, operation):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.post(BULK, {"verb": "retry"}).status_code == 403
    assert client.post(page_of(operation, "stop")).status_code == 403
    assert client.get(page_of(operation, "stop")).status_code == 405
    assert client.get(BULK, {"verb": "explode"}).status_code == 404


def test_hostile_texts_are_never_markup(admin_client, operation):
    JobFactory(failed=True, name=HOSTILE, queue=HOSTILE[:64])
    BulkOperation.objects.update(
        search=f'"{HOSTILE}"', created_by=HOSTILE, reasons={HOSTILE: [1, 2]}
    )
    for page in (ask(admin_client, q='"<script>"'), raw(admin_client, page_of(operation))):
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page


def test_asking_costs_few_queries(admin_client, django_assert_max_num_queries):
    JobFactory.create_batch(20, failed=True)
    with django_assert_max_num_queries(7 + 2):
        ask(admin_client, q="queue:default")
