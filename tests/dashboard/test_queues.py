"""The screens of queues."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import cache

from django_jobs import operations
from django_jobs.admin.buttons import pressing
from django_jobs.admin.buttons import queues as queue_pressing
from django_jobs.models import Job, Queue
from django_jobs.reports import overview, queues, summary
from django_jobs.states import State
from tests.conftest import NOON
from tests.dashboard.screens import page, press, shown, verbs
from tests.factories import JobFactory, QueueFactory, TallyFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

PAGE = "/admin/jobs/queue/"
LIVE = f"{PAGE}live/"
DJANGOS_QUERIES = 2
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()
    yield
    cache.clear()


def address(queue):
    return f"{PAGE}{queue.pk}/change/"


def ago(**span):
    return NOON - timedelta(**span)


def test_queues_are_listed_with_what_waits_runs_and_is_planned_in_each(admin_client):
    WorkerFactory(queues=["mail"])
    QueueFactory(name="mail")
    QueueFactory(name="reports", paused=True, paused_reason="upgrade")
    JobFactory.create_batch(3, queue="mail", run_at=ago(minutes=11))
    JobFactory.create_batch(2, queue="mail", running=True)
    JobFactory(queue="mail", retrying=True)
    JobFactory.create_batch(4, queue="mail", scheduled=True)
    JobFactory(queue="reports", scheduled=True)
    JobFactory(queue="reports", waiting=True)
    text = shown(admin_client, PAGE)
    assert "2 queues" in text
    assert re.search(
        r"mail ● open Pause.*Pause : mail 11 min ✕ too long 1 min 3 2 1 4 – – 1 ", text
    )
    assert (
        "reports ‖ paused by ana 5 min ago: upgrade Resume : reports – 1 min 0 0 0 1 – – 0" in text
    )


def test_a_queue_that_nobody_serves_is_told(admin_client):
    QueueFactory(name="mail")
    JobFactory(queue="mail")
    text = shown(admin_client, PAGE)
    assert "mail ✕ not served" in text
    assert "Pause : mail 30 s 1 min 1 0 0 0 – – 0" in text


def test_without_queues_it_says_how_they_come(admin_client):
    assert "They appear by themselves when something is enqueued" in shown(admin_client, PAGE)


def test_counting_ends_at_the_caps(admin_client, monkeypatch):
    monkeypatch.setattr(overview, "QUEUE_CAP", 2)
    monkeypatch.setattr(queues, "MOST_RUNNING", 2)
    monkeypatch.setattr(summary, "CAP", 2)
    QueueFactory(name="mail")
    for state in ({}, {"running": True}, {"scheduled": True}):
        JobFactory.create_batch(4, queue="mail", **state)
    assert "Pause : mail 30 s 1 min 2+ 2+ 0+ 3+ – – 0" in shown(admin_client, PAGE)


@pytest.mark.parametrize("size", [1, 20])
def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    admin_client, django_assert_num_queries, size
):
    for number in range(size):
        queue = QueueFactory(name=f"q{number}")
        WorkerFactory()
        for state in ({}, {"running": True}, {"scheduled": True}, {"retrying": True}):
            JobFactory.create_batch(2, queue=f"q{number}", **state)
    with django_assert_num_queries(5 + DJANGOS_QUERIES):
        page(admin_client, PAGE)
    with django_assert_num_queries(7 + DJANGOS_QUERIES):
        page(admin_client, address(queue))


def test_a_queue_is_paused_with_a_reason_and_resumes_by_itself(staff):
    client = staff("view_queue", "change_queue")
    queue = QueueFactory(name="mail")
    [message] = press(client, "pause", PAGE, queue="mail", reason="upgrade", minutes="60")
    assert message == "The queue “mail” is paused; its running jobs go on."
    queue.refresh_from_db()
    assert (queue.paused_by, queue.paused_until) == ("ana", NOON + timedelta(hours=1))
    assert "paused by ana just now: upgrade; resumes in 1 h" in shown(client, PAGE)
    [again] = press(client, "pause", address(queue), queue="mail")
    assert again.startswith("No change: the queue “mail” was paused already")
    assert press(client, "resume", PAGE, queue="mail") == ["The queue “mail” goes on."]
    [again] = press(client, "resume", PAGE, queue="mail")
    assert again.startswith("No change")
    messages = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    assert messages == ["paused: upgrade through the admin", "resumed through the admin"]


def test_a_span_that_is_not_offered_pauses_nothing(admin_client):
    queue = QueueFactory(name="mail")
    [message] = press(admin_client, "pause", PAGE, queue="mail", minutes="61")
    assert message.startswith("Nothing was done")
    queue.refresh_from_db()
    assert queue.paused_at is None


def test_a_queue_shows_the_oldest_that_wait_and_the_jobs_declared_for_it(admin_client):
    queue = QueueFactory(name="mail")
    old = JobFactory(queue="mail", run_at=ago(minutes=3), attempt=1)
    JobFactory.create_batch(20, queue="mail", run_at=ago(minutes=2), priority=5)
    [last] = JobFactory.create_batch(1, queue="mail", run_at=ago(minutes=1))
    text = shown(admin_client, address(queue))
    assert len(re.findall(r"\badd #\d", text)) == 20
    assert "22 ready, the oldest for 3 min · served by 0 living workers" in text
    assert f"add #{old.pk} 3 min 0 1/4" in text
    assert f"#{last.pk} " not in text
    assert "tests.jobs.send 0 0 0 – 5 3 20 s" in text


def test_a_queue_without_jobs_says_so(admin_client):
    queue = QueueFactory(name="empty")
    text = shown(admin_client, address(queue))
    assert "No job is ready in this queue." in text
    assert "Jobs of other queues may be enqueued into it all the same." in text
    assert "finished per 30 min History Nothing in this time." in text
    assert "Cancel all waiting" not in text


@pytest.mark.parametrize("key", ["999", "x", "9" * 30])
def test_a_queue_that_there_is_not_is_no_page(admin_client, key):
    assert admin_client.get(f"{PAGE}{key}/change/").status_code == 404
    question = admin_client.get(f"{PAGE}{key}/cancel-waiting/", follow=True)
    assert question.status_code == 404


def test_a_queue_gets_a_limit_and_loses_it(staff):
    client = staff("view_queue", "change_queue")
    queue = QueueFactory(name="mail")
    back = address(queue)
    assert press(client, "limit", back, queue="mail", seconds=" 300 ") == [
        "A job may wait 300 seconds in the queue “mail”."
    ]
    assert Queue.objects.get().latency_limit == 300
    assert 'value="300"' in page(client, back)
    assert "5 min" in shown(client, PAGE)
    assert press(client, "limit", back, queue="mail", seconds="300") == [
        "No change: that was the limit already."
    ]
    press(client, "limit", back, queue="mail", seconds="")
    assert Queue.objects.get().latency_limit is None
    assert press(client, "limit", back, queue="mail") == ["No change: that was the limit already."]
    entries = LogEntry.objects.order_by("pk")
    assert [entry.get_change_message() for entry in entries] == [
        "limit set to 300 s through the admin",
        "limit removed through the admin",
    ]
    assert entries[0].object_id == str(queue.pk)


@pytest.mark.parametrize("seconds", ["0", "-1", "1.5", "x", "9999999999", "9" * 30])
def test_what_is_no_limit_is_told(admin_client, seconds):
    QueueFactory(name="mail")
    [message] = press(admin_client, "limit", PAGE, queue="mail", seconds=seconds)
    assert message == "No change: the limit is a whole number of seconds, or empty."
    assert Queue.objects.get().latency_limit is None


def test_a_limit_for_a_queue_that_was_never_seen_is_told(admin_client):
    [message] = press(admin_client, "limit", PAGE, queue="nope", seconds="5")
    assert message == 'No change: no queue "nope" was seen'


def asked(client, queue):
    """Return what the page of the question sends."""
    text = page(client, f"{PAGE}{queue.pk}/cancel-waiting/")
    return html.unescape(re.findall(r'name="seen" value="([^"]+)"', text)[0])


def test_all_that_waited_when_it_was_asked_is_cancelled(staff, frozen_clock):
    client = staff("view_queue", "change_job", "view_job")
    queue = QueueFactory(name="mail")
    JobFactory.create_batch(3, queue="mail")
    JobFactory(queue="mail", running=True)
    other = JobFactory(queue="other")
    assert "3 jobs are ready in the queue “mail”, as of 12:00:00." in shown(
        client, f"{PAGE}{queue.pk}/cancel-waiting/"
    )
    seen = asked(client, queue)
    frozen_clock.advance(timedelta(seconds=40))
    late = JobFactory(queue="mail", run_at=NOON + timedelta(seconds=10))
    assert press(client, "cancel-waiting", address(queue), queue="mail", seen=seen) == [
        "3 jobs cancelled."
    ]
    assert set(Job.objects.filter(state=State.READY)) == {other, late}
    assert Job.objects.filter(state=State.RUNNING, cancel_requested_at=None).count() == 1
    [entry] = LogEntry.objects.all()
    assert (entry.object_repr, entry.get_change_message()) == (
        "waiting jobs of the queue mail",
        "3 cancelled through the admin",
    )
    assert press(client, "cancel-waiting", address(queue), queue="mail", seen=seen) == [
        "No change: none of these jobs waits any more."
    ]


def test_a_job_that_starts_meanwhile_is_not_asked_to_stop(admin_client, monkeypatch):
    queue = QueueFactory(name="mail")
    job = JobFactory(queue="mail", running=True)
    monkeypatch.setattr(queue_pressing, "ready_jobs", lambda *_: Job.objects.filter(pk=job.pk))
    [message] = press(
        admin_client, "cancel-waiting", address(queue), queue="mail", seen=NOON.isoformat()
    )
    assert message.startswith("1 job unchanged.")
    assert Job.objects.get().cancel_requested_at is None


def test_of_very_many_some_are_cancelled_and_it_says_so(admin_client, monkeypatch):
    for module in (pressing, queue_pressing):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    queue = QueueFactory(name="mail")
    JobFactory.create_batch(3, queue="mail")
    seen = asked(admin_client, queue)
    [message] = press(admin_client, "cancel-waiting", PAGE, queue="mail", seen=seen)
    assert message == ("2 jobs cancelled. More of them are left; press again for the next 2.")


def test_nothing_to_cancel_is_said_before_anybody_presses(admin_client):
    queue = QueueFactory(name="mail")
    text = shown(admin_client, f"{PAGE}{queue.pk}/cancel-waiting/")
    assert "No job is ready in the queue “mail”." in text
    [message] = press(admin_client, "cancel-waiting", PAGE, queue="mail", seen="yesterday")
    assert message.startswith("Nothing was done")


@pytest.mark.parametrize(
    ("granted", "listed", "inside"),
    [
        ([], [], []),
        (["change_queue"], ["pause"], ["limit", "pause"]),
        (["change_job", "view_job"], [], []),
    ],
)
def test_buttons_that_a_user_may_not_press_are_absent_and_refused(staff, granted, listed, inside):
    queue = QueueFactory(name="mail")
    JobFactory(queue="mail")
    client = staff("view_queue", *granted)
    assert verbs(client, PAGE) == listed
    assert verbs(client, address(queue)) == inside
    may_cancel = "change_job" in granted
    assert ("Cancel all waiting" in page(client, address(queue))) is may_cancel
    question = client.get(f"{PAGE}{queue.pk}/cancel-waiting/").status_code
    assert question == (200 if may_cancel else 403)
    if "change_queue" not in granted:
        assert client.post("/admin/jobs/do/limit/", {"queue": "mail"}).status_code == 403
    if not may_cancel:
        assert client.post("/admin/jobs/do/cancel-waiting/", {}).status_code == 403


def test_waiting_jobs_are_named_only_to_those_who_may_see_them(staff):
    queue = QueueFactory(name="mail")
    job = JobFactory(queue="mail")
    text = shown(staff("view_queue"), address(queue))
    assert f"#{job.pk}" not in text
    assert job.name not in text


def test_the_page_keeps_itself_fresh(admin_client, client, django_assert_num_queries):
    QueueFactory(name="mail")
    text = page(admin_client, PAGE)
    assert f'hx-get="{LIVE}"' in text
    assert 'data-interval="10"' in text
    assert 'id="jobs-queues" hx-swap-oob="true"' in page(admin_client, LIVE)
    with django_assert_num_queries(DJANGOS_QUERIES):
        page(admin_client, LIVE)
    press(admin_client, "pause", PAGE, queue="mail")
    assert "paused" in page(admin_client, LIVE)
    client.logout()
    response = client.get(LIVE)
    assert response["HX-Redirect"] == "/admin/login/?next=%2Fadmin%2Fjobs%2Fqueue%2F"


def test_who_may_not_see_queues_is_refused(staff):
    queue = QueueFactory(name="mail")
    client = staff("view_job", "change_job")
    for found in (PAGE, LIVE, address(queue), f"{PAGE}{queue.pk}/cancel-waiting/"):
        assert client.get(found).status_code == 403


def test_hostile_texts_are_never_markup(admin_client):
    queue = QueueFactory(name=HOSTILE, paused=True, paused_reason=HOSTILE, paused_by=HOSTILE)
    JobFactory(queue=HOSTILE, name=HOSTILE)
    for found in (PAGE, address(queue), f"{PAGE}{queue.pk}/cancel-waiting/"):
        text = page(admin_client, found)
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text
        inside = text.partition("content-main")[2]
        assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", inside)


def test_the_limit_decides_when_a_queue_is_slow():
    from django_jobs.reports import verdict

    WorkerFactory()
    QueueFactory(name="mail")
    JobFactory(queue="mail", run_at=ago(seconds=90))
    assert [problem.rule for problem in verdict.verdict().problems] == ["slow-queue"]
    operations.set_latency_limit("mail", 100)
    assert not verdict.verdict().problems
    operations.set_latency_limit("mail", 10)
    assert [problem.rule for problem in verdict.verdict().problems] == ["slow-queue"]


@pytest.mark.parametrize("seconds", [0, -1, 2**31])
def test_a_limit_that_cannot_be_is_refused(seconds):
    QueueFactory(name="mail")
    with pytest.raises(ValueError, match="seconds must be 1 to"):
        operations.set_latency_limit("mail", seconds)


def test_a_queue_shows_how_fast_it_was_in_the_last_minutes(admin_client):
    QueueFactory(name="mail")
    TallyFactory(queue="mail", ago=5, succeeded=30)
    assert re.search(r"mail ● open .* 0 0 0 0 2\.0 \S+ \S*s 0 ", shown(admin_client, PAGE))
