"""The screen of failed jobs by error."""

import html
import re
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import cache

from django_jobs.models import Job, JobRun, MutedError, Worker
from django_jobs.reports import errors, summary
from django_jobs.states import State
from tests.conftest import NOON
from tests.dashboard import screens
from tests.dashboard.pages import failing
from tests.factories import JobFactory, JobRunFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

PAGE = "/admin/jobs/failed/"
LIVE = f"{PAGE}live/"
DJANGOS_QUERIES = 2
HOSTILE = "<script>alert(1)</script>"
TRACE = """Traceback (most recent call last):
  File "/srv/shop/shop/jobs.py", line 7, in sync_invoice
    post(url)
  File "/srv/shop/shop/clients.py", line 88, in post
    requests.post(url)
  File "/venv/lib/python3.13/site-packages/requests/api.py", line 115, in post
    return request("post", url)
ConnectionError: 503 from partner
"""


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()
    yield
    cache.clear()


page, shown = partial(screens.page, address=PAGE), partial(screens.shown, address=PAGE)


def press(client, verb, back=PAGE, **data):
    return screens.press(client, verb, back, **data)


def test_failures_are_listed_by_error_with_first_last_and_trend(admin_client):
    failing(3)
    failing(1, finished_at=NOON - timedelta(hours=1))
    failing(2, "bbbb", finished_at=NOON - timedelta(days=2))
    text = shown(admin_client)
    assert "6 failed jobs in 2 errors" in text
    assert "ConnectionError: 503 from partner tests.jobs.add 4 1 h ago 10 s ago" in text
    assert "0, 0, 0, 1, 0, 0, 0, 3" in text
    assert text.index("Retry all 4") < text.index("Retry all 2")


def test_the_line_of_the_project_that_failed_is_named_where_it_is_known(admin_client):
    [job] = failing(1)
    job.runs.update(traceback=TRACE)
    failing(1, "bbbb")
    text = shown(admin_client)
    assert "tests.jobs.add · shop/clients.py:88 in post" in text
    assert text.count(" · ") == 2  # the other one is that of the time of the page


def test_an_error_opens_the_list_of_its_jobs(admin_client):
    failing(1, "00ffaa")
    assert 'href="/admin/jobs/job/?q=fp%3A00ffaa"' in page(admin_client)


def test_a_failure_without_a_fingerprint_opens_its_job_and_cannot_be_muted(admin_client):
    [job] = failing(1, "")
    text = page(admin_client)
    assert f'href="/admin/jobs/job/{job.pk}/change/"' in text
    assert "/do/mute/" not in text


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, {"aaaa", "bbbb"}),
        ({"since": "1"}, {"aaaa"}),
        ({"since": "168"}, {"aaaa", "bbbb"}),
        ({"since": "never"}, {"aaaa", "bbbb"}),
        ({"queue": "mail"}, {"bbbb"}),
        ({"job": "shop.jobs.send"}, {"bbbb"}),
        ({"queue": "mail", "since": "1"}, set()),
        ({"queue": HOSTILE}, set()),
    ],
)
def test_filters_choose_errors(admin_client, asked, found):
    failing(1)
    failing(2, "bbbb", queue="mail", name="shop.jobs.send", finished_at=NOON - timedelta(hours=5))
    text = page(admin_client, **asked)
    assert set(re.findall(r"q=fp%3A(\w+)", text)) == found
    assert ("None of the errors is what the filter asks for." in text) is not found
    assert HOSTILE not in text


def test_filters_go_on_while_the_page_is_refreshed(admin_client):
    failing(1, "bbbb", queue="mail")
    failing(1)
    assert 'hx-get="/admin/jobs/failed/live/?queue=mail"' in page(admin_client, queue="mail")
    text = admin_client.get(LIVE, {"queue": "mail"}).content.decode()
    assert re.findall(r"q=fp%3A(\w+)", text) == ["bbbb"]
    assert 'id="jobs-errors" hx-swap-oob="true"' in text
    assert 'name="back" value="/admin/jobs/failed/?queue=mail"' in text


def test_the_page_is_refreshed_half_as_often_as_the_dashboard(admin_client):
    assert 'data-interval="10"' in page(admin_client)


def test_what_became_of_the_retried_one_stands_in_its_line(admin_client):
    failing(3)
    text = page(admin_client)
    [back] = {
        html.unescape(found) for found in re.findall(r'name="back" value="([^"]*tried[^"]*)"', text)
    }
    [newest] = set(re.findall(r'name="job" value="(\d+)"', text))
    assert back == f"{PAGE}?tried={newest}&error=aaaa"
    assert press(admin_client, "retry", back, job=newest) == ["1 job retried."]
    said = {"tried": newest, "error": "aaaa"}
    assert f"add #{newest}, which was retried, is ready." in shown(admin_client, **said)
    Job.objects.filter(pk=newest).update(state=State.SUCCESSFUL, finished_at=NOON)
    assert f"add #{newest}, which was retried: successful just now." in shown(admin_client, **said)
    Job.objects.filter(state=State.FAILED).update(state=State.READY, finished_at=None)
    assert "which was retried: successful" in shown(admin_client, **said)


