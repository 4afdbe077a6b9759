"""What people see of events: in the admin, in a terminal, in the checks, on the page of a job."""

import json
from io import StringIO

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.urls import reverse

from django_jobs import Event, JobContext, send_event
from django_jobs.definitions import job
from django_jobs.models import Event as EventRow
from django_jobs.models import Job
from django_jobs.retries import Backoff
from django_jobs.states import RunOutcome
from django_jobs.testing import run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


@pytest.fixture
def ship():
    """Return a job that listens to "order/paid"."""

    @job(name="tests.ship", on="order/paid")
    def ship(event: Event) -> None: ...

    return ship


@pytest.fixture
def waiting():
    """Return a job that waits for "order/paid"."""

    @job(name="tests.waiting")
    def body(context: JobContext) -> None:
        context.step.wait_for_event("payment", "order/paid", timeout=3600)

    handle = body.enqueue()
    run_jobs()
    return handle


def command(*arguments):
    """Run `manage.py jobs …` and return what it printed."""
    out = StringIO()
    call_command("jobs", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_lists_what_became_of_each_event(ship, waiting):
    send_event("order/paid", id="17")
    send_event("order/paid", id="17")
    send_event("order/sent")
    run_jobs()
    send_event("order/lost")
    lines = [line.split("  ")[-1].strip() for line in command("events").splitlines()[1:]]
    assert lines == [
        "not handed out yet",
        "nobody listened",
        "its id had been seen: nothing",
        "started 1, woke or cancelled 1",
    ]
    assert "order/sent" in command("events", "--name", "sent")
    assert command("events", "--name", "nothing").strip() == "No such events."


def test_the_command_sends_an_event(ship):
    text = command("send-event", "order/paid", "--data", '{"order_id": 17}', "--id", "a")
    row = EventRow.objects.get()
    assert (row.data, row.key) == ('{"order_id":17}', "a")
    assert text == f"Event #{row.pk} order/paid is sent: it started tests.ship #{row.started[0]}.\n"
    again = command("send-event", "order/paid", "--id", "a")
    assert "its id was seen within 24 hours" in again
    assert "no job listens" in command("send-event", "order/sent")


@pytest.mark.parametrize("data", ["[1]", "{", "17"])
def test_the_command_says_what_is_no_data(data):
    with pytest.raises(CommandError, match="not a JSON object"):
        command("send-event", "order/paid", "--data", data)


def test_the_command_says_what_is_no_event():
    with pytest.raises(CommandError, match="sent by workers only"):
        command("send-event", "django_jobs/job.failed")


def test_a_job_says_what_it_waits_for(waiting):
    text = command("show", str(waiting.id))
    assert "waits for" in text
    assert "event order/paid" in text
    assert "step payment: waiting until 2030-01-15 13:00:00 UTC" in text
    assert "in 1 h" in text


def test_a_job_whose_step_is_tried_again_is_retrying():
    @job(name="tests.stepping", backoff=Backoff(first=10, jitter=0))
    def body(context: JobContext) -> None:
        context.step.run("mail", lambda: 1 / 0)

    body.enqueue()
    assert run_jobs() == [RunOutcome.RETRIED]
    row = Job.objects.get()
    assert row.attempt == 0
    assert row.label == "retrying"
    assert row.waiting_for == 'another try of step "mail", attempt 1'


def test_the_admin_lists_events_and_shows_their_data_to_those_who_may(staff, ship):
    client = staff("view_event")
    send_event("order/paid", {"order_id": 4711, "token": "hush-hush", "html": "<b>x</b>"})
    row = EventRow.objects.get()
    listed = client.get(reverse("admin:django_jobs_event_changelist")).content.decode()
    assert "order/paid" in listed
    assert "started 1" in listed
    page = client.get(reverse("admin:django_jobs_event_change", args=[row.pk])).content.decode()
    assert reverse("admin:django_jobs_job_change", args=[row.started[0]]) in page
    assert "4711" not in page


def test_the_admin_masks_what_is_secret_and_escapes_what_is_hostile(staff, ship):
    client = staff("view_event", "view_job_payload")
    send_event("order/paid", {"order_id": 4711, "token": "hush-hush", "html": "<b>x</b>"})
    row = EventRow.objects.get()
    page = client.get(reverse("admin:django_jobs_event_change", args=[row.pk])).content.decode()
    assert "4711" in page
    assert "hush-hush" not in page
    assert "<b>x</b>" not in page


def test_the_admin_finds_an_event_by_name_and_id(staff):
    client = staff("view_event")
    send_event("order/paid", id="a-17")
    send_event("order/sent", id="b-18")
    url = reverse("admin:django_jobs_event_changelist")
    for term, found in (("order/sent", "order/sent"), ("a-17", "order/paid")):
        rows = client.get(url, {"q": term}).context["cl"].result_list
        assert [row.name for row in rows] == [found]


def test_a_missing_job_for_failures_is_an_error():
    @job(name="tests.alone", on_failure="tests.nobody")
    def alone() -> None: ...

    @job(name="tests.plain")
    def plain() -> None: ...

    @job(name="tests.other", on_failure=plain)
    def other() -> None: ...

    found = {error.msg for error in run_checks(tags=["django_jobs"]) if error.id.endswith("E012")}
    assert found == {
        'tests.alone: on_failure names "tests.nobody", which is not declared.',
        'tests.other: on_failure names "tests.plain", which does not take an event.',
    }


def test_failures_that_start_each_other_are_an_error():
    @job(name="tests.one", on_failure="tests.two")
    def one(event: Event) -> None: ...

    @job(name="tests.two", on_failure="tests.one")
    def two(event: Event) -> None: ...

    @job(name="tests.self", on_failure="tests.self")
    def alone(event: Event) -> None: ...

    @job(name="tests.outside", on_failure="tests.one")
    def outside() -> None: ...

    found = {error.msg for error in run_checks(tags=["django_jobs"]) if error.id.endswith("E013")}
    assert found == {
        "on_failure goes round in a circle: tests.one → tests.two → tests.one.",
        "on_failure goes round in a circle: tests.self → tests.self.",
    }


def test_a_job_whose_failure_job_is_missing_fails_like_any_other():
    @job(name="tests.alone", on_failure="tests.nobody", max_attempts=1)
    def alone() -> None:
        raise ValueError

    alone.enqueue()
    assert run_jobs() == [RunOutcome.FAILED]


def test_what_cannot_be_handed_out_is_said_and_holds_up_nothing_else(caplog, waiting):
    @job(name="tests.odd", on="django_jobs/job.failed")
    def odd(event: Event) -> None: ...

    @job(name="tests.failing", max_attempts=1)
    def failing() -> None:
        raise ValueError

    odd.new = None
    odd.parameters = None  # as if it had been broken while the worker ran
    failing.enqueue()
    run_jobs()
    row = EventRow.objects.get(name="django_jobs/job.failed")
    assert "could not be handed out: tests.odd is not started: AttributeError" in row.summary
    assert json.loads(row.data) == {"listeners": [["tests.odd", []]]}
    assert "does not start tests.odd. AttributeError" in caplog.text
    send_event("order/paid")
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
