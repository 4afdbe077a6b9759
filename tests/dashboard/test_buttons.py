import html
import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections

from django_jobs import operations
from django_jobs.admin.buttons import pressing
from django_jobs.engines import get_engine
from django_jobs.models import BulkOperation, Job
from django_jobs.services import BulkWorker
from django_jobs.states import State
from tests.conftest import NOON
from tests.dashboard.pages import failing, press, raw, shown
from tests.factories import JobFactory, QueueFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def test_one_failed_job_is_retried_and_the_log_says_so(staff):
    client = staff("view_job", "change_job")
    job, other = failing(2)
    assert press(client, "retry", job=job.pk) == ["1 job retried."]
    states = dict(Job.objects.values_list("pk", "state"))
    assert states == {job.pk: State.READY, other.pk: State.FAILED}
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("ana", str(job.pk))
    assert entry.get_change_message() == "1 retried on the dashboard"


def test_who_presses_second_hears_that_it_is_done(admin_client):
    [job] = failing(1)
    QueueFactory(name="mail", paused=True)
    assert press(admin_client, "retry", job=job.pk) == ["1 job retried."]
    [message] = press(admin_client, "retry", job=job.pk)
    assert message.startswith(f"1 job unchanged. #{job.pk}: it is ready")
    every = {"fingerprint": "aaaa", "seen": NOON.isoformat()}
    assert press(admin_client, "retry-all", **every) == [
        "No change: none of these jobs is failed any more."
    ]
    assert press(admin_client, "resume", queue="mail") == ["The queue “mail” goes on."]
    assert press(admin_client, "resume", queue="mail") == [
        "No change: the queue “mail” was not paused."
    ]
    assert LogEntry.objects.count() == 2


def test_two_who_press_at_the_same_moment_do_it_once(admin_client, monkeypatch):
    jobs = failing(3)
    retry = operations.retry

    def second(ids):
        retry(ids)
        return retry(ids)

    monkeypatch.setattr(operations, "retry", second)
    [message] = press(admin_client, "retry-all", fingerprint="aaaa", seen=NOON.isoformat())
    assert message.startswith("3 jobs unchanged.")
    assert Job.objects.filter(state=State.READY).count() == len(jobs)


def test_all_of_one_error_that_the_page_had_seen_are_retried(admin_client):
    failing(3)
    [other] = failing(1, "bbbb")
    [later] = failing(1, finished_at=NOON + timedelta(seconds=1))
    messages = press(admin_client, "retry-all", fingerprint="aaaa", seen=NOON.isoformat())
    assert messages == ["3 jobs retried."]
    failed = set(Job.objects.filter(state=State.FAILED).values_list("pk", flat=True))
    assert failed == {other.pk, later.pk}
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.object_repr) == (None, "error aaaa")
    assert entry.get_change_message() == "3 retried on the dashboard"
    assert admin_client.get("/admin/").status_code == 200


def test_failures_by_a_clock_that_is_ahead_are_retried_too(admin_client):
    failing(2, finished_at=NOON + timedelta(seconds=5))
    QueueFactory()
    [seen] = set(re.findall(r'name="seen" value="([^"]+)"', raw(admin_client)))
    messages = press(admin_client, "retry-all", fingerprint="aaaa", seen=html.unescape(seen))
    assert messages == ["2 jobs retried."]


def test_very_many_are_retried_by_the_workers_and_a_link_says_how_far_they_are(
    admin_client, monkeypatch
):
    monkeypatch.setattr(pressing, "AT_ONCE", 2)
    failing(3)
    [other] = failing(1, "bbbb")
    [later] = failing(1, finished_at=NOON + timedelta(seconds=1))
    every = {"fingerprint": "aaaa", "seen": NOON.isoformat()}
    [message] = press(admin_client, "retry-all", **every)
    row = BulkOperation.objects.get()
    link = f'<a href="/admin/jobs/bulkoperation/{row.pk}/change/">Operation #{row.pk}</a>'
    assert message == f"They are left to the workers. {link}"
    assert (row.expected, row.created_by) == (3, "admin")
    [message] = press(admin_client, "retry-all", **every)
    assert message.startswith("No change: they are left to the workers already.")
    BulkWorker().run(get_engine("default"))
    failed = set(Job.objects.filter(state=State.FAILED).values_list("pk", flat=True))
    assert failed == {other.pk, later.pk}
    assert LogEntry.objects.get().get_change_message() == "retry started on the dashboard"


