import re
from urllib.parse import quote

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.test import Client

from django_jobs import operations
from django_jobs.batches import Batch, Flow
from django_jobs.models import BatchJob, Job, JobRun, JobStep, Wait
from django_jobs.states import State
from django_jobs.subscriptions import FINISHED, Match
from tests.conftest import NOON
from tests.dashboard.job_pages import address, raw, said, steps_of
from tests.factories import JobFactory, JobRunFactory, ScheduleFactory, TickFactory
from tests.jobs import add, nothing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

LIST = "/admin/jobs/job/"


def asked(client, job):
    return said(raw(client, job, "delete"))


def confirm(client, job, **data):
    """Press the button of the question; return the messages, and where it led."""
    as_of = re.search(r'name="as_of" value="([^"]*)"', raw(client, job, "delete"))[1]
    return send(client, job, **{"as_of": as_of, **data})


def send(client, job, **data):
    response = client.post(address(job, "delete"), data, follow=True)
    assert response.status_code == 200
    told = [str(message) for message in response.context["messages"]]
    return told, response.redirect_chain[-1][0]


def end(job_id, state=State.FAILED):
    Job.objects.filter(pk=job_id).update(state=state, finished_at=NOON, waiting_for=None)
    return Job.objects.get(pk=job_id)


@pytest.mark.parametrize("kind", ["failed", "successful", "cancelled"])
def test_a_job_that_has_ended_is_deleted_with_all_that_is_on_record_of_it(staff, kind):
    client = staff("view_job", "delete_job")
    job, other = JobFactory(**{kind: True}), JobFactory(failed=True)
    steps_of(job, "1", "2")
    JobRunFactory(job=job)
    runs = JobRun.objects.filter(job=job).count()
    text = asked(client, job)
    assert f"Delete {job}?" in text
    assert f"{runs} {'try' if runs == 1 else 'tries'}, with" in text
    assert "2 steps, with their results" in text
    told, target = confirm(client, job)
    assert (told, target) == ([f"Job #{job.pk} was deleted."], LIST)
    assert list(Job.objects.all()) == [other]
    assert not JobRun.objects.filter(job=job.pk).exists()
    assert not JobStep.objects.exists()
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id, entry.action_flag, entry.object_repr) == (
        "ana", str(job.pk), DELETION, str(job),
    )  # fmt: skip
    assert entry.get_change_message() == "deleted through the admin"


def test_asking_deletes_nothing(admin_client):
    job = JobFactory(failed=True)
    raw(admin_client, job, "delete")
    assert Job.objects.count() == 1
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("kind", ["scheduled", "waiting", "running"])
def test_a_job_that_has_not_ended_has_no_button_and_is_refused(admin_client, kind):
    job = JobFactory(**{kind: True})
    assert address(job, "delete") not in raw(admin_client, job)
    response = admin_client.get(address(job, "delete"), follow=True)
    [message] = map(str, response.context["messages"])
    assert f"Job #{job.pk} is unchanged: it is {kind}; only a finished" in message
    told, target = send(admin_client, job, as_of=NOON.isoformat())
    assert "only a finished job can be deleted" in told[0]
    assert target == address(job, "change")
    assert Job.objects.count() == 1
    assert not LogEntry.objects.exists()


def test_who_may_not_delete_jobs_sees_no_button_and_is_refused(staff):
    client = staff("view_job", "change_job", "add_job")
    job = JobFactory(failed=True)
    assert address(job, "delete") not in raw(client, job)
    assert client.get(address(job, "delete")).status_code == 403
    assert client.post(address(job, "delete"), {"as_of": NOON.isoformat()}).status_code == 403
    assert Job.objects.count() == 1


def test_who_may_delete_but_not_see_jobs_is_refused(staff):
    client = staff("delete_job")
    job = JobFactory(failed=True)
    assert client.get(address(job, "delete")).status_code == 403
    assert client.post(address(job, "delete")).status_code == 403


def test_the_button_stands_on_the_page_for_who_may_delete(staff):
    job = JobFactory(failed=True)
    page = raw(staff("view_job", "delete_job"), job)
    assert f'<a class="jobs-button" href="{address(job, "delete")}">Delete…</a>' in page


def test_who_comes_second_is_told(admin_client):
    job = JobFactory(failed=True)
    as_of = job.finished_at.isoformat()
    send(admin_client, job, as_of=as_of)
    told, target = send(admin_client, job, as_of=as_of)
    assert told == [f"Job #{job.pk} is unchanged: there is no such job; it may have been pruned."]
    assert target == LIST
    assert LogEntry.objects.count() == 1
    response = admin_client.get(address(job, "delete"), follow=True)
    assert response.redirect_chain[-1][0] == LIST
    assert "there is no such job" in str(next(iter(response.context["messages"])))


def test_a_job_that_was_retried_meanwhile_stays(admin_client):
    job = JobFactory(failed=True)
    as_of = job.finished_at.isoformat()
    operations.retry([job.pk])
    told, target = send(admin_client, job, as_of=as_of)
    assert "it is ready; only a finished job can be deleted" in told[0]
    assert target == address(job, "change")


