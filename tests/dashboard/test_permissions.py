"""Each address of ours by whom it may be used: with exactly what it needs, and with all but that."""

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_jobs.models import BulkOperation, Event, Job
from tests.conftest import NOON
from tests.factories import JobFactory, QueueFactory, ScheduleFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HOME = "/admin/jobs/"
READS = re.compile(
    r"(SELECT|WITH|SAVEPOINT|RELEASE|ROLLBACK|SET|SHOW|BEGIN)\b(?!.*FOR UPDATE)", re.DOTALL
)
VIEW, PAYLOAD, CHANGE = "view_job", "view_job_payload", "change_job"
QUEUE, SCHEDULE, WORKER = "change_queue", "change_schedule", "change_worker"

GETS = {
    "": {VIEW},
    "live/": {VIEW},
    "health.json": {VIEW},
    "failed/": {VIEW},
    "failed/live/": {VIEW},
    "history/": {VIEW},
    "history/live/": {VIEW},
    "history/figures.csv": {VIEW},
    "job/": {VIEW},
    "job/news/": {VIEW},
    "job/{job}/change/": {VIEW},
    "job/{job}/live/": {VIEW},
    "job/{job}/history/": {VIEW},
    "job/{job}/arguments/": {VIEW, CHANGE, PAYLOAD},
    "job/{job}/download/arguments/": {VIEW, PAYLOAD},
    "job/bulk/?verb=retry": {VIEW, CHANGE},
    "job/bulk/?verb=cancel": {VIEW, CHANGE},
    "job/bulk/?verb=delete": {VIEW, "delete_job"},
    "bulkoperation/": {VIEW},
    "bulkoperation/{bulk}/change/": {VIEW},
    "bulkoperation/{bulk}/live/": {VIEW},
    "jobrun/": {"view_jobrun"},
    "batch/": {"view_batch"},
    "event/": {"view_event"},
    "event/{event}/change/": {"view_event"},
    "queue/live/": {"view_queue"},
    "queue/{queue}/cancel-waiting/": {"view_queue", CHANGE},
    "worker/": {"view_worker"},
    "worker/live/": {"view_worker"},
    "worker/{worker}/change/": {"view_worker"},
    "schedule/{schedule}/backfill/": {SCHEDULE, "add_job"},
}
POSTS = {
    "do/retry/": {CHANGE, VIEW},
    "do/retry-all/": {CHANGE},
    "do/requeue/": {CHANGE},
    "do/cancel/": {CHANGE, VIEW},
    "do/cancel-waiting/": {CHANGE},
    "do/mute/": {CHANGE},
    "do/unmute/": {CHANGE},
    "do/pause/": {QUEUE},
    "do/resume/": {QUEUE},
    "do/limit/": {QUEUE},
    "do/quiet/": {WORKER},
    "do/go-on/": {WORKER},
    "do/stop/": {WORKER},
    "do/forget/": {WORKER},
    "job/{job}/do/retry/": {CHANGE, VIEW},
    "job/{job}/do/run-now/": {CHANGE, VIEW},
    "job/{job}/do/cancel/": {CHANGE, VIEW},
    "job/{job}/do/duplicate/": {"add_job", VIEW},
    "job/{job}/arguments/": {VIEW, CHANGE, PAYLOAD},
    "job/{job}/delete/": {VIEW, "delete_job"},
    "do/test-job/": {"add_job"},
    "job/bulk/": {VIEW, "delete_job"},
    "bulkoperation/{bulk}/stop/": {VIEW, CHANGE},
    "schedule/{schedule}/pause/": {SCHEDULE},
    "schedule/{schedule}/resume/": {SCHEDULE},
    "schedule/{schedule}/catch-up/": {SCHEDULE},
    "schedule/{schedule}/reset/": {SCHEDULE},
    "schedule/{schedule}/run-now/": {SCHEDULE, "add_job"},
    "schedule/{schedule}/backfill/": {SCHEDULE, "add_job"},
    "schedule/{schedule}/delete/": {"delete_schedule"},
}
USES = [("get", *item) for item in GETS.items()] + [("post", *item) for item in POSTS.items()]