@pytest.mark.parametrize("tried", ["x", "9" * 30, "999", "²"])
def test_a_retried_job_that_is_none_is_passed_over(admin_client, tried):
    failing(1)
    assert "which was retried" not in shown(admin_client, tried=tried, error="aaaa")


def test_all_failures_that_the_page_had_seen_are_retried_and_one_comes_back(admin_client):
    failing(2)
    [seen] = re.findall(r'name="seen" value="([^"]+)"', page(admin_client))
    messages = press(admin_client, "retry-all", fingerprint="aaaa", seen=html.unescape(seen))
    assert messages == ["2 jobs retried."]
    assert LogEntry.objects.get().get_change_message() == "2 retried through the admin"


@pytest.mark.parametrize("back", ["https://evil.example/admin/jobs/", "//evil.example", "/other/"])
def test_a_press_leads_to_none_but_our_pages(admin_client, back):
    response = admin_client.post("/admin/jobs/do/unmute/", {"fingerprint": "x", "back": back})
    assert response["Location"] == "/admin/jobs/"


def test_an_error_is_muted_for_a_day_with_a_name_and_can_be_made_loud_again(staff):
    client = staff("view_job", "change_job")
    failing(3)
    [message] = press(client, "mute", fingerprint="aaaa")
    assert message.startswith("The error is muted for 1 d")
    row = MutedError.objects.get()
    assert (row.fingerprint, row.muted_by, row.count) == ("aaaa", "ana", 3)
    assert (row.muted_at, row.muted_until) == (NOON, NOON + timedelta(days=1))
    assert "‖ muted by ana at 3 jobs, ends in 1 d" in shown(client)
    [entry] = LogEntry.objects.all()
    assert (entry.object_repr, entry.get_change_message()) == (
        "error aaaa",
        "muted for 1 d through the admin",
    )
    assert press(client, "unmute", fingerprint="aaaa") == ["The error is muted no more."]
    assert not MutedError.objects.exists()


def test_who_mutes_or_unmutes_second_hears_that_it_is_done(admin_client):
    failing(1)
    press(admin_client, "mute", fingerprint="aaaa", hours="4")
    [message] = press(admin_client, "mute", fingerprint="aaaa", hours="720")
    assert message == "No change: somebody has muted this error already."
    assert MutedError.objects.get().muted_until == NOON + timedelta(hours=4)
    press(admin_client, "unmute", fingerprint="aaaa")
    assert press(admin_client, "unmute", fingerprint="aaaa") == [
        "No change: this error was not muted."
    ]
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "Nothing was done"),
        ({"fingerprint": "aaaa", "hours": "2"}, "Nothing was done"),
        ({"fingerprint": "aaaa", "hours": "x"}, "Nothing was done"),
        ({"fingerprint": "cccc"}, "No change: no failed job has the fingerprint"),
    ],
)
def test_what_cannot_be_muted_is_told(admin_client, data, said):
    failing(1)
    assert press(admin_client, "mute", **data)[0].startswith(said)
    assert not MutedError.objects.exists()


def test_a_muted_error_that_is_not_in_the_list_can_be_unmuted(admin_client):
    jobs = failing(1)
    press(admin_client, "mute", fingerprint="aaaa")
    Job.objects.filter(pk=jobs[0].pk).update(state=State.READY, finished_at=None)
    text = shown(admin_client)
    assert "Muted, and not in the list above aaaa ‖ muted by admin" in text
    assert "Unmute" in text


def test_an_error_that_struck_only_since_the_newest_version_is_marked(admin_client):
    WorkerFactory(version="1.0", started_at=NOON - timedelta(days=3))
    WorkerFactory(version="1.1", started_at=NOON - timedelta(hours=2))
    WorkerFactory(version="1.1", started_at=NOON - timedelta(minutes=5))
    failing(1, "new", finished_at=NOON - timedelta(hours=1))
    failing(1, "old")
    failing(1, "old", finished_at=NOON - timedelta(hours=3))
    text = shown(admin_client)
    assert text.count("new since version 1.1 started 2 h ago") == 1
    assert text.index("new since") > text.index("Retry all 2")


@pytest.mark.parametrize("reason", ["too many", "no version"])
def test_where_nobody_can_say_no_error_is_called_new(admin_client, monkeypatch, reason):
    WorkerFactory(version="1.1", started_at=NOON - timedelta(hours=2))
    failing(2)
    if reason == "too many":
        monkeypatch.setattr(summary, "CAP", 1)
    else:
        Worker.objects.update(version="")
    assert "new since" not in shown(admin_client)


