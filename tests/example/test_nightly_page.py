"""The page of the nightly report: when it comes, what became of it, and three buttons."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from django_jobs import operations, registry, schedules
from django_jobs.models import Job, Schedule, Tick
from django_jobs.schedules import sync
from django_jobs.testing import run_jobs
from django_jobs.timetables.planning import TickOutcome
from example_project.shop import jobs
from example_project.shop.nightly import views
from example_project.shop.nightly.looking import FATES
from tests.conftest import NOON
from tests.factories import TickFactory

pytestmark = [
    pytest.mark.urls("example_project.urls"),
    pytest.mark.usefixtures("clocks", "schedules_of_the_shop"),
]
HTMX = {"headers": {"HX-Request": "true"}}
PAGE = "/nightly/"
NIGHTLY, RECOUNT = jobs.nightly_report.name, jobs.recount.name


def page(client, **headers):
    return " ".join(client.get(PAGE, **headers).content.decode().split())


def nightly():
    return Schedule.objects.get(name=NIGHTLY)


def test_the_schedule_is_said_in_words_and_as_cron(client):
    shown = page(client)
    assert "At 02:00 every day" in shown
    assert "0 2 * * *" in shown
    assert "Europe/Paris" in shown
    assert 'class="tag good">on<' in shown


def test_the_next_five_planned_times_are_shown_in_paris_and_in_utc(client):
    shown = page(client)
    for day in range(16, 21):
        assert f"{day} Jan 2030</span> <span>02:00 CET" in shown
        assert f"{day} Jan</span> <span>01:00<" in shown
    assert "21 Jan" not in shown


@pytest.mark.parametrize(
    ("day", "time", "mark"),
    [
        (datetime(2030, 3, 30, 12, tzinfo=UTC), "03:00 CEST", "moved"),
        (datetime(2030, 10, 26, 12, tzinfo=UTC), "02:00 CEST", "twice"),
    ],
)
def test_a_night_in_which_clocks_change_is_marked(client, clocks, day, time, mark):
    clocks.advance(day - NOON)
    (marked,) = [row for row in page(client).split("<tr>") if 'class="warm"' in row]
    assert time in marked
    assert mark in marked


def test_run_now_starts_a_job_and_leaves_the_next_planned_time(client):
    before = nightly().next_run_at
    assert client.post(reverse("shop:nightly-run")).headers["Location"] == PAGE
    job = Job.objects.get()
    assert (job.name, job.state, job.planned_at) == (NIGHTLY, "READY", None)
    assert nightly().next_run_at == before
    shown = page(client, **HTMX)
    assert "started by hand" in shown
    assert ">ready<" in shown
    assert reverse("admin:django_jobs_job_change", args=[job.pk]) in shown


def test_pause_and_resume_say_who_and_go_on_with_the_next_planned_time(client):
    before = nightly().next_run_at
    assert client.post(reverse("shop:nightly-pause")).headers["Location"] == PAGE
    assert nightly().next_run_at is None
    shown = page(client)
    assert "Paused since Tue 15 Jan, 13:00 CET by a visitor of the shop" in shown
    assert 'id="resume"' in shown
    assert 'id="pause"' not in shown
    assert client.post(reverse("shop:nightly-resume")).headers["Location"] == PAGE
    assert nightly().next_run_at == before
    assert 'id="pause"' in page(client)


def test_who_is_logged_in_pauses_under_their_name(client):
    client.force_login(get_user_model().objects.create_user("ana"))
    client.post(reverse("shop:nightly-pause"))
    assert nightly().paused_by == "ana"


@pytest.mark.parametrize("button", ["run", "pause", "resume"])
def test_the_buttons_are_forms_that_want_a_post_with_the_csrf_token(client, button):
    address = reverse(f"shop:nightly-{button}")
    assert client.get(address).status_code == 405
    if button == "resume":
        schedules.pause(NIGHTLY)
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(address).status_code == 403
    shown = strict.get(PAGE).content.decode()
    assert f'<form method="post" action="{address}">' in shown
    token = strict.cookies["csrftoken"].value
    assert strict.post(address, {"csrfmiddlewaretoken": token}).status_code == 302


def test_a_schedule_that_was_switched_off_says_why(client, monkeypatch):
    monkeypatch.setattr(registry.get(NIGHTLY), "schedules", ())
    sync()
    shown = page(client)
    assert 'class="tag bad">off<' in shown
    assert "The code no longer declares this schedule." in shown


def test_without_rows_the_page_says_what_writes_them(client):
    Schedule.objects.all().delete()
    assert "python manage.py migrate" in page(client)
    for button in ("run", "pause", "resume"):
        client.post(reverse(f"shop:nightly-{button}"))
        assert "There is no schedule" in page(client)


def test_what_became_of_a_planned_time_is_said_in_words(client):
    assert set(FATES) == set(TickOutcome)
    row = nightly()
    for number, outcome in enumerate(TickOutcome):
        at = None if outcome == TickOutcome.MANUAL else NOON - timedelta(days=number)
        TickFactory(schedule=row, planned_at=at, outcome=outcome, job_id=None, made_at=NOON)
    shown = page(client)
    assert all(words in shown for words in FATES.values())
    assert "caught up 1 day later" in shown


def test_many_missed_times_in_one_row_are_counted(client):
    first, last = NOON - timedelta(days=200), NOON - timedelta(days=101)
    many = {"count": 100, "since": first, "until": last, "outcome": "missed", "job_id": None}
    TickFactory(schedule=nightly(), planned_at=first, **many)
    assert "100 of them, until Sat 6 Oct 2029, 14:00" in page(client)


def test_only_the_last_ten_are_shown_newest_first(client):
    row = nightly()
    for day in range(1, 13):
        TickFactory(schedule=row, planned_at=NOON - timedelta(days=13 - day), outcome="on_time")
    shown = page(client)
    assert shown.count("on time") == 10
    assert shown.index("14 Jan 2030, 13:00") < shown.index("13 Jan 2030, 13:00")


def test_a_night_shows_its_job_what_it_said_and_the_report(client, provider, clocks):
    clocks.advance(timedelta(hours=13))
    run_jobs(schedules=True, raise_errors=True)
    shown = page(client)
    assert "Wed 16 Jan 2030, 02:00" in shown
    assert "Nightly report 2030-01-16 mailed to the owner" in shown
    assert "mailed 02:00:00" in shown
    assert "until 02:00 CET</span>" in shown
    assert "3</b> customers" in shown


def test_a_job_that_is_tried_again_shows_why(client, provider, answer_with, busy):
    answer_with("owner@example.com", busy)
    schedules.run_now(NIGHTLY)
    run_jobs()
    shown = page(client, **HTMX)
    assert "mailbox is busy" in shown
    assert "retrying, not mailed" in shown
    assert "every 1s" in shown


def test_the_end_of_a_job_that_was_pruned_is_still_known(client):
    TickFactory(schedule=nightly(), job_state="FAILED", job_id=1)
    shown = page(client)
    assert ">failed<" in shown
    assert "job #1" not in shown


def test_the_day_so_far_is_shown_as_of_its_last_count(client, shop, clocks):
    assert "Not counted yet, in 60 s for the first time" in page(client)
    clocks.advance(timedelta(minutes=1))
    run_jobs(schedules=True, raise_errors=True)
    clocks.advance(timedelta(seconds=20))
    shown = page(client)
    assert 'Tuesday 15 January, as of <b class="count">13:01:00 CET' in shown
    assert 'counts every minute, next in <span class="count">40 s' in shown
    schedules.pause(RECOUNT)
    assert "but its schedule is paused" in page(client)


def test_the_page_says_when_no_worker_looks_after_the_schedules(client, clocks):
    assert "runworker" not in page(client)
    clocks.advance(timedelta(minutes=2))
    shown = page(client)
    assert "since 13:01 CET" in shown
    assert "python manage.py runworker" in shown


def test_the_part_that_changes_asks_again_sooner_while_a_job_lives(client, provider):
    assert "<html" not in page(client, **HTMX)
    assert 'hx-trigger="every 3s' in page(client, **HTMX)
    schedules.run_now(NIGHTLY)
    assert 'hx-trigger="every 1s' in page(client, **HTMX)


def test_without_javascript_the_page_reloads_by_itself(client):
    assert '<noscript><meta http-equiv="refresh" content="20"></noscript>' in page(client)
    schedules.run_now(NIGHTLY)
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page(client)


def test_the_number_of_queries_does_not_grow_with_what_happened(
    client, provider, clocks, django_assert_max_num_queries
):
    for _ in range(5):
        clocks.advance(timedelta(days=1))
        run_jobs(schedules=True, raise_errors=True)
    assert Tick.objects.filter(schedule__name=NIGHTLY).count() == 5
    with django_assert_max_num_queries(9):
        page(client)


def test_a_retry_in_the_admin_is_seen(client, refuse, provider):
    refuse("owner@example.com")
    schedules.run_now(NIGHTLY)
    run_jobs()
    assert "failed, not mailed" in page(client)
    operations.retry([Job.objects.get().pk])
    assert "ready, not mailed" in page(client)


def test_a_job_that_ends_while_the_page_is_made_is_shown_whole_or_asked_for_again(
    client, provider, monkeypatch
):
    schedules.run_now(NIGHTLY)
    look = views.watch

    def look_and_run(job_ids):
        seen = look(job_ids)
        run_jobs(raise_errors=True)
        return seen

    monkeypatch.setattr(views, "watch", look_and_run)
    assert 'hx-trigger="every 1s' in page(client, **HTMX)
    shown = page(client, **HTMX)
    assert "mailed to the owner" in shown
    assert "not mailed" not in shown
