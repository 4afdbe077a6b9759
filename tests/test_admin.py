import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections
from django.urls import reverse

from django_jobs.admin.job_list import page as job_list
from django_jobs.admin.jobs import JobAdmin
from django_jobs.models import Job
from django_jobs.searching import surveying
from django_jobs.states import State
from tests.conftest import NOON
from tests.factories import JobFactory, QueueFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

LIST = "admin:django_jobs_job_changelist"
MODELS = ["job", "jobrun", "queue", "worker"]


def page(client, name, *args, **data):
    """Return the text of a page."""
    response = client.get(reverse(name, args=args), data)
    assert response.status_code == 200
    return response.content.decode()


def act(client, action, *rows, model="job"):
    """Do an action on rows; return the messages that it left."""
    response = client.post(
        reverse(f"admin:django_jobs_{model}_changelist"),
        {"action": action, "_selected_action": [row.pk for row in rows]},
        follow=True,
    )
    return [str(message) for message in response.context["messages"]]


@pytest.mark.parametrize("model", MODELS)
def test_every_list_and_every_page_opens(admin_client, model):
    job = JobFactory(failed=True)
    rows = {
        "job": job,
        "jobrun": job.runs.get(),
        "queue": QueueFactory(paused=True),
        "worker": WorkerFactory(),
    }
    text = page(admin_client, f"admin:django_jobs_{model}_changelist")
    assert str(rows[model].pk) in text
    page(admin_client, f"admin:django_jobs_{model}_change", rows[model].pk)


@pytest.mark.parametrize("model", MODELS)
def test_without_the_permission_to_view_nothing_opens(staff, model):
    client = staff()
    response = client.get(reverse(f"admin:django_jobs_{model}_changelist"))
    assert response.status_code == 403


@pytest.mark.parametrize("model", MODELS)
def test_nobody_adds_edits_or_deletes_a_row_by_hand(admin_client, model):
    add = admin_client.get(reverse(f"admin:django_jobs_{model}_add"))
    assert add.status_code == 403
    JobFactory()
    text = page(admin_client, f"admin:django_jobs_{model}_changelist")
    assert "delete_selected" not in text
    job = JobFactory()
    change = reverse("admin:django_jobs_job_change", args=[job.pk])
    assert admin_client.post(change, {"name": "evil"}).status_code == 403
    assert Job.objects.get(pk=job.pk).name == job.name


def test_the_list_tells_what_happened_and_why(admin_client):
    job = JobFactory(failed=True, name="shop.jobs.deliver_webhook", queue="hooks")
    text = page(admin_client, LIST)
    for shown in (f"deliver_webhook #{job.pk}", "failed", "hooks", "4/4", "10 s ago"):
        assert shown in text
    assert "ConnectionError: 503 from partner" in text


def test_the_list_needs_as_many_queries_for_many_jobs_as_for_one(
    admin_client, django_assert_max_num_queries
):
    JobFactory.create_batch(30, failed=True)
    with django_assert_max_num_queries(8):
        page(admin_client, LIST)


def test_the_list_of_runs_needs_few_queries_too(admin_client, django_assert_max_num_queries):
    JobFactory.create_batch(30, failed=True)
    with django_assert_max_num_queries(7):
        page(admin_client, "admin:django_jobs_jobrun_changelist")


def test_counting_stops_at_the_cap(admin_client, monkeypatch):
    monkeypatch.setattr(surveying, "CAP", 3)
    JobFactory.create_batch(5)
    assert "<strong>3+</strong>" in page(admin_client, LIST)


@pytest.mark.parametrize("filters", [{"state": "FAILED"}, {"queue": "mail"}])
def test_the_list_is_filtered_by_state_and_queue(admin_client, filters):
    wanted = JobFactory(failed=True, queue="mail")
    other = JobFactory(name="tests.jobs.other")
    QueueFactory(name="mail")
    text = page(admin_client, LIST, **filters)
    assert f"add #{wanted.pk}" in text
    assert f"other #{other.pk}" not in text


