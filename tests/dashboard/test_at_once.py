"""Two people press the same button at the same moment: one does it, the other hears so."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connections
from django.test import Client

from django_jobs import muting
from django_jobs.models import BulkOperation, Job, MutedError, Queue
from django_jobs.states import State, Wish
from tests.conftest import NOON
from tests.dashboard.test_bulk import ask, fields, many  # noqa: F401 - a fixture
from tests.dashboard.test_job_list import LIST
from tests.factories import JobFactory, QueueFactory, ScheduleFactory, WorkerFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("frozen_clock")]

DO = "/admin/jobs/do/"
PEOPLE = 4


@pytest.fixture
def people():
    """Some operators, each logged in."""
    found = []
    for number in range(PEOPLE):
        client = Client()
        client.force_login(User.objects.create_superuser(f"person{number}"))
        client.get("/admin/jobs/")  # whatever is only done once is done
        found.append(client)
    return found


def together(people, address, given):
    """Let all press at once; return how many heard that they did it, and how many that they did not."""
    start = Barrier(len(people))

    def press(client):
        try:
            start.wait(20)
            response = client.post(address, given)
            assert response.status_code == 302
            return [message.level_tag for message in get_messages(response.wsgi_request)]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(people)) as pool:
        heard = [tag for tags in pool.map(press, people) for tag in tags]
    return Counter(heard)


def pressed_once(people, address, given):
    assert together(people, address, given) == {"success": 1, "warning": PEOPLE - 1}
    assert LogEntry.objects.count() == 1


def test_a_queue_is_paused_by_one(people):
    QueueFactory(name="mail")
    pressed_once(people, f"{DO}pause/", {"queue": "mail", "reason": "upgrade"})
    assert Queue.objects.get().paused_by == LogEntry.objects.get().user.username


def test_a_queue_is_resumed_by_one(people):
    QueueFactory(name="mail", paused=True)
    pressed_once(people, f"{DO}resume/", {"queue": "mail"})
    assert Queue.objects.get().paused_at is None


def test_a_limit_is_set_by_one(people):
    QueueFactory(name="mail")
    pressed_once(people, f"{DO}limit/", {"queue": "mail", "seconds": "5"})
    assert Queue.objects.get().latency_limit == 5


def test_an_error_is_muted_by_one(people):
    JobFactory(failed=True, fingerprint="aaaa")
    pressed_once(people, f"{DO}mute/", {"fingerprint": "aaaa", "hours": "1"})
    assert MutedError.objects.count() == 1


def test_an_error_that_has_grown_is_muted_anew_by_one(people, frozen_clock):
    JobFactory(failed=True, fingerprint="aaaa")
    assert muting.mute("aaaa")
    frozen_clock.advance(timedelta(minutes=1))
    JobFactory.create_batch(10, failed=True, fingerprint="aaaa")
    pressed_once(people, f"{DO}mute/", {"fingerprint": "aaaa", "hours": "1"})
    assert MutedError.objects.get().count == 11


def test_an_error_is_made_loud_by_one(people):
    JobFactory(failed=True, fingerprint="aaaa")
    assert muting.mute("aaaa")
    pressed_once(people, f"{DO}unmute/", {"fingerprint": "aaaa"})
    assert not MutedError.objects.exists()


def test_failures_are_retried_by_one(people):
    JobFactory.create_batch(20, failed=True, fingerprint="aaaa")
    given = {"fingerprint": "aaaa", "seen": NOON.isoformat()}
    heard = together(people, f"{DO}retry-all/", given)
    assert heard["success"] == LogEntry.objects.count() == 1
    assert Job.objects.filter(state=State.READY).count() == 20


@pytest.mark.parametrize("place", ["dashboard", "page"])
def test_a_running_job_is_asked_to_stop_by_one(people, place):
    job = JobFactory(running=True)
    address = f"{DO}cancel/" if place == "dashboard" else f"{LIST}{job.pk}/do/cancel/"
    pressed_once(people, address, {"job": job.pk})


@pytest.mark.parametrize("verb", ["retry", "duplicate"])
def test_a_job_is_retried_or_repeated_by_one(people, verb):
    job = JobFactory(failed=True)
    pressed_once(people, f"{LIST}{job.pk}/do/{verb}/", {"seen": "0"})
    assert Job.objects.filter(state=State.READY).count() == 1


def test_a_worker_is_told_by_one(people):
    row = WorkerFactory()
    pressed_once(people, f"{DO}stop/", {"worker": row.name})
    row.refresh_from_db()
    assert row.wish == Wish.STOP


@pytest.mark.parametrize("verb", ["pause", "run-now"])
def test_a_schedule_is_paused_or_run_by_one(people, verb):
    row = ScheduleFactory()
    pressed_once(people, f"/admin/jobs/schedule/{row.pk}/{verb}/", {"seen": "0"})
    assert Job.objects.count() == (1 if verb == "run-now" else 0)


def test_an_operation_is_begun_by_one(people, many):  # noqa: F811
    JobFactory.create_batch(4, failed=True)
    given = fields(ask(people[0]))
    pressed_once(people, f"{LIST}bulk/", given)
    assert BulkOperation.objects.count() == 1


def test_an_operation_is_stopped_by_one(people, many):  # noqa: F811
    JobFactory.create_batch(4, failed=True)
    people[0].post(f"{LIST}bulk/", fields(ask(people[0])))
    people[0].get("/admin/jobs/")
    LogEntry.objects.all().delete()
    row = BulkOperation.objects.get()
    pressed_once(people, f"/admin/jobs/bulkoperation/{row.pk}/stop/", {})


def test_a_schedule_is_reset_by_one(people):
    rule = {"cron": "0 * * * *", "job_name": "tests.jobs.nothing"}
    row = ScheduleFactory(source="code", overrides=["cron"], declared=rule)
    pressed_once(people, f"/admin/jobs/schedule/{row.pk}/reset/", {})
    row.refresh_from_db()
    assert row.overrides == []
