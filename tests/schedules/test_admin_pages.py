"""The list of schedules in the admin, and the page that tells the truth about one."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from django_jobs import schedules
from django_jobs.models import Schedule
from tests.conftest import NOON
from tests.factories import JobFactory, ScheduleFactory, TickFactory
from tests.schedules.pages import LIST, address, listed, opened

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOUR = timedelta(hours=1)
HOSTILE = "<script>alert(1)</script>"


def with_history(**fields):
    row = ScheduleFactory(**fields)
    for hours in range(1, 8):
        job_id = JobFactory(successful=True).pk
        TickFactory(schedule=row, planned_at=NOON - hours * HOUR, job_id=job_id)
    return row


def test_the_list_tells_the_rule_the_next_time_the_last_outcome_and_the_state(admin_client):
    row = ScheduleFactory(name="fine", cron="0 2 * * *", timezone="Europe/Paris")
    job = JobFactory(failed=True)
    made = {"planned_at": NOON - 11 * HOUR, "made_at": NOON - 10 * HOUR, "outcome": "caught_up"}
    TickFactory(schedule=row, job_id=job.pk, **made)
    shown = listed(admin_client)
    assert "fine active from the admin at 02:00 every day 0 2 * * * Europe/Paris" in shown
    assert "Tue 2030-01-15 14:00 CET in 1 h caught up: failed 11 h ago, 1 h late" in shown


def test_the_list_shows_the_last_planned_times_the_newest_at_the_end(admin_client):
    row = ScheduleFactory(name="fine")
    told = (
        {"job_id": JobFactory(running=True).pk},
        {"job_id": JobFactory(failed=True).pk},
        {"job_id": None, "outcome": "missed"},
        {"job_id": JobFactory(cancelled=True).pk},
        {"job_state": "FAILED"},
        {"job_state": ""},
        {"job_id": JobFactory(successful=True).pk, "job_state": "SUCCESSFUL"},
        {"job_id": JobFactory(successful=True).pk},
    )
    for hours, fields in enumerate(told, start=1):
        TickFactory(schedule=row, planned_at=NOON - hours * HOUR, **fields)
    TickFactory(schedule=row, planned_at=None, outcome="manual")
    text = admin_client.get("/admin/jobs/schedule/").content.decode()
    marks = re.findall(r'<span class="schedule-(plain|bad)">(.)</span>', text)
    assert "".join(mark for _, mark in marks) == "▮▮·✕◇▯✕◌"
    assert {mark for look, mark in marks if look == "bad"} == {"✕"}
    said = "2 successful, 2 failed, 1 no longer on record, 1 cancelled, 1 missed, 1 not ended"
    assert said in listed(admin_client)


def test_of_a_long_past_the_last_thirty_planned_times_are_shown(admin_client):
    row = ScheduleFactory(name="fine")
    for hours in range(1, 34):
        state = "FAILED" if hours > 30 else "SUCCESSFUL"
        TickFactory(schedule=row, planned_at=NOON - hours * HOUR, job_state=state)
    assert "30 successful" in listed(admin_client)
    assert "3 failed" not in listed(admin_client)


def test_the_list_needs_as_many_queries_for_many_schedules_as_for_one(
    admin_client, django_assert_num_queries
):
    with_history()
    listed(admin_client)
    with django_assert_num_queries(9):
        listed(admin_client)
    for _ in range(20):
        with_history()
    listed(admin_client)
    with django_assert_num_queries(9):
        listed(admin_client)


def test_the_page_needs_as_many_queries_for_a_long_history_as_for_a_short_one(
    admin_client, django_assert_num_queries
):
    row = with_history()
    opened(admin_client, row)  # Django remembers content types from now on
    with django_assert_num_queries(7):
        opened(admin_client, row)
    for hours in range(8, 80):
        TickFactory(schedule=row, planned_at=NOON - hours * HOUR, job_id=JobFactory().pk)
    with django_assert_num_queries(7):
        opened(admin_client, row)


@pytest.mark.parametrize("state", ["active", "overdue", "paused", "disabled", "over"])
def test_the_list_is_filtered_by_state(admin_client, state):
    ScheduleFactory(name="is-active")
    ScheduleFactory(name="is-overdue", next_run_at=NOON - HOUR)
    ScheduleFactory(name="is-paused", paused=True)
    ScheduleFactory(name="is-disabled", disabled=True, paused_at=NOON)
    ScheduleFactory(name="is-over", next_run_at=None)
    shown = listed(admin_client, state=state)
    names = ("active", "overdue", "paused", "disabled", "over")
    assert [name for name in names if f"is-{name} " in shown] == [state]


@pytest.mark.parametrize(
    ("source", "names"),
    [("code", ["coded", "altered"]), ("changed", ["altered"]), ("admin", ["handmade"])],
)
def test_the_list_is_filtered_by_source(admin_client, source, names):
    ScheduleFactory(name="coded", source="code")
    ScheduleFactory(name="altered", source="code", overrides=["cron"])
    ScheduleFactory(name="handmade")
    shown = listed(admin_client, source=source)
    assert [name for name in ("coded", "altered", "handmade") if name in shown] == names


def test_a_schedule_is_found_by_a_part_of_its_name(admin_client):
    ScheduleFactory(name="nightly report")
    ScheduleFactory(name="stock")
    shown = listed(admin_client, q="REPORT")
    assert "nightly report" in shown
    assert "stock" not in shown


def test_the_list_says_when_all_schedules_are_switched_off(admin_client, settings):
    ScheduleFactory()
    assert "switched off" not in listed(admin_client)
    settings.DJANGO_JOBS = {"SCHEDULES_ENABLED": False}
    shown = listed(admin_client)
    assert "Schedules are switched off (SCHEDULES_ENABLED)" in shown
    assert "off by SCHEDULES_ENABLED" in shown


def test_the_page_tells_facts_next_times_and_history(admin_client):
    row = ScheduleFactory(
        name="sync", timezone="Europe/Paris", job_name="tests.jobs.charge", args=[7, "4111"]
    )
    job = JobFactory(running=True)
    TickFactory(schedule=row, planned_at=NOON, made_at=NOON, job_id=job.pk)
    gap = {"since": NOON - 9 * HOUR, "until": NOON - 2 * HOUR, "count": 4219, "planned_at": None}
    TickFactory(schedule=row, outcome="missed", job_id=None, **gap)
    TickFactory(schedule=row, outcome="manual", planned_at=None, job_state="FAILED", job_id=77)
    response = admin_client.get(address("change", row))
    shown = opened(admin_client, row)
    assert "Rule every hour (0 * * * *) Time zone Europe/Paris State active" in shown
    assert 'Call charge(7, "•••")' in shown
    assert "Tue 2030-01-15 14:00 CET in 1 h Tue 2030-01-15 13:00 UTC" in shown
    assert len(response.context["coming"]) == 10
    assert f"Tue 2030-01-15 13:00 CET on time running #{job.pk} 0 s" in shown
    assert "by hand failed #77 10 s ago" in shown
    gap_said = "Tue 2030-01-15 04:00 CET to Tue 2030-01-15 11:00 CET missed 4,219 planned times"
    assert gap_said in shown
    page = response.content.decode()
    assert reverse("admin:django_jobs_job_change", args=[job.pk]) in page
    assert reverse("admin:django_jobs_job_change", args=[77]) not in page


def test_the_page_marks_what_a_clock_change_does(admin_client, frozen_clock):
    frozen_clock.advance(timedelta(days=74, hours=12))
    moved = ScheduleFactory(cron="30 2 * * *", timezone="Europe/Paris")
    assert "03:00 CEST in 1 h moved: its own time is skipped" in opened(admin_client, moved)
    frozen_clock.advance(timedelta(days=210))
    repeated = ScheduleFactory(cron="30 2 * * *", timezone="Europe/Paris")
    assert "the clock shows this hour twice" in opened(admin_client, repeated)


def test_fifty_planned_times_are_shown(admin_client):
    row = ScheduleFactory()
    for hours in range(60):
        TickFactory(schedule=row, planned_at=NOON - hours * HOUR, job_id=None, outcome="skipped")
    assert len(admin_client.get(address("change", row)).context["past"]) == 50


def test_a_paused_schedule_shows_when_it_would_be_due(admin_client):
    shown = opened(admin_client, ScheduleFactory(paused=True, paused_reason="audit"))
    assert "paused by ana 5 min ago: audit" in shown
    assert "Next planned times, if it was active" in shown


def test_what_was_changed_here_stands_beside_what_the_code_says(admin_client, nightly):
    schedules.sync()
    schedules.change("tests.nightly", cron="0 4 * * *")
    row = Schedule.objects.get()
    assert "Field The code says Here cron 0 2 * * * 0 4 * * *" in opened(admin_client, row)


def test_arguments_need_a_permission_of_their_own(staff):
    client = staff("view_schedule", "change_schedule", "view_job")
    row = ScheduleFactory(
        job_name="tests.jobs.send",
        args=["private"],
        source="code",
        declared={"args": ["former"]},
        overrides=["args"],
    )
    page = client.get(address("change", row)).content.decode()
    assert "private" not in page
    assert "former" not in page
    assert "send(&quot;•••&quot;)" in page


def test_jobs_are_links_for_those_who_may_see_jobs(staff):
    client = staff("view_schedule")
    job = JobFactory()
    row = ScheduleFactory()
    TickFactory(schedule=row, job_id=job.pk)
    page = client.get(address("change", row)).content.decode()
    assert f"#{job.pk}" in page
    assert reverse("admin:django_jobs_job_change", args=[job.pk]) not in page


def test_those_who_may_only_look_find_no_control(staff):
    client = staff("view_schedule")
    row = ScheduleFactory(source="code", overrides=["cron"])
    page = client.get(address("change", row)).content.decode()
    assert "Facts" in page
    for control in ("Pause", "Run now", "Reset", "Backfill", "_save", "_preview", "id_cron"):
        assert control not in page
    shown = client.get(reverse(LIST)).content.decode()
    assert 'name="action"' not in shown


def test_without_the_permission_to_view_nothing_opens(staff):
    client = staff("view_job")
    row = ScheduleFactory()
    assert client.get(reverse(LIST)).status_code == 403
    assert client.get(address("change", row)).status_code == 403


def test_texts_of_people_are_never_markup(admin_client):
    row = ScheduleFactory(
        name=HOSTILE,
        cron=HOSTILE,
        timezone=HOSTILE,
        job_name=HOSTILE,
        args=[HOSTILE],
        paused=True,
        paused_by=HOSTILE,
        paused_reason=HOSTILE,
    )
    for page in (reverse(LIST), address("change", row), address("delete", row)):
        content = admin_client.get(page).content.decode()
        assert HOSTILE not in content
        assert "&lt;script&gt;" in content


def test_no_page_has_script_or_style_of_its_own(admin_client):
    row = with_history(source="code", overrides=["cron"], declared={"cron": "@daily"})
    pages = [reverse(LIST), reverse("admin:django_jobs_schedule_add")]
    pages += [address(page, row) for page in ("change", "backfill")]
    for page in pages:
        content = admin_client.get(page).content.decode()
        assert " style=" not in content
        assert "<style" not in content
        assert " onclick=" not in content
        assert all("src=" in tag or "json" in tag for tag in _tags(content, "script"))


def _tags(content, name):
    return [part.partition(">")[0] for part in content.split(f"<{name}")[1:]]


def test_a_row_with_nonsense_in_it_breaks_no_page(admin_client):
    row = ScheduleFactory(cron="every day", timezone="Mars/Base", args={"a": 1}, kwargs=[1])
    assert "five fields" in listed(admin_client)
    assert "No planned time is left." in opened(admin_client, row)