@pytest.mark.parametrize("term", ["{pk}", "#{pk}", "webhook"])
def test_a_job_is_found_by_number_and_by_name(admin_client, term):
    wanted = JobFactory(name="shop.jobs.deliver_webhook")
    other = JobFactory()
    text = page(admin_client, LIST, q=term.format(pk=wanted.pk))
    assert f"deliver_webhook #{wanted.pk}" in text
    assert f"add #{other.pk}" not in text


@pytest.mark.parametrize("term", ["9" * 30, "²", "'; drop", "%"])
def test_odd_search_terms_find_nothing_and_break_nothing(admin_client, term):
    job = JobFactory()
    assert f"add #{job.pk}" not in page(admin_client, LIST, q=term)


def test_texts_of_jobs_are_never_markup(admin_client):
    job = JobFactory(failed=True, args=["<script>alert(1)</script>"], queue="<b>")
    job.runs.update(error="<script>")
    text = page(admin_client, LIST)
    assert "<script>alert" not in text
    assert ": <script>" not in text
    assert "&lt;script&gt;" in text


def test_failed_jobs_are_retried_and_the_log_says_by_whom(staff):
    client = staff("view_job", "change_job")
    rows = JobFactory.create_batch(2, failed=True)
    assert act(client, "retry_jobs", *rows) == ["2 jobs retried."]
    assert {job.state for job in Job.objects.all()} == {State.READY}
    entries = LogEntry.objects.all()
    assert {entry.user.username for entry in entries} == {"ana"}
    assert {entry.object_id for entry in entries} == {str(job.pk) for job in rows}
    assert {entry.get_change_message() for entry in entries} == {"retried through the admin"}


def test_what_was_refused_is_told_with_the_reason(admin_client):
    ready = JobFactory()
    assert act(admin_client, "retry_jobs", ready) == [
        f"1 job not retried. #{ready.pk}: it is ready; only a finished job can be retried."
    ]
    assert not LogEntry.objects.exists()


def test_of_many_refusals_a_few_are_shown(admin_client):
    rows = JobFactory.create_batch(8)
    [message] = act(admin_client, "retry_jobs", *rows)
    assert message.startswith("8 jobs not retried.")
    assert message.endswith("And 3 more.")


def test_jobs_are_cancelled_or_asked_to_stop(admin_client):
    waiting, running = JobFactory(scheduled=True), JobFactory(running=True)
    assert act(admin_client, "cancel_jobs", waiting, running) == [
        "1 job cancelled.",
        "1 job asked to stop; running jobs end by themselves.",
    ]


def test_too_many_jobs_at_once_are_refused(admin_client, monkeypatch):
    monkeypatch.setattr(job_list, "MOST_AT_ONCE", 2)
    rows = JobFactory.create_batch(3, failed=True)
    [message] = act(admin_client, "retry_jobs", *rows)
    assert message.startswith("At most 2 jobs at once; nothing was changed.")
    assert {job.state for job in Job.objects.all()} == {State.FAILED}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("action", ["retry_jobs", "cancel_jobs"])
def test_an_action_keeps_no_row_locked_until_the_page_is_drawn(admin_client, monkeypatch, action):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    seen = []
    tell = JobAdmin._tell

    def look(self, *args):
        seen.append(connections["default"].in_atomic_block)
        return tell(self, *args)

    monkeypatch.setattr(JobAdmin, "_tell", look)
    act(admin_client, action, JobFactory())
    assert seen == [False]


@pytest.mark.parametrize("action", ["retry_jobs", "cancel_jobs"])
def test_those_who_may_only_look_cannot_act(staff, action):
    client = staff("view_job")
    failed, ready = JobFactory(failed=True), JobFactory()
    assert action not in page(client, LIST)
    act(client, action, failed, ready)
    assert {job.state for job in Job.objects.all()} == {State.FAILED, State.READY}


def test_a_worker_shows_whether_it_is_silent(admin_client):
    alive = WorkerFactory(name="web-1:1")
    silent = WorkerFactory(name="web-2:2", beat_at=NOON.replace(hour=11), wish="quiet")
    name = "admin:django_jobs_worker_change"
    assert "3 s ago" in page(admin_client, name, alive.pk)
    text = page(admin_client, name, silent.pk)
    assert "silent, 1 h ago" in text
    assert "quiet" in text