@pytest.fixture
def rows():
    bulk = BulkOperation.objects.create(
        key="k",
        verb="retry",
        search="id:0",
        as_of=NOON,
        high=1,
        expected=1,
        last_id=0,
        created_at=NOON,
    )
    event = Event.objects.create(name="a/b", key="k", sent_at=NOON)
    return {
        "job": JobFactory(failed=True, fingerprint="aaaa").pk,
        "queue": QueueFactory(name="default").pk,
        "schedule": ScheduleFactory().pk,
        "worker": WorkerFactory().pk,
        "bulk": bulk.pk,
        "event": event.pk,
    }


def use(client, method, address, rows):
    given = {"verb": "delete", "seen": NOON.isoformat()} if method == "post" else {}
    return getattr(client, method)(HOME + address.format(**rows), given)


def logged_in(client, wanted):
    ours = Permission.objects.filter(content_type__app_label="django_jobs")
    chosen = ours.filter(codename__in=wanted)
    assert chosen.count() == len(set(wanted))
    user = User.objects.create_user("ana", is_staff=True)
    user.user_permissions.set(chosen)
    client.force_login(user)
    return client


def everything():
    ours = Permission.objects.filter(content_type__app_label="django_jobs")
    return set(ours.values_list("codename", flat=True))


@pytest.mark.parametrize(("method", "address", "needed"), USES)
def test_what_it_needs_is_enough(client, rows, method, address, needed):
    response = use(logged_in(client, needed), method, address, rows)
    assert response.status_code in {200, 286, 302, 503}
    assert "/login/" not in response.get("Location", "")


def lacks():
    """Yield each use with one of the permissions that it needs; who may change may see."""
    for method, address, needed in USES:
        for one in sorted(needed):
            if not (one == VIEW and CHANGE in needed):
                yield method, address, one


@pytest.mark.parametrize(("method", "address", "lacking"), list(lacks()))
def test_without_one_of_what_it_needs_all_others_do_not_help(
    client, rows, method, address, lacking
):
    before = list(Job.objects.values())
    wanted = everything() - {lacking}
    if lacking.startswith("view_") and lacking != PAYLOAD:
        wanted -= {lacking.replace("view", "change")}
    response = use(logged_in(client, wanted), method, address, rows)
    if (method, address) == ("get", ""):  # the lists that he may see
        assert "jobs-verdict" not in response.content.decode()
    else:
        assert response.status_code == 403
    assert list(Job.objects.values()) == before


@pytest.mark.parametrize(("method", "address", "needed"), USES)
@pytest.mark.parametrize("visitor", ["nobody", "customer", "clerk"])
def test_strangers_customers_and_staff_without_permissions_are_kept_out(
    client, rows, method, address, needed, visitor
):
    if visitor == "customer":
        user = User.objects.create_user("eve")
        user.user_permissions.set(Permission.objects.all())
        client.force_login(user)
    elif visitor == "clerk":
        client.force_login(User.objects.create_user("bob", is_staff=True))
    response = use(client, method, address, rows)
    sent_away = response.get("Location", "") + response.get("HX-Redirect", "")
    assert response.status_code == 403 or "/admin/login/?next=" in sent_away


@pytest.mark.parametrize("address", POSTS)
def test_no_form_works_without_its_token(rows, address, admin_user):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    before = list(Job.objects.values())
    assert use(strict, "post", address, rows).status_code == 403
    assert list(Job.objects.values()) == before


@pytest.mark.parametrize("address", [*GETS, *POSTS])
def test_whoever_only_looks_writes_nothing(admin_client, rows, address):
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(HOME + address.format(**rows))
    written = [query["sql"] for query in queries if not READS.match(query["sql"])]
    assert not written
