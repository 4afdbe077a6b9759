"""Jobs in a database of their own, people and the admin's log in the default one; with transactions."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections

from django_jobs.models import (
    Batch,
    BulkOperation,
    Claim,
    Event,
    Job,
    JobRun,
    Queue,
    Schedule,
    Tick,
    Worker,
)
from django_jobs.states import RunOutcome, State
from django_jobs.timetables.planning import TickOutcome
from tests.conftest import NOON

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"], transaction=True),
    pytest.mark.usefixtures("frozen_clock"),
]

HOME = "/admin/jobs/"
RULE = {
    "name": "hourly",
    "job_name": "tests.jobs.nothing",
    "cron": "30 * * * *",
    "every": "",
    "timezone": "UTC",
    "args": "[]",
    "kwargs": "{}",
    "missed": "one",
    "missed_within": "1d",
    "overlap": "skip",
    "jitter": "0s",
    "starts_at_0": "",
    "starts_at_1": "",
    "ends_at_0": "",
    "ends_at_1": "",
}


@pytest.fixture(params=[False, True], ids=["plain", "atomic"])
def other(request, settings, monkeypatch):
    """Put the jobs into the database `other`; return its alias."""
    settings.DJANGO_JOBS = {"DATABASE": "other"}
    for alias in ("default", "other"):
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", request.param)
    return "other"


@pytest.fixture
def rows(other):
    """One row of each kind there."""

    def make(model, **fields):
        return model.objects.using(other).create(**fields).pk

    at = {"run_at": NOON, "enqueued_at": NOON}
    ended = {**at, "state": State.FAILED, "finished_at": NOON, "fingerprint": "aaaa", "attempt": 1}
    failed = [make(Job, name="tests.jobs.add", args=[1, 2], **ended) for _ in range(3)]
    run = {"claim_id": 9, "attempt": 1, "outcome": RunOutcome.FAILED, "finished_at": NOON}
    make(JobRun, job_id=failed[0], error_type="E", error="x", fingerprint="aaaa", **run)
    make(Job, name="tests.jobs.add", args=[1, 2], state=State.READY, **at)
    silent = make(Claim, worker="web-1:1", expires_at=NOON - timedelta(minutes=2), job_ids=[])
    running = {**at, "state": State.RUNNING, "claim_id": silent, "started_at": NOON, "attempt": 1}
    held = make(Job, name="tests.jobs.add", args=[1, 2], **running)
    Claim.objects.using(other).update(job_ids=[held])
    rule = {"job_name": "tests.jobs.nothing", "cron": "0 * * * *", "created_at": NOON}
    schedule = make(Schedule, name="hourly", next_run_at=NOON, **rule)
    make(Tick, schedule_id=schedule, planned_at=NOON, made_at=NOON, outcome=TickOutcome.ON_TIME)
    asked = {"key": "k", "verb": "retry", "search": "id:0", "as_of": NOON, "high": 1}
    return {
        "job": failed[0],
        "run": JobRun.objects.using(other).get().pk,
        "queue": make(Queue, name="default"),
        "schedule": schedule,
        "worker": make(Worker, name="web-1:2", threads=4, started_at=NOON, beat_at=NOON),
        "event": make(Event, name="a/b", key="k", sent_at=NOON, started=failed[:1]),
        "batch": make(Batch, total=1, pending=1, created_at=NOON),
        "bulk": make(BulkOperation, expected=1, last_id=0, created_at=NOON, **asked),
    }


PAGES = (
    *("", "live/", "failed/", "failed/live/", "history/", "history/live/", "history/figures.csv"),
    *("job/", "job/?q=state:failed args.left:1", "job/?q=error:x", "job/?q=worker:web since:2h"),
    *("job/news/?newest=1", "job/bulk/?verb=delete", "queue/", "queue/live/", "worker/"),
    *("worker/live/", "schedule/", "schedule/add/", "jobrun/", "batch/", "event/"),
    *("bulkoperation/", "job/{job}/change/", "job/{job}/live/", "job/{job}/history/"),
    *("job/{job}/arguments/", "job/{job}/download/arguments/", "jobrun/{run}/change/"),
    *("queue/{queue}/change/", "queue/{queue}/history/", "queue/{queue}/cancel-waiting/"),
    *("worker/{worker}/change/", "schedule/{schedule}/change/", "schedule/{schedule}/history/"),
    *("schedule/{schedule}/backfill/", "schedule/{schedule}/delete/", "event/{event}/change/"),
    *("batch/{batch}/change/", "bulkoperation/{bulk}/change/", "bulkoperation/{bulk}/live/"),
)


def test_every_page_shows_what_is_there(admin_client, rows):
    for page in PAGES:
        response = admin_client.get(HOME + page.format(**rows))
        assert response.status_code in {200, 286}, page
    text = admin_client.get(f"{HOME}job/").content.decode()
    assert f'name="_selected_action" value="{rows["job"]}"' in text
    assert not Job.objects.exists()


class Hand:
    """Presses buttons, and counts what the admin's log says."""

    def __init__(self, client, rows):
        self.client, self.rows = client, rows

    def __call__(self, address, **given):
        before = LogEntry.objects.count()
        response = self.client.post(HOME + address.format(**self.rows), given)
        assert response.status_code == 302, address
        assert LogEntry.objects.count() == before + 1, address


