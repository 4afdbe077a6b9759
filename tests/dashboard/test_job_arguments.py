import html
import json
import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry

from django_jobs import JobContext
from django_jobs import job as declare
from django_jobs.models import Job
from django_jobs.states import State
from django_jobs.subscriptions import Event
from tests.conftest import NOON
from tests.dashboard.job_pages import PAYLOAD, address, raw, said, shown, steps_of
from tests.factories import JobFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def every(
    context: JobContext, number: int, share: float, text: str, flag: bool, data: dict | None = None
): ...


def collecting(first, *rest, key="x", **more): ...


def placed(one, two=2, /, *, three=3): ...


@pytest.fixture(autouse=True)
def _declared():
    for function in (every, collecting, placed):
        declare(name=f"tests.{function.__name__}")(function)


def failed(function, *args, **kwargs):
    return JobFactory(failed=True, name=f"tests.{function.__name__}", args=[*args], kwargs=kwargs)


def fields(client, job):
    """Return what a form shows: {name: value}, as a browser would send it."""
    text = raw(client, job, "arguments")
    found = {}
    for tag in re.findall(r"<input[^>]*>", text.partition('class="job-arguments"')[2]):
        values = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if values.get("type") == "checkbox" and " checked" not in tag:
            continue
        default = "on" if values.get("type") == "checkbox" else ""
        found[values["name"]] = html.unescape(values.get("value", default))
    areas = re.findall(r'<textarea name="([^"]*)"[^>]*>\n?(.*?)</textarea>', text, re.DOTALL)
    found |= {name: html.unescape(value) for name, value in areas}
    found.pop("csrfmiddlewaretoken")
    return found


def change(client, job, **values):
    """Send the form with some values changed; `None` sends no such field."""
    sent = fields(client, job) | {f"argument-{name}": value for name, value in values.items()}
    sent = {name: value for name, value in sent.items() if value is not None}
    return client.post(address(job, "arguments"), sent, follow=True)


def messages(response):
    return [str(message) for message in response.context["messages"]]


def call_of(job):
    job = Job.objects.get(pk=job.pk)
    return job.args, job.kwargs


def test_each_parameter_has_the_field_of_its_type(admin_client):
    job = failed(every, 7, 1.5, "a\nb", True, data={"a": [None]})
    text = raw(admin_client, job, "arguments")
    for name, kind in {"number": "number", "share": "number", "flag": "checkbox"}.items():
        assert re.search(rf'<input type="{kind}" name="argument-{name}"', text)
    assert fields(admin_client, job) == {
        "as_of": Job.objects.get().finished_at.isoformat(),
        "argument-number": "7",
        "argument-share": "1.5",
        "argument-text": "a\nb",
        "argument-flag": "on",
        "argument-data": '{"a": [null]}',
    }
    assert "every(number: int, share: float, text: str, flag: bool, data:" in said(text)


def test_a_form_that_is_sent_as_it_is_changes_no_value(admin_client):
    calls = (
        (every, (7, 1.5, " x\r\n ", False), {"data": None}),
        (every, (7, 2, "", True), {}),
        (collecting, (1, 2, 3), {"key": "k", "deep": {"a": [1.0]}}),
        (placed, (1,), {}),
        (placed, ("1", [2]), {"three": None}),
    )
    for function, args, kwargs in calls:
        job = failed(function, *args, **kwargs)
        [message] = messages(change(admin_client, job))
        assert message == f"Job #{job.pk} was retried with the same arguments."
        assert repr(call_of(job)) == repr(([*args], kwargs))
        assert Job.objects.get(pk=job.pk).original_args is None


def test_a_job_is_retried_with_other_arguments_and_keeps_the_first_ones(staff):
    client = staff("view_job", "change_job", PAYLOAD)
    job = failed(every, 7, 1.5, "x", True)
    response = change(client, job, number="8", data='{"b": 1}', flag=None)
    assert messages(response) == [
        f"Job #{job.pk} was retried with changed arguments (number, flag, data)."
    ]
    assert call_of(job) == ([8, 1.5, "x", False], {"data": {"b": 1}})
    row = Job.objects.get(pk=job.pk)
    assert (row.state, row.attempt) == (State.READY, 0)
    assert row.original_args == {"args": [7, 1.5, "x", True], "kwargs": {}}
    [entry] = LogEntry.objects.all()
    assert (entry.user.username, entry.object_id) == ("ana", str(job.pk))
    assert "number, flag, data" in entry.get_change_message()
    text = shown(client, job)
    assert "As it was enqueued" in text
    assert '"number": 7' in text
    assert client.get(address(job, "download", "original")).json()["number"] == 7