def test_a_job_that_has_run_again_meanwhile_stays(admin_client):
    job = JobFactory(failed=True)
    told, _ = send(admin_client, job, as_of=(NOON.replace(year=2029)).isoformat())
    assert told == [f"Job #{job.pk} is unchanged: it has run again since you were asked."]
    assert Job.objects.count() == 1


@pytest.mark.parametrize("as_of", ["", "yesterday", "2030-13-45T00:00:00Z", "2030-01-15T12:00:00"])
def test_a_broken_request_does_nothing(admin_client, as_of):
    job = JobFactory(failed=True)
    told, _ = send(admin_client, job, as_of=as_of)
    assert told == ["Nothing was done: the request was incomplete. Load the page anew."]
    assert Job.objects.count() == 1


@pytest.mark.parametrize("number", ["0", "x", "9" * 30, "-1", "٣"])
def test_the_number_of_no_job_is_told(admin_client, number):
    response = admin_client.get(f"/admin/jobs/job/{number}/delete/", follow=True)
    assert response.redirect_chain[-1][0] == LIST
    assert "there is no such job" in str(next(iter(response.context["messages"])))


def test_without_its_token_a_request_is_refused(admin_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    job = JobFactory(failed=True)
    data = {"as_of": job.finished_at.isoformat()}
    assert client.post(address(job, "delete"), data).status_code == 403
    assert Job.objects.count() == 1


def test_the_search_from_which_one_came_is_shown_again(admin_client):
    job = JobFactory(failed=True)
    kept = "_changelist_filters=" + quote("q=state:failed")
    page = admin_client.get(f"{address(job, 'change')}?{kept}").content.decode()
    found = re.search(r'href="([^"]*/delete/\?[^"]*)"', page)[1]
    data = {"as_of": job.finished_at.isoformat()}
    assert admin_client.post(found, data).url == f"{LIST}?{quote('q=state:failed', safe='=')}"


def test_of_a_child_the_parent_that_waits_loses_the_result_and_the_batch_keeps_its_count(
    admin_client,
):
    with Flow(nothing) as flow:
        handle = flow.enqueue(add, 1)
        flow.enqueue(add, 2)
    child = end(handle.id, State.SUCCESSFUL)
    text = asked(admin_client, child)
    assert f"Job #{flow.parent.id}, which waits for it, has not ended" in text
    assert "Its batch still counts it" in text
    confirm(admin_client, child)
    assert BatchJob.objects.filter(job_id=child.pk).exists()
    end(flow.parent.id)
    other = end(BatchJob.objects.exclude(job_id=child.pk).get().job_id)
    assert "has not ended" not in asked(admin_client, other)


def test_of_an_invoked_job_the_one_that_waits_is_named(admin_client):
    job, waits = JobFactory(successful=True), JobFactory(waiting=True)
    match = Match.of([("job_id", job.pk)])
    Wait.objects.create(
        job_id=waits.pk, key="pay", event=FINISHED, fields=match.fields, digest=match.digest,
        child_id=job.pk, since=NOON,
    )  # fmt: skip
    assert f"Job #{waits.pk}, which waits for it, has not ended" in asked(admin_client, job)


def test_the_children_of_a_parent_stay(admin_client):
    with Flow(nothing) as flow:
        child = flow.enqueue(add, 1)
    parent = end(flow.parent.id)
    assert "Its children are jobs of their own: they stay" in asked(admin_client, parent)
    confirm(admin_client, parent)
    left = Job.objects.get()
    assert left.pk == child.id
    assert f"parent, waits for this job #{parent.pk}" in said(raw(admin_client, left))


def test_batch_and_schedule_keep_how_it_ended(admin_client):
    with Batch("album 7") as batch:
        handle = batch.enqueue(nothing)
    schedule = ScheduleFactory()
    Job.objects.update(schedule_id=schedule.pk, planned_at=NOON)
    tick = TickFactory(schedule=schedule, job_id=handle.id)
    job = end(handle.id)
    text = asked(admin_client, job)
    assert "Its batch still counts it" in text
    assert "Its schedule still knows how it has ended." in text
    confirm(admin_client, job)
    tick.refresh_from_db()
    assert tick.job_state == State.FAILED
    assert batch.id


def test_hostile_names_are_harmless(admin_client):
    job = JobFactory(failed=True, name="x.<script>alert(1)</script>")
    page = raw(admin_client, job, "delete")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    told, _ = confirm(admin_client, job)
    assert told == [f"Job #{job.pk} was deleted."]


def test_what_is_asked_of_the_database_does_not_grow(admin_client, django_assert_num_queries):
    few, many = JobFactory(failed=True), JobFactory(failed=True)
    steps_of(many, *map(str, range(60)))
    for _ in range(60):
        JobRunFactory(job=many)
    for job in (few, many):
        with django_assert_num_queries(2 + 2):  # session and user; ours
            raw(admin_client, job, "delete")
