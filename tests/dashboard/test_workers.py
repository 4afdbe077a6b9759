"""The screen of workers."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import cache

from django_jobs.models import Claim, Job, Worker
from django_jobs.reports import workers
from django_jobs.states import State
from tests.conftest import NOON
from tests.dashboard.screens import page, press, shown, verbs
from tests.factories import ClaimFactory, JobFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

PAGE = "/admin/jobs/worker/"
LIVE = f"{PAGE}live/"
DJANGOS_QUERIES = 2
SILENT = NOON - timedelta(minutes=14)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()
    yield
    cache.clear()


def holding(worker, count, **fields):
    """Let a worker hold running jobs under one claim."""
    claim = ClaimFactory(worker=worker, **fields)
    jobs = JobFactory.create_batch(count, running=True, claim_id=claim.pk)
    Claim.objects.filter(pk=claim.pk).update(job_ids=[job.pk for job in jobs])
    return jobs


def test_workers_are_listed_with_what_they_run(admin_client):
    WorkerFactory(name="web-1:1", version="1.4", queues=["mail", "reports"])
    first, second = holding("web-1:1", 2)
    WorkerFactory(name="web-2:2", beat_at=SILENT)
    text = shown(admin_client, PAGE)
    assert "1 worker alive, 1 silent" in text
    assert (
        "web-1:1 started 1 h ago · version 1.4 ● alive , 3 s ago mail, reports 2 / 4 "
        f"add #{first.pk} for 12 s add #{second.pk} for 12 s Quiet : web-1:1 Stop : web-1:1"
    ) in text
    assert "web-2:2 started 1 h ago ○ silent , 14 min ago all 0 / 4 – Forget : web-2:2" in text
    assert "is silent after 1 min without one" in text
    assert f'href="/admin/jobs/job/{first.pk}/change/"' in page(admin_client, PAGE)


def test_of_many_jobs_a_few_are_named(admin_client):
    WorkerFactory(name="web-1:1")
    holding("web-1:1", 8)
    assert "8 / 4" in shown(admin_client, PAGE)
    assert "and 3 more" in shown(admin_client, PAGE)


def test_workers_that_have_gone_are_listed_for_a_day_and_offer_nothing(admin_client):
    WorkerFactory(name="web-1:1", version="1.5")
    WorkerFactory(name="web-2:2", beat_at=SILENT)
    WorkerFactory(name="web-3:3", version="1.4", left_at=SILENT)
    text = shown(admin_client, PAGE)
    assert "1 worker alive, 1 silent, 1 gone" in text
    assert "web-3:3 started 1 h ago · version 1.4 ◌ gone, 14 min ago all 0 / 4 –" in text
    assert text.index("web-2:2") < text.index("web-3:3")
    assert "different versions" not in text
    [link] = re.findall(r'href="([^"]+)">web-3:3</a>', page(admin_client, PAGE))
    assert "gone, 14 min ago" in shown(admin_client, link)
    for verb in ("quiet", "stop", "forget"):
        [message] = press(admin_client, verb, PAGE, worker="web-3:3")
        assert "has gone" in message
    assert "web-3:3" not in shown(admin_client, "/admin/jobs/")


def test_of_many_workers_that_have_gone_the_last_are_listed(admin_client, monkeypatch):
    monkeypatch.setattr(workers, "MOST_GONE", 2)
    monkeypatch.setattr(workers, "MOST_WORKERS", 1)
    WorkerFactory(name="web-1:1")
    for minutes in (1, 2, 3):
        WorkerFactory(name=f"gone-{minutes}", left_at=NOON - timedelta(minutes=minutes))
    text = shown(admin_client, PAGE)
    assert "1 worker alive, 2 gone" in text
    assert "gone-3" not in text
    assert "There are more" not in text


def test_different_versions_are_told(admin_client):
    WorkerFactory.create_batch(2, version="1.4")
    assert "different versions" not in shown(admin_client, PAGE)
    WorkerFactory(version="1.5")
    WorkerFactory(version="1.3", beat_at=SILENT)
    assert "Living workers run different versions: 1.4 (2), 1.5 (1)." in shown(admin_client, PAGE)


def test_a_silent_worker_that_holds_jobs_offers_to_requeue_them(admin_client):
    WorkerFactory(name="web-1:4711", beat_at=SILENT)
    jobs = holding("web-1:4711", 2, expired=True)
    assert verbs(admin_client, PAGE) == ["requeue"]
    assert press(admin_client, "requeue", PAGE, worker="web-1:4711") == ["2 jobs requeued."]
    assert {job.state for job in Job.objects.filter(pk__in=[job.pk for job in jobs])} == {
        State.READY
    }
    assert verbs(admin_client, PAGE) == ["forget"]
    [message] = press(admin_client, "forget", PAGE, worker="web-1:4711")
    assert message == "The worker web-1:4711 is forgotten."
    [again] = press(admin_client, "forget", PAGE, worker="web-1:4711")
    assert again.startswith("No change: no worker on record is called")
    assert LogEntry.objects.count() == 2


def test_jobs_of_a_worker_without_a_row_can_be_requeued(admin_client):
    holding("gone:1", 1, expired=True)
    assert "gone:1 no longer on record ○ silent 1 add #" in shown(admin_client, PAGE)
    assert verbs(admin_client, PAGE) == ["requeue"]


def test_a_worker_is_told_to_be_quiet_to_go_on_and_to_stop(staff):
    client = staff("view_worker", "change_worker")
    row = WorkerFactory(name="web-1:1", boot="web-1-x")
    WorkerFactory(name="web-1:2", boot="web-1-x")
    [message] = press(client, "quiet", PAGE, worker="web-1:1")
    assert message.startswith("The worker web-1:1 is to be quiet. It hears of it")
    assert set(Worker.objects.values_list("wish", "wished_by")) == {("quiet", "ana")}
    assert "‖ told to be quiet by ana just now" in shown(client, PAGE)
    assert verbs(client, PAGE) == ["go-on", "stop"]
    press(client, "go-on", PAGE, worker="web-1:2")
    assert set(Worker.objects.values_list("wish", flat=True)) == {""}
    press(client, "stop", PAGE, worker="web-1:1")
    assert "■ told to stop by ana just now" in shown(client, PAGE)
    assert verbs(client, PAGE) == []
    entries = LogEntry.objects.order_by("pk")
    assert [(entry.object_repr, entry.get_change_message()) for entry in entries] == [
        ("web-1:1", "told to be quiet through the admin"),
        ("web-1:2", "told to go on through the admin"),
        ("web-1:1", "told to stop through the admin"),
    ]
    assert entries[0].object_id == str(row.pk)


@pytest.mark.parametrize(("verb", "later"), [("quiet", "quiet"), ("stop", "quiet")])
def test_who_tells_a_worker_second_hears_that_it_is_done(admin_client, verb, later):
    WorkerFactory(name="web-1:1")
    press(admin_client, verb, PAGE, worker="web-1:1")
    [message] = press(admin_client, later, PAGE, worker="web-1:1")
    assert message.startswith("No change: the worker web-1:1 was told so already, or is to stop")
    assert LogEntry.objects.count() == 1


def test_a_worker_that_lives_is_not_forgotten(admin_client):
    WorkerFactory(name="web-1:1")
    assert press(admin_client, "forget", PAGE, worker="web-1:1") == [
        'No change: the worker "web-1:1" lives'
    ]
    assert Worker.objects.exists()


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [([], []), (["change_worker"], ["forget", "quiet", "stop"]), (["change_job"], ["requeue"])],
)
def test_buttons_that_a_user_may_not_press_are_absent_and_refused(staff, granted, allowed):
    WorkerFactory(name="web-1:1")
    WorkerFactory(name="web-2:2", beat_at=SILENT)
    holding("web-3:3", 1, expired=True)
    client = staff("view_worker", *granted)
    assert verbs(client, PAGE) == allowed
    for verb in (
        {"quiet", "go-on", "stop", "forget", "requeue"}
        - set(allowed)
        - {"go-on" if "change_worker" in granted else ""}
    ):
        response = client.post(f"/admin/jobs/do/{verb}/", {"worker": "web-1:1"})
        assert response.status_code == 403
    assert not LogEntry.objects.exists()


def test_jobs_are_named_only_to_those_who_may_see_them(staff):
    WorkerFactory(name="web-1:1")
    [job] = holding("web-1:1", 1)
    text = shown(staff("view_worker"), PAGE)
    assert "1 / 4" in text
    assert f"#{job.pk}" not in text


@pytest.mark.parametrize("size", [1, 20])
def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    admin_client, django_assert_num_queries, size
):
    for number in range(size):
        WorkerFactory(name=f"w{number}")
        holding(f"w{number}", 2)
        holding(f"gone{number}", 1, expired=True)
    with django_assert_num_queries(3 + DJANGOS_QUERIES):
        page(admin_client, PAGE)


def test_of_very_many_workers_those_heard_of_last_are_shown(admin_client, monkeypatch):
    monkeypatch.setattr(workers, "MOST_WORKERS", 2)
    for minutes in (1, 2, 3):
        WorkerFactory(name=f"old-{minutes}", beat_at=NOON - timedelta(minutes=minutes))
    text = shown(admin_client, PAGE)
    assert "old-1" in text
    assert "old-3" not in text
    assert "There are more; those that were heard of last are shown." in text


def test_the_page_keeps_itself_fresh(admin_client, client, django_assert_num_queries):
    WorkerFactory(name="web-1:1")
    text = page(admin_client, PAGE)
    assert f'hx-get="{LIVE}"' in text
    assert 'data-interval="10"' in text
    assert 'id="jobs-workers" hx-swap-oob="true"' in page(admin_client, LIVE)
    with django_assert_num_queries(DJANGOS_QUERIES):
        page(admin_client, LIVE)
    press(admin_client, "quiet", PAGE, worker="web-1:1")
    assert "told to be quiet" in page(admin_client, LIVE)
    client.logout()
    response = client.get(LIVE)
    assert response["HX-Redirect"] == "/admin/login/?next=%2Fadmin%2Fjobs%2Fworker%2F"


def test_who_may_not_see_workers_is_refused(staff):
    client = staff("view_job")
    assert client.get(PAGE).status_code == client.get(LIVE).status_code == 403


def test_without_workers_the_page_says_how_to_start_one(admin_client):
    assert "No workers. Start one: python manage.py runworker" in shown(admin_client, PAGE)


def test_hostile_texts_are_never_markup(admin_client):
    WorkerFactory(name=HOSTILE, version=HOSTILE, queues=[HOSTILE], wish="quiet", wished_by=HOSTILE)
    WorkerFactory(version="1.0")
    holding(HOSTILE, 1)
    Job.objects.update(name=HOSTILE)
    text = page(admin_client, PAGE)
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;") > 6
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", text.partition("content-main")[2])


def test_the_dashboard_says_who_is_quiet(admin_client):
    WorkerFactory(wish="quiet")
    JobFactory()
    assert "told to be quiet" in page(admin_client, "/admin/jobs/")