def test_where_nothing_failed_it_says_when_something_last_did(admin_client):
    assert "✓ No failed jobs." in shown(admin_client)
    job = JobFactory(successful=True)
    JobRunFactory(job=job, broken=True, finished_at=NOON - timedelta(days=6))
    assert "✓ No failed jobs. The last failure was 6 d ago." in shown(admin_client)


def test_only_the_newest_are_considered_and_it_says_so(admin_client, monkeypatch):
    monkeypatch.setattr(summary, "CAP", 2)
    monkeypatch.setattr(errors, "MOST_GROUPS", 1)
    failing(1)
    failing(1, "bbbb", finished_at=NOON - timedelta(hours=1))
    failing(1, "cccc", finished_at=NOON - timedelta(hours=2))
    text = shown(admin_client)
    assert "2+ failed jobs in 2 errors (the newest 2 are considered)" in text
    assert "1 more error is not shown; a filter finds it." in text


@pytest.mark.parametrize("size", [1, 30])
def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    admin_client, django_assert_num_queries, size
):
    for number in range(size):
        failing(3, f"error-{number}")
        WorkerFactory(version=f"1.{number}")
    with django_assert_num_queries(4 + DJANGOS_QUERIES):
        page(admin_client)
    newest = Job.objects.latest("pk").pk
    with django_assert_num_queries(5 + DJANGOS_QUERIES):
        page(admin_client, tried=newest, error="error-0")


def test_many_who_look_cost_one_look(admin_client, django_assert_num_queries):
    failing(1)
    with django_assert_num_queries(4 + DJANGOS_QUERIES):
        admin_client.get(LIVE)
    with django_assert_num_queries(DJANGOS_QUERIES):
        admin_client.get(LIVE)
    press(admin_client, "mute", fingerprint="aaaa")
    assert "muted by admin" in admin_client.get(LIVE).content.decode()


def test_hostile_texts_are_never_markup(admin_client):
    for job in failing(2, HOSTILE[:16], name=f"shop.{HOSTILE}", queue=HOSTILE[:64]):
        job.runs.update(error_type=HOSTILE, error=HOSTILE, traceback=TRACE.replace("post", HOSTILE))
    JobRun.objects.update(worker=HOSTILE)
    WorkerFactory(version=HOSTILE, started_at=NOON - timedelta(days=1))
    MutedError.objects.create(
        fingerprint=HOSTILE[:16],
        muted_at=NOON,
        muted_by=HOSTILE,
        muted_until=NOON + timedelta(days=1),
        count=2,
    )
    text = page(admin_client)
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;") > 8
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", text.partition("content-main")[2])


def test_buttons_that_a_user_may_not_press_are_absent_and_refused(staff):
    failing(3)
    client = staff("view_job")
    assert "/admin/jobs/do/" not in page(client)
    for verb in ("mute", "unmute"):
        response = client.post(f"/admin/jobs/do/{verb}/", {"fingerprint": "aaaa"})
        assert response.status_code == 403
    assert not MutedError.objects.exists()


def test_the_failed_jobs_of_an_error_are_deleted_after_a_question(staff):
    failing(3)
    failing(2, "bbbb")
    JobFactory(successful=True, fingerprint="aaaa")
    client = staff("view_job", "delete_job")
    text = page(client)
    assert "/admin/jobs/do/" not in text
    [address] = set(re.findall(r'href="(/admin/jobs/job/bulk/[^"]+aaaa)"', text))
    question = client.get(html.unescape(address)).content.decode()
    assert "Delete 3 jobs?" in question


def test_who_may_not_delete_jobs_is_not_led_there(staff):
    failing(3)
    assert "/job/bulk/" not in page(staff("view_job", "change_job"))


def test_who_may_not_see_jobs_is_refused_and_a_stranger_sent_to_the_login(staff, client):
    assert client.get(PAGE)["Location"] == f"/admin/login/?next={PAGE}"
    response = client.get(LIVE)
    assert (response.status_code, response["HX-Redirect"]) == (
        204,
        "/admin/login/?next=%2Fadmin%2Fjobs%2Ffailed%2F",
    )
    client = staff("view_queue")
    assert client.get(PAGE).status_code == client.get(LIVE).status_code == 403


def test_the_dashboard_leads_here_and_says_what_is_muted(admin_client):
    failing(1)
    press(admin_client, "mute", fingerprint="aaaa")
    text = admin_client.get("/admin/jobs/").content.decode()
    assert f'<a href="{PAGE}">Failed, by error</a>' in text
    assert "</span> muted</span>" in text
