import threading
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from django_jobs import operations
from django_jobs.admin.job import verbs
from django_jobs.models import Claim, Job
from django_jobs.states import State
from tests.conftest import NOON
from tests.dashboard.job_pages import address, buttons, press, raw, shown
from tests.factories import JobFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def state_of(job):
    return Job.objects.get(pk=job.pk).state


def test_a_failed_job_is_retried_and_the_log_says_by_whom(staff):
    client = staff("view_job", "change_job")
    job = JobFactory(failed=True)
    assert press(client, job, "retry") == [f"Job #{job.pk} was retried."]
    assert state_of(job) == State.READY
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("ana", str(job.pk))
    assert entry.get_change_message() == "retried through the admin"


def test_a_scheduled_job_is_run_now(admin_client):
    job = JobFactory(scheduled=True)
    assert press(admin_client, job, "run-now") == [f"Job #{job.pk} was made ready."]
    assert state_of(job) == State.READY


def test_a_waiting_job_is_cancelled_and_a_running_one_asked_to_stop(admin_client):
    waiting, running = JobFactory(scheduled=True), JobFactory(running=True)
    assert press(admin_client, waiting, "cancel") == [f"Job #{waiting.pk} was cancelled."]
    [message] = press(admin_client, running, "cancel")
    assert message == f"Job #{running.pk} was asked to stop; it ends by itself."
    assert state_of(waiting) == State.CANCELLED
    assert Claim.objects.get().cancel_ids == [running.pk]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("failed", ["retry", "duplicate"]),
        ("successful", ["retry", "duplicate"]),
        ("cancelled", ["retry", "duplicate"]),
        ("scheduled", ["run-now", "cancel", "duplicate"]),
        ("waiting", ["cancel", "duplicate"]),
        ("running", ["cancel", "duplicate"]),
    ],
)
def test_a_page_has_the_buttons_that_make_sense(admin_client, kind, expected):
    assert buttons(admin_client, JobFactory(**{kind: True})) == expected


def test_a_job_that_was_asked_to_stop_cannot_be_asked_again(admin_client):
    job = JobFactory(running=True, cancel_requested_at=NOON)
    assert "cancel" not in buttons(admin_client, job)


@pytest.mark.parametrize(
    ("rights", "expected"),
    [
        (["change_job"], ["retry"]),
        (["add_job"], ["duplicate"]),
        ([], []),
    ],
)
def test_buttons_that_a_user_may_not_press_are_absent_and_refused(staff, rights, expected):
    client = staff("view_job", *rights)
    job = JobFactory(failed=True)
    assert buttons(client, job) == expected
    for verb, (needed, _) in verbs.VERBS.items():
        allowed = "change_job" if needed == verbs.OPERATE else "add_job"
        status = client.post(address(job, "do", verb), {"seen": 0}).status_code
        assert status == (302 if allowed in rights else 403)


def test_a_verb_that_nobody_knows_and_a_get_do_nothing(admin_client):
    job = JobFactory(failed=True)
    assert admin_client.post(address(job, "do", "explode")).status_code == 404
    assert admin_client.get(address(job, "do", "retry")).status_code == 405
    assert state_of(job) == State.FAILED


def test_a_job_that_moved_on_meanwhile_is_told(admin_client):
    job = JobFactory(failed=True)
    press(admin_client, job, "retry")
    [message] = press(admin_client, job, "retry")
    assert (
        message == f"Job #{job.pk} is unchanged: it is ready; only a finished job can be retried."
    )
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("verb", ["retry", "cancel", "run-now", "duplicate"])
def test_a_job_that_is_gone_is_told(admin_client, verb):
    job = JobFactory(failed=True)
    Job.objects.all().delete()
    messages = press(admin_client, job, verb, seen=0)
    assert "there is no such job" in messages[0]


def test_a_unique_key_that_is_taken_by_now_is_told(admin_client):
    job = JobFactory(failed=True, unique_key="k")
    JobFactory(unique_key="k")
    [message] = press(admin_client, job, "retry")
    assert "another live job has its unique key by now" in message


def test_the_same_call_is_enqueued_anew_and_the_new_job_shown(staff):
    client = staff("view_job", "add_job")
    job = JobFactory(failed=True, name="tests.jobs.send", args=["ana"], kwargs={"subject": "x"},
                     queue="bulk", priority=3, max_attempts=7)  # fmt: skip
    response = client.post(address(job, "do", "duplicate"), {"seen": 0}, follow=True)
    new = Job.objects.latest("id")
    assert response.redirect_chain[-1][0] == address(new, "change")
    same = ("name", "args", "kwargs", "queue", "priority", "max_attempts")
    assert [getattr(new, name) for name in same] == [getattr(job, name) for name in same]
    assert (new.state, new.copy_of, state_of(job)) == (State.READY, job.pk, State.FAILED)
    assert LogEntry.objects.get().object_id == str(job.pk)
    by = LogEntry.objects.get().user.get_username()
    assert f"enqueued by {by}, as a copy of #{job.pk}" in shown(client, new)
    assert f"newest copy #{new.pk}" in shown(client, job)


def test_of_two_who_duplicate_at_once_the_second_is_told(admin_client):
    job = JobFactory(failed=True)
    assert 'name="seen" value="0"' in raw(admin_client, job)
    press(admin_client, job, "duplicate", seen=0)
    new = Job.objects.latest("id")
    [message] = press(admin_client, job, "duplicate", seen=0)
    assert f"it was enqueued anew as #{new.pk} meanwhile" in message
    assert Job.objects.count() == 2
    assert f'name="seen" value="{new.pk}"' in raw(admin_client, job)
    press(admin_client, job, "duplicate", seen=new.pk)
    assert Job.objects.count() == 3


@pytest.mark.parametrize("seen", [None, "", "x", "9" * 30, "-1"])
def test_a_broken_request_enqueues_nothing(admin_client, seen):
    job = JobFactory(failed=True)
    data = {} if seen is None else {"seen": seen}
    [message] = press(admin_client, job, "duplicate", **data)
    assert message.startswith("Nothing was done")
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": "shop.jobs.removed"}, 'no job "shop.jobs.removed"'),
        ({"args": [1, 2, 3]}, "takes 2 positional arguments"),
        ({"unique_key": "k"}, "another live job has its unique key"),
    ],
)
def test_a_call_that_cannot_be_enqueued_is_told(admin_client, fields, why):
    job = JobFactory(failed=True, **fields)
    JobFactory(unique_key="k")
    [message] = press(admin_client, job, "duplicate", seen=0)
    assert message.startswith("Nothing was enqueued")
    assert why in message
    assert Job.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_press_keeps_no_row_locked_until_the_answer_is_sent(admin_client, monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    seen = []
    retry = operations.retry

    def look(ids):
        seen.append(connections["default"].in_atomic_block)
        return retry(ids)

    monkeypatch.setattr(operations, "retry", look)
    press(admin_client, JobFactory(failed=True), "retry")
    assert seen == [False]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["retry", "duplicate"])
def test_two_who_press_at_the_same_moment_do_it_once(verb):
    users = [User.objects.create_superuser(name) for name in ("ana", "ben")]
    job = JobFactory(failed=True)
    start, outcomes = threading.Barrier(2), []

    def operate(user):
        try:
            client = Client()
            client.force_login(user)
            start.wait(20)
            outcomes.append(client.post(address(job, "do", verb), {"seen": 0}).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=operate, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes == [302, 302]
    assert LogEntry.objects.count() == 1
    assert Job.objects.filter(state=State.READY).count() == 1
    assert Job.objects.filter(enqueued_at__lt=NOON - timedelta(seconds=5)).count() == 1
