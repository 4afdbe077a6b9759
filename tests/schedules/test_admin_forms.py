"""Schedules are made, changed, previewed and deleted in the admin, by the rules of code."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.urls import reverse

from django_jobs import schedules
from django_jobs.admin.schedules.forms import SpanField
from django_jobs.declarations import cron
from django_jobs.exceptions import InvalidSchedule, JobNotFound
from django_jobs.models import Schedule
from tests.conftest import NOON
from tests.factories import ScheduleFactory
from tests.schedules.pages import act, address, filled, listed, opened, press, text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOUR = timedelta(hours=1)
ADD = "admin:django_jobs_schedule_add"


def add(client, **fields):
    return client.post(reverse(ADD), filled(**fields), follow=True)


def as_sent(client, row, **fields):
    """Return the form of the page as a browser sends it back."""
    form = client.get(address("change", row)).context["adminform"].form
    data = {}
    for field in form:
        value = field.value()
        if field.name in ("starts_at", "ends_at"):
            parts = field.field.widget.decompress(value)
            data |= {f"{field.name}_{place}": part or "" for place, part in enumerate(parts)}
        else:
            data[field.name] = "" if value is None else value
    return {**data, **fields}


def change(client, row, **fields):
    return client.post(address("change", row), as_sent(client, row, **fields), follow=True)


def errors(response):
    assert response.status_code == 200
    return {name: list(texts) for name, texts in response.context["adminform"].form.errors.items()}


def test_the_form_offers_the_declared_jobs_and_the_time_zones(admin_client):
    page = admin_client.get(reverse(ADD)).content.decode()
    assert '<option value="tests.jobs.add">' in page
    assert '<option value="Europe/Paris">' in page
    assert '<option value="Etc/GMT+2">' not in page


def test_a_schedule_is_made_through_the_door_of_code(admin_client):
    add(admin_client, timezone="Europe/Paris", kwargs="", jitter="5m", overlap="allow")
    row = Schedule.objects.get()
    assert (row.name, row.job_name, row.cron) == ("report", "tests.jobs.add", "0 2 * * *")
    assert (row.args, row.kwargs, row.jitter) == ([1, 2], {}, timedelta(minutes=5))
    assert (row.source, row.overlap, row.created_at) == ("admin", "allow", NOON)
    assert row.next_run_at == NOON + 13 * HOUR
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.is_addition()) == (str(row.pk), True)


def test_a_schedule_may_be_a_span_of_time_between_two_days(admin_client):
    dates = {"starts_at_0": "2030-02-01", "starts_at_1": "00:00", "ends_at_0": "2030-03-01"}
    add(admin_client, cron="", every="1h 30m", **dates, ends_at_1="00:00")
    row = Schedule.objects.get()
    assert (row.cron, row.every) == ("", timedelta(minutes=90))
    assert row.next_run_at == row.starts_at == datetime(2030, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"cron": "0 25 * * *"}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"cron": ""}, "cron"),
        ({"every": "1h"}, "cron"),
        ({"cron": "", "every": "0s"}, "every"),
        ({"timezone": "Europe/Pariss"}, "timezone"),
        ({"jitter": "2d"}, "jitter"),
        ({"missed_within": "900d"}, "missed_within"),
        ({"args": "[]"}, "args"),
        ({"kwargs": '{"rihgt": 1}'}, "args"),
        ({"job_name": "tests.jobs.ad"}, "job_name"),
        (
            {
                "starts_at_0": "2030-02-01",
                "starts_at_1": "00:00",
                "ends_at_0": "2030-01-01",
                "ends_at_1": "00:00",
            },
            "ends_at",
        ),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_in_the_words_of_code(admin_client, fields, field):
    found = errors(add(admin_client, **fields))
    assert list(found) == [field]
    with pytest.raises((InvalidSchedule, JobNotFound)) as caught:
        schedules.create("report", **_as_code(filled(**fields)))
    assert found[field] == [str(caught.value)]
    assert not Schedule.objects.exists()


def _as_code(form):
    span = SpanField(required=False)
    moments = {
        name: datetime.fromisoformat(f"{form[f'{name}_0']}T{form[f'{name}_1']}+00:00")
        if form[f"{name}_0"]
        else None
        for name in ("starts_at", "ends_at")
    }
    return {
        "job": form["job_name"],
        "cron": form["cron"],
        "timezone": form["timezone"],
        "args": json.loads(form["args"]),
        "kwargs": json.loads(form["kwargs"]),
        **{name: span.clean(form[name]) for name in ("every", "missed_within", "jitter")},
        **moments,
    }


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"args": "[1,"}, "args", "Enter a valid JSON."),
        ({"args": "[" * 100_000}, "args", "Enter a valid JSON."),
        ({"args": '{"left": 1}'}, "args", "args must be a list"),
        ({"kwargs": "[1]"}, "kwargs", "kwargs must be an object"),
        ({"args": "[NaN]"}, "args", "Nothing was enqueued."),
        ({"cron": "", "every": "often"}, "every", "Write a span of time such as 30s"),
        ({"jitter": "9" * 400 + "d"}, "jitter", "Write a span of time such as 30s"),
        ({"jitter": "-5"}, "jitter", "0 or more"),
        ({"missed_within": ""}, "missed_within", "This field is required."),
        ({"timezone": ""}, "timezone", "This field is required."),
        ({"timezone": "../../etc/passwd"}, "timezone", "is not a time zone"),
        ({"name": ""}, "name", "This field is required."),
        ({"name": "x" * 256}, "name", "at most 255 characters"),
        ({"cron": "* " * 300}, "cron", "at most 200 characters"),
        ({"missed": "maybe"}, "missed", "not one of the available choices"),
    ],
)
def test_what_cannot_be_read_is_said_beside_its_field_alone(admin_client, fields, field, words):
    found = errors(add(admin_client, **fields))
    assert list(found) == [field]
    assert words in found[field][0]


def test_a_name_that_is_taken_is_said_beside_it(admin_client):
    ScheduleFactory(name="report")
    assert errors(add(admin_client)) == {"name": ['There is a schedule "report" already.']}


def test_a_name_that_is_taken_in_the_same_moment_is_told_politely(admin_client, monkeypatch):
    ScheduleFactory(name="report")
    monkeypatch.setattr("django_jobs.admin.schedules.forms.check_free", lambda _name: None)
    response = add(admin_client)
    messages = [str(message) for message in response.context["messages"]]
    assert messages == ['There is a schedule "report" already.']
    assert not LogEntry.objects.exists()


def test_a_preview_shows_words_and_times_and_saves_nothing(admin_client):
    response = add(admin_client, cron="30 2 * * *", timezone="Europe/Paris", _preview="1")
    shown = text(response)
    assert "Preview: nothing is saved yet At 02:30 every day." in shown
    assert "Wed 2030-01-16 02:30 CET in 13 h" in shown
    assert "Please correct" not in shown
    assert len(response.context["preview"]) == 10
    assert response.context["adminform"].form["cron"].value() == "30 2 * * *"
    assert not Schedule.objects.exists()
    assert not LogEntry.objects.exists()


def test_a_preview_of_nonsense_says_what_is_wrong(admin_client):
    response = add(admin_client, cron="0 25 * * *", _preview="1")
    assert "hour must be" in errors(response)["cron"][0]
    assert "Preview: nothing" not in text(response)


def test_a_preview_of_a_change_leaves_the_facts_as_they_are(admin_client):
    row = ScheduleFactory(name="sync")
    shown = text(change(admin_client, row, cron="30 4 * * *", _preview="1"))
    assert "Preview: nothing is saved yet At 04:30 every day." in shown
    assert "Rule every hour (0 * * * *)" in shown
    row.refresh_from_db()
    assert row.cron == "0 * * * *"


def test_a_preview_without_a_time_says_so(admin_client):
    dates = {"ends_at_0": "2030-01-01", "ends_at_1": "00:00"}
    assert "No planned time is left." in text(add(admin_client, **dates, _preview="1"))


def test_a_schedule_is_changed_from_its_next_planned_time_on(admin_client):
    row = ScheduleFactory(name="sync")
    change(admin_client, row, cron="30 4 * * *", name="other")
    row.refresh_from_db()
    assert (row.name, row.cron) == ("sync", "30 4 * * *")
    assert row.next_run_at == NOON + timedelta(hours=16, minutes=30)
    assert LogEntry.objects.get().get_change_message() == "Changed Cron."


def test_a_form_that_is_sent_as_it_was_changes_nothing(admin_client, nightly):
    schedules.sync()
    Schedule.objects.update(starts_at=NOON + timedelta(microseconds=7), jitter=timedelta(seconds=9))
    before = Schedule.objects.values().get()
    change(admin_client, Schedule.objects.get())
    assert Schedule.objects.values().get() == before


def test_what_is_changed_of_a_declared_schedule_is_marked_and_nothing_else(admin_client, nightly):
    schedules.sync()
    change(admin_client, Schedule.objects.get(), overlap="allow", job_name="tests.jobs.nothing")
    row = Schedule.objects.get()
    assert (row.overlap, row.job_name, row.overrides) == ("allow", "tests.nightly", ["overlap"])


def test_a_schedule_that_was_deleted_meanwhile_is_told_politely(admin_client, monkeypatch):
    row = ScheduleFactory(name="sync")
    data = as_sent(admin_client, row, cron="30 4 * * *")

    def gone(name, **_fields):
        Schedule.objects.filter(name=name).delete()
        return real(name)

    real = schedules.change
    monkeypatch.setattr(schedules, "change", gone)
    response = admin_client.post(address("change", row), data, follow=True)
    assert 'There is no schedule "sync"' in text(response)


def test_arguments_are_edited_without_showing_their_secrets(admin_client):
    row = ScheduleFactory(
        job_name="tests.jobs.charge", args=[7, "4111"], kwargs={"api_key": "https://u:pw9@host"}
    )
    page = admin_client.get(address("change", row)).content.decode()
    assert "4111" not in page
    assert "pw9" not in page
    change(admin_client, row, args='[8, "•••"]')
    row.refresh_from_db()
    assert (row.args, row.kwargs) == ([8, "4111"], {"api_key": "https://u:pw9@host"})
    change(admin_client, row, args='[8, "5222"]')
    row.refresh_from_db()
    assert row.args == [8, "5222"]


def test_credentials_inside_texts_are_kept_as_well(admin_client):
    row = ScheduleFactory(job_name="tests.jobs.send", args=["smtp://u:pw9@host", "hello"])
    assert "pw9" not in admin_client.get(address("change", row)).content.decode()
    change(admin_client, row, args='["smtp://u:•••@host", "bye"]')
    row.refresh_from_db()
    assert row.args == ["smtp://u:pw9@host", "bye"]


def test_a_mask_that_stands_for_nothing_is_refused(admin_client):
    row = ScheduleFactory(job_name="tests.jobs.send", args=["ana"])
    found = errors(change(admin_client, row, args='["•••"]'))
    assert "stands for a value that is hidden" in found["args"][0]


def test_what_no_database_can_store_is_refused_on_a_page_that_can_be_shown(admin_client):
    found = errors(add(admin_client, job_name="tests.jobs.send", args='["\\ud800"]'))
    assert "surrogate" in found["args"][0]


def test_the_form_says_on_whose_clocks_its_limits_are(admin_client, settings):
    settings.TIME_ZONE = "Europe/Paris"
    page = text(admin_client.get(reverse(ADD)))
    assert "Not before this instant. On the clocks of Europe/Paris." in page


def test_without_the_permission_arguments_are_neither_shown_nor_changed(staff):
    client = staff("change_schedule")
    row = ScheduleFactory(job_name="tests.jobs.send", args=["private"], kwargs={"subject": "x-9"})
    page = client.get(address("change", row)).content.decode()
    assert "private" not in page
    assert "x-9" not in page
    change(client, row, args='["evil"]', kwargs="{}", cron="30 4 * * *")
    row.refresh_from_db()
    assert (row.args, row.kwargs, row.cron) == (["private"], {"subject": "x-9"}, "30 4 * * *")


@pytest.mark.parametrize("codename", ["view_schedule", "change_schedule", "delete_schedule"])
def test_adding_needs_its_permission(staff, codename):
    client = staff(codename)
    assert client.get(reverse(ADD)).status_code == 403
    assert client.post(reverse(ADD), filled()).status_code == 403
    assert not Schedule.objects.exists()


@pytest.mark.parametrize("codename", ["view_schedule", "add_schedule"])
def test_changing_and_deleting_need_their_permissions(staff, codename):
    client = staff(codename)
    row = ScheduleFactory()
    assert client.post(address("change", row), filled(cron="@daily")).status_code == 403
    assert client.post(address("delete", row), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    client.post(reverse("admin:django_jobs_schedule_changelist"), chosen)
    row.refresh_from_db()
    assert row.cron == "0 * * * *"


def test_a_schedule_whose_job_is_gone_can_still_be_opened(admin_client):
    row = ScheduleFactory(job_name="shop.jobs.gone", args=[1])
    page = admin_client.get(address("change", row)).content.decode()
    assert "shop.jobs.gone (not declared here)" in page
    assert 'no job "shop.jobs.gone"' in errors(change(admin_client, row))["job_name"][0]


@pytest.mark.django_db(databases=["default", "other"])
def test_schedules_may_live_in_another_database(admin_client, settings):
    settings.DJANGO_JOBS = {"DATABASE": "other"}
    add(admin_client)
    row = Schedule.objects.using("other").get()
    assert "report" in listed(admin_client)
    change(admin_client, row, cron="30 4 * * *")
    press(admin_client, "run_now", row)
    press(admin_client, "pause", row)
    row.refresh_from_db()
    assert (row.cron, row.is_active) == ("30 4 * * *", False)
    assert "by hand ready" in opened(admin_client, row)
    act(admin_client, "delete_selected", row, post="yes")
    assert not Schedule.objects.using("other").exists()
    assert LogEntry.objects.count() == 5


def test_the_admin_says_the_same_as_the_decorator(admin_client):
    with pytest.raises(InvalidSchedule) as caught:
        cron("0 25 * * *")
    assert errors(add(admin_client, cron="0 25 * * *"))["cron"] == [str(caught.value)]


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("1d 12h", timedelta(hours=36)),
        (" 2H ", timedelta(hours=2)),
        ("0.5s", timedelta(seconds=0.5)),
        ("0s", timedelta()),
    ],
)
def test_spans_are_read_and_written_alike(written, span):
    field = SpanField()
    assert field.clean(written) == span
    assert field.clean(field.prepare_value(span)) == span


@pytest.mark.parametrize("span", [timedelta(days=3, seconds=7), timedelta(microseconds=250)])
def test_no_span_is_rounded_when_it_is_written(span):
    field = SpanField()
    assert field.clean(field.prepare_value(span)) == span


@pytest.mark.parametrize("text", ["x", "1w", "m", "1h1d", "١h" * 9])
def test_what_is_no_span_is_refused(text):
    with pytest.raises(ValidationError):
        SpanField().clean(text)