def test_of_a_scheduled_job_only_the_arguments_change(admin_client):
    job = JobFactory(scheduled=True)
    [message] = messages(change(admin_client, job, left="9"))
    assert message == f"Job #{job.pk} was given other arguments (left)."
    row = Job.objects.get()
    touched = job.run_at + timedelta(microseconds=1)
    assert (row.args, row.state, row.run_at) == ([9, 2], State.SCHEDULED, touched)


def test_of_two_who_change_a_scheduled_job_the_second_is_told_so(admin_client):
    job = JobFactory(scheduled=True)
    seen = fields(admin_client, job)
    change(admin_client, job, left="8")
    second = seen | {"argument-left": "9"}
    [message] = messages(admin_client.post(address(job, "arguments"), second, follow=True))
    assert "was touched since it was looked at" in message
    assert Job.objects.get().args == [8, 2]


@pytest.mark.parametrize("kind", [{}, {"running": True}, {"waiting": True}, {"successful": True}])
def test_other_jobs_keep_their_arguments(admin_client, kind):
    job = JobFactory(**kind)
    assert "changed arguments" not in raw(admin_client, job)
    response = admin_client.post(address(job, "arguments"), follow=True)
    assert "cannot be changed" in messages(response)[0]
    assert call_of(job) == ([1, 2], {})


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"number": "x"}, "Enter a whole number."),
        ({"number": ""}, "This field is required."),
        ({"share": "nan"}, "Enter a number."),
        ({"data": "{"}, "Enter a valid JSON."),
        ({"data": "[" * 100_000}, "Enter a valid JSON."),
        ({"data": json.dumps("x" * 70_000)}, "the limit is 65,536"),
        ({"data": "[NaN]"}, "nan, which JSON cannot hold"),
        ({"text": "a\x00b"}, "Null characters are not allowed."),
    ],
)
def test_what_enqueue_would_not_take_is_refused_beside_the_field(admin_client, values, problem):
    job = failed(every, 7, 1.5, "x", True)
    response = change(admin_client, job, **values)
    assert response.status_code == 200
    assert problem in said(response.content.decode())
    assert Job.objects.get().state == State.FAILED
    assert not LogEntry.objects.exists()


def test_secrets_stay_unless_something_else_is_written(admin_client):
    job = JobFactory(failed=True, name="tests.jobs.charge", args=[7, "4111"],
                     kwargs={"api_key": "k-12"})  # fmt: skip
    page = raw(admin_client, job, "arguments")
    assert "4111" not in page
    assert "k-12" not in page
    change(admin_client, job, customer="8")
    assert call_of(job) == ([8, "4111"], {"api_key": "k-12"})
    Job.objects.update(state=State.FAILED, finished_at=NOON)
    change(admin_client, job, card="4222")
    assert call_of(job) == ([8, "4222"], {"api_key": "k-12"})
    assert "4222" not in LogEntry.objects.latest("pk").get_change_message()


def test_hidden_values_inside_of_data_stay_where_they_are(admin_client):
    job = failed(collecting, {"token": "t-1", "url": "http://ana:pw@host/", "n": 1}, pin=5)
    shown_value = json.loads(fields(admin_client, job)["argument-first"])
    assert shown_value == {"token": "•••", "url": "http://ana:•••@host/", "n": 1}
    change(admin_client, job, first=json.dumps({**shown_value, "n": 2}))
    assert call_of(job)[0] == [{"token": "t-1", "url": "http://ana:pw@host/", "n": 2}]


def test_a_mask_in_another_place_means_nothing(admin_client):
    job = failed(every, 7, 1.5, "x", True)
    response = change(admin_client, job, text="•••")
    assert "stands for a value that is hidden" in response.content.decode()
    assert call_of(job)[0][2] == "x"


def test_a_number_that_is_secret_stays_or_is_replaced(admin_client):
    @declare(name="tests.pay", sensitive=("pin",))
    def pay(pin: int): ...

    job = failed(pay, 4711)
    assert fields(admin_client, job)["argument-pin"] == '"•••"'
    change(admin_client, job)
    assert call_of(job) == ([4711], {})
    Job.objects.update(state=State.FAILED, finished_at=NOON)
    change(admin_client, job, pin="12")
    assert call_of(job) == ([12], {})


def test_what_was_not_given_stays_so_unless_it_is_written(admin_client):
    job = failed(collecting, 1)
    change(admin_client, job, first="2")
    assert call_of(job) == ([2], {})
    Job.objects.update(state=State.FAILED, finished_at=NOON)
    change(admin_client, job, rest="[5]", key='"y"', more='{"z": 1}')
    assert call_of(job) == ([2, 5], {"key": "y", "z": 1})
    job = failed(placed, 1)
    change(admin_client, job, two="8")
    assert call_of(job) == ([1, 8], {})