@pytest.fixture
def press(admin_client, rows):
    return Hand(admin_client, rows)


def test_every_button_of_a_job_works(press, rows, other):
    job = Job.objects.using(other).filter(pk=rows["job"])
    seen = NOON.isoformat()
    press("do/retry/", job=rows["job"])
    press("job/{job}/do/cancel/")
    press("job/{job}/do/duplicate/", seen="0")
    given = {"argument-left": "5", "argument-right": "6"}
    press("job/{job}/arguments/", as_of=job.get().finished_at.isoformat(), **given)
    assert (job.get().args, job.get().state) == ([5, 6], State.READY)
    press("job/", action="cancel_jobs", _selected_action=rows["job"])
    press("job/", action="retry_jobs", _selected_action=rows["job"])
    press("do/retry-all/", fingerprint="aaaa", seen=seen)
    press("do/requeue/", worker="web-1:1")
    press("do/cancel-waiting/", queue="default", seen=seen)
    assert not Job.objects.using(other).exclude(state=State.CANCELLED).exists()


def test_every_button_of_queues_errors_and_workers_works(press, other):
    press("do/pause/", queue="default", reason="upgrade", minutes="60")
    press("do/resume/", queue="default")
    press("do/limit/", queue="default", seconds="7200")
    press("do/mute/", fingerprint="aaaa", hours="1")
    press("do/unmute/", fingerprint="aaaa")
    for verb in ("quiet", "go-on", "stop"):
        press(f"do/{verb}/", worker="web-1:2")
    Worker.objects.using(other).update(beat_at=NOON - timedelta(hours=1))
    press("do/forget/", worker="web-1:2")
    assert not Worker.objects.using(other).exists()


def test_every_button_of_schedules_works(press, other):
    for verb in ("pause", "catch-up", "run-now"):
        press(f"schedule/{{schedule}}/{verb}/", reason="x")
    span = {"start": "2030-01-14T00:00:00", "end": "2030-01-14T05:00:00", "_confirmed": "1"}
    press("schedule/{schedule}/backfill/", **span)
    press("schedule/{schedule}/change/", **RULE)
    press("schedule/add/", **{**RULE, "name": "new"})
    press("schedule/{schedule}/delete/", post="yes")
    assert [row.name for row in Schedule.objects.using(other).all()] == ["new"]


def test_all_that_match_are_dealt_with(press, other):
    press("bulkoperation/{bulk}/stop/")
    page = press.client.get(f"{HOME}job/bulk/?verb=delete").content.decode()
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)
    press("job/bulk/", **{name: html.unescape(value) for name, value in found})
    assert not Job.objects.using(other).filter(state=State.FAILED).exists()
