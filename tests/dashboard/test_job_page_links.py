import html
import re

import pytest

from django_jobs import registry
from django_jobs.batches import Batch, Flow
from django_jobs.models import Event, Job, JobRun, Wait
from django_jobs.subscriptions import FINISHED, Match
from tests.conftest import NOON
from tests.dashboard.job_pages import raw, shown
from tests.factories import JobFactory, ScheduleFactory
from tests.jobs import add, nothing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def test_a_job_leads_to_its_schedule_batch_parent_and_rival(staff):
    client = staff("view_job", "view_schedule", "view_batch")
    schedule = ScheduleFactory(name="nightly")
    with Batch("album 7") as batch:
        handle = batch.enqueue(nothing)
    Job.objects.update(schedule_id=schedule.pk, planned_at=NOON, unique_key="k", state="FAILED",
                       finished_at=NOON)  # fmt: skip
    rival = JobFactory(unique_key="k")
    match = Match.of([("job_id", handle.id)])
    Wait.objects.create(
        job_id=4711, key="pay", event=FINISHED, fields=match.fields, digest=match.digest,
        child_id=handle.id, since=NOON,
    )  # fmt: skip
    job = Job.objects.get(pk=handle.id)
    text = shown(client, job)
    assert "enqueued by schedule nightly" in text
    for link in ("schedule nightly planned for 2030-01-15 12:00:00", f"batch #{batch.id}",
                 f"live job with its unique key #{rival.pk}", "parent, invoked this job #4711"):  # fmt: skip
        assert link in text
    page = raw(client, job)
    assert f'href="/admin/jobs/schedule/{schedule.pk}/change/"' in page
    assert f'href="/admin/jobs/batch/{batch.id}/change/"' in page


def test_a_job_says_who_enqueued_it_and_leads_to_what_the_same_one_has_enqueued(staff):
    client = staff("view_job")
    origin = "view=shop:checkout request=7f3a user=ana"
    job, again = JobFactory(enqueued_by=origin), JobFactory(enqueued_by=origin)
    JobFactory(enqueued_by="view=shop:checkout request=88 user=ana")
    assert "enqueued by shop:checkout, request 7f3a, user ana" in shown(client, job)
    [link] = re.findall(r'href="(/admin/jobs/job/\?q=by[^"]+)"', raw(client, job))
    found = client.get(html.unescape(link)).content.decode()
    numbers = set(re.findall(r"/admin/jobs/job/(\d+)/change/", found))
    assert numbers == {str(job.pk), str(again.pk)}


def test_who_ran_a_schedule_by_hand_is_named_beside_it(admin_client):
    schedule = ScheduleFactory(name="nightly")
    job = JobFactory(schedule_id=schedule.pk, enqueued_by="ana")
    assert "enqueued by ana, schedule nightly" in shown(admin_client, job)


@pytest.mark.parametrize("origin", ["view=x request=7 user=%s", "%s", "request=%s", "view=%s"])
def test_a_hostile_origin_is_shown_as_the_text_that_it_is(admin_client, origin):
    hostile = "</dd><script>alert(1)</script>\"'&"
    job = JobFactory(enqueued_by=origin % hostile)
    page = raw(admin_client, job)
    assert "<script>alert" not in page
    assert "</dd><script>" not in page
    assert hostile in html.unescape(page)
    assert (
        admin_client.get("/admin/jobs/job/", {"q": f'by:"{origin % "</dd><script>"}"'}).status_code
        == 200
    )


def test_what_the_user_may_not_see_is_named_without_a_link(staff):
    client = staff("view_job")
    schedule = ScheduleFactory(name="nightly")
    job = JobFactory(schedule_id=schedule.pk)
    assert "schedule nightly" in shown(client, job)
    assert "/admin/jobs/schedule/" not in raw(client, job).partition('id="content-main"')[2]


def test_a_flow_leads_to_its_children_and_they_to_it(admin_client):
    with Flow(nothing) as flow:
        children = [flow.enqueue(add, number) for number in range(25)]
    parent = Job.objects.get(pk=flow.parent.id)
    text = shown(admin_client, parent)
    assert "Children 0 of 25 have ended" in text
    assert f"add #{children[19].id} not ended" in text
    assert f"add #{children[20].id}" not in text
    assert "There are more." in text
    child = Job.objects.get(pk=children[0].id)
    assert f"parent, waits for this job #{parent.pk}" in shown(admin_client, child)


def test_a_job_leads_to_the_event_that_started_it(admin_client):
    from django_jobs import job as declare
    from django_jobs.subscriptions import Event as Said

    @declare(on="order/paid", name="tests.page.ship")
    def ship(event: Said) -> None: ...

    sent = Event.objects.create(name="order/paid", sent_at=NOON)
    made = JobFactory(
        name="tests.page.ship", args=[Said("order/paid", {}, sent.pk, NOON).as_json()]
    )
    assert registry.find("tests.page.ship") is ship
    assert "enqueued by an event" in shown(admin_client, made)
    assert f'href="/admin/jobs/event/{sent.pk}/change/"' in raw(admin_client, made)


def test_the_reason_leads_to_the_job_that_it_is_about(admin_client):
    with Flow(nothing) as flow:
        child = flow.enqueue(add, 1)
    parent = Job.objects.get(pk=flow.parent.id)
    why = raw(admin_client, parent).partition("Why is it not running?")[2].partition("</div>")[0]
    assert f'href="/admin/jobs/job/{child.id}/change/"' in why


def test_links_to_other_tools_are_made_of_templates_and_harmless(admin_client, settings):
    settings.DJANGO_JOBS = {
        "ADMIN_LINKS": {
            "<Logs>": "https://logs.example.com/?q=job%3A{job_id}&in={queue}",
            "Errors": "https://errors.example.com/{error_type}?host={worker}",
        }
    }
    job = JobFactory(failed=True, queue='"><script>alert(1)</script>')
    JobRun.objects.update(worker="javascript:alert(1)//&x=1")
    text = raw(admin_client, job)
    assert f'href="https://logs.example.com/?q=job%3A{job.pk}&amp;in=%22%3E%3Cscript' in text
    assert "&lt;Logs&gt;" in text
    errors = 'href="https://errors.example.com/ConnectionError?host=javascript%3Aalert%281%29%2F%2F%26x%3D1"'
    assert errors in text
    assert "<script>alert" not in text


def test_the_row_it_is_about_leads_to_all_jobs_about_it(admin_client):
    job = JobFactory(about="shop.order:17")
    link = '<a href="/admin/jobs/job/?q=about%3Ashop.order%3A17">shop.order:17</a>'
    assert link in raw(admin_client, job)