@pytest.mark.parametrize(("name", "value"), [("rest", "5"), ("more", "[5]"), ("rest", '"ab"')])
def test_what_is_collected_is_a_list_or_an_object(admin_client, name, value):
    job = failed(collecting, 1)
    response = change(admin_client, job, **{name: value})
    assert "Write a JSON" in response.content.decode()


def test_a_call_that_the_function_does_not_take_any_more_is_mended(admin_client):
    job = JobFactory(failed=True, args=[1, 2, 3], kwargs={"old": True})
    sent = fields(admin_client, job)
    assert (sent["argument-args"], sent["argument-kwargs"]) == ("[1, 2, 3]", '{"old": true}')
    response = change(admin_client, job, args="[1, 2]")
    assert "has no parameter" in said(response.content.decode())
    assert "Write a JSON list" in change(admin_client, job, args="{}").content.decode()
    change(admin_client, job, args="[1, 2]", kwargs="")
    assert call_of(job) == ([1, 2], {})
    assert Job.objects.get().state == State.READY


def test_hints_that_cannot_be_resolved_are_edited_as_json(admin_client):
    def odd(value): ...

    odd.__annotations__["value"] = "Nowhere[int]"
    declare(name="tests.odd")(odd)
    job = failed(odd, 7)
    assert fields(admin_client, job)["argument-value"] == "7"
    assert "value: Nowhere[int]" in shown_form(admin_client, job)


def shown_form(client, job):
    return said(raw(client, job, "arguments"))


def test_the_event_of_a_listening_job_is_edited_as_data(admin_client):
    @declare(name="tests.ship", on="order/paid")
    def ship(event: Event): ...

    event = Event("order/paid", {"order": 1}, 5, NOON).as_json()
    job = failed(ship, event)
    event["data"]["order"] = 2
    change(admin_client, job, event=json.dumps(event))
    assert call_of(job) == ([event], {})


def test_finished_steps_may_be_run_again(admin_client):
    job = JobFactory(failed=True)
    steps_of(job, "1")
    sent = fields(admin_client, job)
    assert "Run its finished steps again" in shown_form(admin_client, job)
    admin_client.post(address(job, "arguments"), {**sent, "from_start": "on"})
    assert "step-001" not in shown(admin_client, job)


def test_who_comes_second_is_told(admin_client):
    job = failed(every, 7, 1.5, "x", True)
    sent = fields(admin_client, job)
    admin_client.post(address(job, "arguments"), {**sent, "argument-number": "8"})
    Job.objects.update(state=State.FAILED, finished_at=NOON + timedelta(minutes=1))
    response = admin_client.post(
        address(job, "arguments"), {**sent, "argument-number": "9"}, follow=True
    )
    assert "was touched since it was looked at" in messages(response)[-1]
    assert call_of(job)[0][0] == 8
    assert LogEntry.objects.count() == 1


def test_a_job_that_is_gone_is_told(admin_client):
    job = JobFactory(failed=True)
    Job.objects.all().delete()
    response = admin_client.post(address(job, "arguments"), follow=True)
    assert "There is no such job." in messages(response)


@pytest.mark.parametrize("as_of", ["", "x", "2030-99-15T12:00:00Z", "2030-01-15T12:00:00"])
def test_a_broken_request_changes_nothing(admin_client, as_of):
    job = JobFactory(failed=True)
    sent = fields(admin_client, job) | {"as_of": as_of, "argument-left": "9"}
    assert admin_client.post(address(job, "arguments"), sent).status_code == 200
    assert call_of(job) == ([1, 2], {})


@pytest.mark.parametrize("rights", [["change_job"], [PAYLOAD], ["add_job", PAYLOAD]])
def test_it_takes_both_permissions(staff, rights):
    client = staff("view_job", *rights)
    job = JobFactory(failed=True)
    assert "changed arguments" not in raw(client, job)
    assert client.get(address(job, "arguments")).status_code == 403
    assert client.post(address(job, "arguments"), {}).status_code == 403


def test_a_job_that_nobody_knows_keeps_its_arguments(admin_client):
    job = JobFactory(failed=True, name="shop.jobs.removed")
    assert "changed arguments" not in raw(admin_client, job)
    response = admin_client.get(address(job, "arguments"), follow=True)
    assert "cannot be changed: it is unknown here" in messages(response)[0]


def test_texts_in_the_form_are_never_markup(admin_client):
    job = failed(every, 7, 1.5, "</textarea><script>alert(1)</script>" * 3, True)
    assert "<script>alert" not in raw(admin_client, job, "arguments")
