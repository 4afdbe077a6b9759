"""What people do to schedules in the admin: on the list and with the buttons of the page."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from django_jobs import schedules
from django_jobs.admin.schedules.actions import VERBS
from django_jobs.models import Job, Schedule, Tick
from tests.conftest import NOON
from tests.factories import ScheduleFactory, TickFactory
from tests.schedules.pages import LIST, act, address, press, text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOUR = timedelta(hours=1)
ACTIONS = {
    "pause": "pause_schedules",
    "resume": "resume_schedules",
    "catch_up": "catch_up_schedules",
    "run_now": "run_schedules",
    "reset": "reset_schedules",
}


def log():
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def test_a_schedule_is_paused_with_a_name_and_a_reason(staff):
    client = staff("change_schedule")
    row = ScheduleFactory(name="sync")
    assert press(client, "pause", row, reason="audit") == [
        'Schedule "sync": paused; its jobs go on.'
    ]
    row.refresh_from_db()
    assert (row.paused_by, row.paused_reason) == ("ana", "audit")
    assert log() == ["paused: audit"]


def test_whoever_pauses_second_hears_who_was_first(admin_client):
    row = ScheduleFactory(name="sync", paused=True)
    assert press(admin_client, "pause", row) == [
        'Schedule "sync": no change: it was paused already (paused by ana 5 min ago).'
    ]
    assert log() == []


def test_a_schedule_is_resumed_once(admin_client):
    row = ScheduleFactory(name="sync", paused=True)
    assert press(admin_client, "resume", row) == ['Schedule "sync": resumed.']
    assert press(admin_client, "resume", row) == ['Schedule "sync": no change: it was not paused.']
    row.refresh_from_db()
    assert row.next_run_at == NOON + HOUR
    assert log() == ["resumed"]


def test_a_resumed_schedule_can_catch_up(admin_client):
    row = ScheduleFactory(name="sync", paused=True, paused_at=NOON - 3 * HOUR)
    press(admin_client, "catch_up", row)
    assert Tick.objects.get().outcome == "caught_up"
    assert log() == ["resumed, and caught up with its pause"]


def test_a_schedule_is_run_now(admin_client):
    row = ScheduleFactory(name="sync")
    (message,) = press(admin_client, "run_now", row)
    job = Job.objects.get()
    assert message == f'Schedule "sync": job #{job.pk} is enqueued; the next planned time stays.'
    assert log() == [f"run by hand: job #{job.pk}"]
    assert job.enqueued_by == "admin"


def seen_by(client, row):
    return client.get(address("change", row)).context["seen"]


def test_whoever_runs_it_second_is_told_and_may_insist(admin_client):
    row = ScheduleFactory(name="sync")
    seen = seen_by(admin_client, row)
    press(admin_client, "run_now", row, seen=seen)
    job = Job.objects.get()
    (message,) = press(admin_client, "run_now", row, seen=seen)
    assert message.startswith(f'Schedule "sync": not run again: job #{job.pk} was started by hand')
    assert Job.objects.count() == 1
    press(admin_client, "run_now", row, seen=seen_by(admin_client, row))
    assert Job.objects.count() == 2


def test_the_list_knows_what_was_seen_as_well(admin_client):
    row = ScheduleFactory(name="sync")
    seen = admin_client.get(reverse(LIST)).context["action_form"]["seen"].value()
    assert "is enqueued" in act(admin_client, "run_schedules", row, seen=seen)[0]
    assert "not run again" in act(admin_client, "run_schedules", row, seen=seen)[0]
    assert Job.objects.count() == 1


@pytest.mark.parametrize("seen", ["", "x", "9" * 30, "-1", "²"])
def test_what_a_browser_makes_up_about_what_was_seen_is_no_crash(admin_client, seen):
    row = ScheduleFactory()
    assert "is enqueued" in press(admin_client, "run_now", row, seen=seen)[0]


def test_what_cannot_be_run_says_why_and_is_not_logged(admin_client):
    row = ScheduleFactory(name="orphan", job_name="shop.jobs.gone")
    (message,) = press(admin_client, "run_now", row)
    assert 'no job "shop.jobs.gone"' in message
    wrong = ScheduleFactory(name="wrong", job_name="tests.jobs.add")
    (message,) = press(admin_client, "run_now", wrong)
    assert 'is missing "left"' in message
    assert log() == []


def test_a_schedule_is_reset_to_the_code(admin_client, nightly):
    schedules.sync()
    schedules.change("tests.nightly", cron="0 4 * * *")
    row = Schedule.objects.get()
    assert press(admin_client, "reset", row) == [
        'Schedule "tests.nightly": it is as the code says again.'
    ]
    assert Schedule.objects.get().cron == "0 2 * * *"
    assert press(admin_client, "reset", row) == [
        'Schedule "tests.nightly": no change: it is as the code says.'
    ]
    assert log() == ["reset to the code: cron, every"]


def test_the_list_acts_on_several_and_tells_of_each(admin_client):
    rows = [ScheduleFactory(name="a"), ScheduleFactory(name="b")]
    stopped = ScheduleFactory(name="c", paused=True)
    assert act(admin_client, "pause_schedules", *rows, stopped, reason="audit") == [
        "Schedules a, b: paused; its jobs go on.",
        'Schedule "c": no change: it was paused already (paused by ana 5 min ago).',
    ]
    assert set(Schedule.objects.values_list("paused_reason", flat=True)) == {"audit", ""}
    assert log() == ["paused: audit"] * 2


def test_one_that_cannot_be_dealt_with_stops_no_other(admin_client):
    ScheduleFactory(name="a", job_name="shop.jobs.gone")
    ScheduleFactory(name="b")
    messages = act(admin_client, "run_schedules", *Schedule.objects.all())
    assert len(messages) == 2
    assert Job.objects.count() == 1


def test_many_messages_are_cut_short(admin_client):
    rows = ScheduleFactory.create_batch(8)
    messages = act(admin_client, "run_schedules", *rows)
    assert len(messages) == 6
    assert messages[-1] == "And 3 more messages."
    assert Job.objects.count() == 8


@pytest.mark.parametrize("button", [verb.replace("-", "_") for verb in VERBS])
def test_buttons_are_for_those_who_may_change_and_only_by_post(staff, button):
    client = staff("view_schedule", "add_job")
    row = ScheduleFactory(paused=True)
    assert client.get(address(button, row)).status_code == 405
    assert client.post(address(button, row)).status_code == 403
    act(client, ACTIONS[button], row)
    row.refresh_from_db()
    assert row.paused_at is not None
    assert not Job.objects.exists()
    assert client.get(address("backfill", row)).status_code == 403


def test_making_jobs_needs_the_permission_to_add_jobs(staff):
    client = staff("change_schedule")
    row = ScheduleFactory()
    shown = client.get(address("change", row)).content.decode()
    assert "Pause" in shown
    for control in ("Run now", "Backfill"):
        assert control not in shown
    listed = client.get(reverse(LIST)).content.decode()
    assert "pause_schedules" in listed
    assert "run_schedules" not in listed
    assert client.post(address("run_now", row)).status_code == 403
    assert client.post(address("backfill", row)).status_code == 403
    act(client, "run_schedules", row)
    assert not Job.objects.exists()


def test_with_that_permission_jobs_are_made(staff):
    client = staff("change_schedule", "add_job")
    assert "is enqueued" in press(client, "run_now", ScheduleFactory())[0]


def test_buttons_need_a_token(django_user_model):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(django_user_model.objects.create_superuser("eve"))
    assert client.post(address("pause", ScheduleFactory())).status_code == 403


def test_a_schedule_that_is_gone_is_not_found(admin_client):
    row = ScheduleFactory()
    page = address("pause", row)
    schedules.delete(row.name)
    assert admin_client.post(page).status_code == 404
    assert admin_client.post(page.replace(str(row.pk), "x")).status_code == 404


SPAN = {"start": "2030-01-15T10:00", "end": "2030-01-15T12:00", "one_by_one": "on"}


def test_a_backfill_tells_what_it_means_before_it_is_done(admin_client):
    row = ScheduleFactory(name="sync", timezone="Europe/Paris")
    TickFactory(schedule=row, planned_at=NOON - 2 * HOUR)
    shown = text(admin_client.post(address("backfill", row), SPAN))
    assert "Tue 2030-01-15 10:00 CET to Tue 2030-01-15 12:00 CET: 3 planned times" in shown
    assert "2 lack a job" in shown
    assert "one after the other" in shown
    assert not Job.objects.exists()
    (message,) = press(admin_client, "backfill", row, **SPAN, _confirmed="1")
    span = "from Tue 2030-01-15 10:00 CET to Tue 2030-01-15 12:00 CET"
    assert message == f'Schedule "sync": 2 jobs enqueued, {span}.'
    assert log() == [f"backfilled {span}: 2 jobs"]
    assert set(Job.objects.values_list("enqueued_by", flat=True)) == {"admin"}
    assert [job.planned_at for job in Job.objects.order_by("pk")] == [NOON - 3 * HOUR, NOON - HOUR]
    assert sorted(Job.objects.values_list("state", flat=True)) == ["READY", "WAITING"]


def test_the_confirmation_sends_what_was_asked(admin_client):
    row = ScheduleFactory(name="sync", timezone="Europe/Paris")
    form = admin_client.post(address("backfill", row), SPAN).context["form"]
    hidden = {field.name: field.value() for field in form}
    press(admin_client, "backfill", row, **hidden, _confirmed="1")
    assert Job.objects.count() == 3


def test_whoever_backfills_second_is_told(admin_client):
    row = ScheduleFactory(name="sync")
    press(admin_client, "backfill", row, **SPAN, _confirmed="1")
    assert "There is nothing to do." in text(admin_client.post(address("backfill", row), SPAN))
    assert press(admin_client, "backfill", row, **SPAN, _confirmed="1") == [
        'Schedule "sync": no change, each of these planned times has its job.'
    ]


def test_backfilled_jobs_may_run_all_at_once(admin_client):
    data = {**SPAN, "_confirmed": "1"}
    del data["one_by_one"]
    press(admin_client, "backfill", ScheduleFactory(), **data)
    assert set(Job.objects.values_list("state", flat=True)) == {"READY"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"start": ""}, "This field is required."),
        ({"start": "soon"}, "Enter a valid date/time."),
        ({"end": "2030-01-15T09:00"}, "from a start to a later end"),
        ({"end": "2030-01-16T09:00"}, "not into the future"),
        ({"start": "2029-01-15T09:00"}, "more than 1,000 planned times"),
        ({"start": "0001-01-15T09:00"}, "starts in 1970 or later"),
    ],
)
def test_a_backfill_that_makes_no_sense_is_refused_beside_the_form(admin_client, fields, words):
    row = ScheduleFactory()
    for confirmed in ({}, {"_confirmed": "1"}):
        page = admin_client.post(address("backfill", row), {**SPAN, **fields, **confirmed})
        assert words in text(page)
    assert not Job.objects.exists()


def test_the_list_leads_to_the_backfill_of_one_schedule(admin_client):
    one, two = ScheduleFactory(), ScheduleFactory()
    chosen = {"action": "backfill_schedule", "_selected_action": [one.pk]}
    response = admin_client.post(reverse(LIST), chosen)
    assert response.headers["Location"] == address("backfill", one)
    assert act(admin_client, "backfill_schedule", one, two) == ["Backfill one schedule at a time."]
