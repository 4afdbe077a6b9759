"""Schedules are deleted in the admin, unless code would bring them back."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry

from django_jobs import registry, schedules
from django_jobs.exceptions import InvalidSchedule
from django_jobs.models import Schedule, Tick
from tests.conftest import NOON
from tests.factories import ScheduleFactory, TickFactory
from tests.schedules.pages import act, address, text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOUR = timedelta(hours=1)


def test_a_schedule_made_by_hand_is_deleted_with_its_history(admin_client):
    row = ScheduleFactory(name="sync")
    TickFactory(schedule=row)
    shown = text(admin_client.get(address("delete", row)))
    assert "Planned times on record: 1" in shown
    admin_client.post(address("delete", row), {"post": "yes"})
    assert not Schedule.objects.exists()
    assert not Tick.objects.exists()
    assert LogEntry.objects.get().is_deletion()


def test_deleting_does_not_list_every_planned_time(admin_client, django_assert_max_num_queries):
    row = ScheduleFactory()
    for number in range(60):
        TickFactory(schedule=row, planned_at=NOON - number * HOUR)
    with django_assert_max_num_queries(6):
        page = admin_client.get(address("delete", row)).content.decode()
    assert page.count("2030-01-1") == 0


def test_a_schedule_that_code_declares_is_not_deleted_and_it_is_said_why(admin_client, nightly):
    schedules.sync()
    row = Schedule.objects.get()
    assert "deletelink" not in admin_client.get(address("change", row)).content.decode()
    for method in (admin_client.get, admin_client.post):
        response = method(address("delete", row), {"post": "yes"}, follow=True)
        assert "the next deploy would bring it back" in text(response)
    (message,) = act(admin_client, "delete_selected", row, ScheduleFactory(), post="yes")
    assert message.startswith("Nothing was deleted. Code declares tests.nightly,")
    assert Schedule.objects.count() == 2
    assert not LogEntry.objects.exists()


def test_a_disabled_schedule_of_former_code_may_be_deleted(admin_client, nightly):
    schedules.sync()
    registry.unregister("tests.nightly")
    Schedule.objects.update(disabled_at=NOON, next_run_at=None)
    row = Schedule.objects.get()
    act(admin_client, "delete_selected", row, post="yes")
    assert not Schedule.objects.exists()


@pytest.mark.parametrize("page", ["delete", "list"])
def test_a_deletion_that_becomes_impossible_is_undone_and_told(admin_client, monkeypatch, page):
    row = ScheduleFactory(name="sync")

    def refuse(_name):
        raise InvalidSchedule("It came back.", "name")

    monkeypatch.setattr(schedules, "delete", refuse)
    if page == "list":
        assert act(admin_client, "delete_selected", row, post="yes") == ["It came back."]
    else:
        response = admin_client.post(address("delete", row), {"post": "yes"}, follow=True)
        assert "It came back." in text(response)
    assert not LogEntry.objects.exists()
