"""Where a project sets thousands apart, numbers in addresses and forms stay as they are."""

import html
import re

import pytest

from django_jobs.models import BulkOperation, Job, Queue
from django_jobs.states import State
from tests.conftest import NOON
from tests.dashboard.test_bulk import ask
from tests.dashboard.test_job_list import LIST
from tests.factories import JobFactory, QueueFactory, ScheduleFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

FIRST = 123_456
VALUE = re.compile(r'(?:href|action|value|max|data-[\w-]+)="([^"]*)"')
APART = re.compile(r"123[.,]45|#123[.,]4|\b1[.,]440\b|\b7[.,]200\b")


@pytest.fixture(autouse=True)
def _german_numbers(settings):
    settings.USE_THOUSAND_SEPARATOR, settings.LANGUAGE_CODE = True, "de"


def pages():
    ids = iter(range(FIRST, FIRST + 10))
    failed = JobFactory(id=next(ids), failed=True, fingerprint="aaaa")
    JobFactory(id=next(ids))
    JobFactory(id=next(ids), running=True, silent=True)
    queue = QueueFactory(id=next(ids), name="default", latency_limit=7200)
    row, worker = ScheduleFactory(id=next(ids)), WorkerFactory(id=next(ids))
    operation = BulkOperation.objects.create(
        id=next(ids),
        key="k",
        verb="retry",
        search="state:failed",
        as_of=NOON,
        high=FIRST,
        expected=5,
        created_at=NOON,
        last_id=0,
        reasons={"why": [5, failed.pk]},
    )
    yield from ("", "failed/", "queue/", "worker/", "schedule/", "job/", "bulkoperation/")
    yield from ("live/", "failed/live/", "queue/live/", "worker/live/")
    yield from ("job/?to=123457", "job/?q=state:successful", "job/bulk/?verb=retry")
    yield from (f"job/{failed.pk}/{page}/" for page in ("change", "live", "arguments"))
    yield from (f"queue/{queue.pk}/change/", f"queue/{queue.pk}/cancel-waiting/")
    yield from (f"schedule/{row.pk}/change/", f"schedule/{row.pk}/backfill/")
    yield from (f"worker/{worker.pk}/change/", f"bulkoperation/{operation.pk}/change/")


def test_no_number_in_an_address_or_in_a_field_is_set_apart(admin_client):
    for page in pages():
        text = admin_client.get(f"/admin/jobs/{page}", follow=True).content.decode()
        values = [html.unescape(value) for value in VALUE.findall(text)]
        assert not [value for value in values if APART.search(value)], page
        assert not re.findall(r"#123[.,]\d+", text), page


def test_what_is_ticked_in_the_list_is_what_is_meant(admin_client):
    JobFactory(id=FIRST, failed=True)
    page = admin_client.get(LIST).content.decode()
    ticked = re.findall(r'name="_selected_action" value="([^"]*)"', page)
    given = {"action": "retry_jobs", "_selected_action": ticked}
    assert admin_client.post(LIST, given).status_code == 302
    assert Job.objects.get().state == State.READY


def test_a_queue_can_be_paused_for_a_day(admin_client):
    QueueFactory(name="mail")
    page = admin_client.get("/admin/jobs/queue/").content.decode()
    *_, longest = re.findall(r'<option value="([^"]*)">', page)
    admin_client.post("/admin/jobs/do/pause/", {"queue": "mail", "minutes": longest})
    queue = Queue.objects.get()
    assert (queue.paused_until - NOON).days == 1


def test_the_question_about_a_part_of_the_jobs_names_them(admin_client):
    JobFactory(id=FIRST + 200_000, failed=True)
    assert f"#{FIRST + 100_001}" in ask(admin_client, verb="delete", to=FIRST + 200_000)