def test_failures_without_an_error_on_record_are_retried_by_the_workers_too(
    admin_client, monkeypatch
):
    monkeypatch.setattr(pressing, "AT_ONCE", 1)
    failing(3, "")
    failing(1)
    press(admin_client, "retry-all", fingerprint="", seen=NOON.isoformat())
    BulkWorker().run(get_engine("default"))
    assert Job.objects.filter(state=State.READY).count() == 3


@pytest.mark.parametrize(
    ("verb", "data"),
    [
        ("retry", {}),
        ("retry", {"job": "x"}),
        ("retry", {"job": "9" * 30}),
        ("retry-all", {"fingerprint": "aaaa"}),
        ("retry-all", {"fingerprint": "aaaa", "seen": "yesterday"}),
        ("retry-all", {"fingerprint": "aaaa", "seen": "2030-99-15T12:00:00Z"}),
        ("retry-all", {"fingerprint": "aaaa", "seen": "2030-01-15T12:00:00"}),
    ],
)
def test_a_broken_request_does_nothing(admin_client, verb, data):
    failing(1)
    [message] = press(admin_client, verb, **data)
    assert message.startswith("Nothing was done")
    assert Job.objects.get().state == State.FAILED


def test_a_job_that_is_gone_is_told(admin_client):
    assert "there is no such job" in press(admin_client, "retry", job=999)[0]


def test_the_jobs_of_a_silent_worker_are_requeued_and_no_others(admin_client):
    silent, running = JobFactory(running=True, silent=True), JobFactory(running=True)
    assert press(admin_client, "requeue", worker="web-1:4711") == ["1 job requeued."]
    states = dict(Job.objects.values_list("pk", "state"))
    assert states == {silent.pk: State.READY, running.pk: State.RUNNING}
    assert LogEntry.objects.get().object_repr == "worker web-1:4711"
    assert press(admin_client, "requeue", worker="web-1:4711") == [
        "No change: that worker holds no job past its lease."
    ]


def test_a_queue_is_paused_with_name_and_reason(staff):
    client = staff("view_job", "view_queue", "change_queue")
    queue = QueueFactory(name="mail")
    [message] = press(client, "pause", queue="mail", reason=" upgrade ")
    assert message == "The queue “mail” is paused; its running jobs go on."
    queue.refresh_from_db()
    assert (queue.paused_by, queue.paused_reason) == ("ana", "upgrade")
    [again] = press(client, "pause", queue="mail")
    assert again.startswith("No change")
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.object_repr) == (str(queue.pk), "mail")
    assert entry.get_change_message() == "paused: upgrade on the dashboard"


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_queue_that_nobody_knows_is_told(admin_client, verb):
    [message] = press(admin_client, verb, queue="nope")
    assert message.startswith("No change: no queue")


@pytest.mark.django_db(transaction=True)
def test_a_press_keeps_no_row_locked_until_the_answer_is_sent(admin_client, monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    seen = []
    retry = operations.retry

    def look(ids):
        seen.append(connections["default"].in_atomic_block)
        return retry(ids)

    monkeypatch.setattr(operations, "retry", look)
    [job] = failing(1)
    press(admin_client, "retry", job=job.pk)
    assert seen == [False]


def overdue(**fields):
    WorkerFactory()
    since = NOON - timedelta(minutes=5)
    return JobFactory(running=True, name="tests.jobs.send", started_at=since, **fields)


def test_a_run_over_its_time_limit_is_asked_to_stop(admin_client):
    job = overdue()
    assert "Cancel" in shown(admin_client)
    said = f"Job #{job.pk} was asked to stop."
    assert press(admin_client, "cancel", job=job.pk) == [said]
    job.refresh_from_db()
    assert (job.state, job.cancel_requested_at) == (State.RUNNING, NOON)
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.get_change_message()) == (
        str(job.pk),
        "asked to stop on the dashboard",
    )
    again = f"No change: job #{job.pk} was asked to stop already."
    assert press(admin_client, "cancel", job=job.pk) == [again]
    assert LogEntry.objects.count() == 1


def test_one_that_does_not_listen_is_taken_from_its_worker(admin_client):
    job = overdue(cancel_requested_at=NOON - timedelta(minutes=1))
    assert "Cancel by force" in shown(admin_client)
    assert 'name="force" value="1"' in raw(admin_client)
    assert press(admin_client, "cancel", job=job.pk, force=1) == ["1 job cancelled."]
    assert Job.objects.get().state == State.CANCELLED
    [message] = press(admin_client, "cancel", job=job.pk, force=1)
    assert message.startswith("1 job unchanged.")


def test_a_cancel_without_a_number_does_nothing(admin_client):
    [message] = press(admin_client, "cancel", job="x")
    assert "incomplete" in message
