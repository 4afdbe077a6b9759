import re
from datetime import timedelta

import pytest
from django.urls import reverse

from django_jobs.admin.job import payload, runs
from django_jobs.batches import Flow
from django_jobs.enqueueing import enqueue
from django_jobs.models import Job, JobProgress, JobRun, JobStep, Wait
from django_jobs.reports import closeup
from django_jobs.states import RunOutcome, State, StepState
from django_jobs.subscriptions import FINISHED
from tests.conftest import NOON
from tests.dashboard.job_pages import PAYLOAD, address, raw, said, shown, steps_of
from tests.factories import (
    JobFactory,
    JobRunFactory,
    QueueFactory,
    WorkerFactory,
)
from tests.jobs import add, nothing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

DJANGO = 2
"""Session and user: what Django itself asks for a superuser."""

TRACE = """Traceback (most recent call last):
  File "/srv/shop/jobs.py", line 7, in send
    mail(user)
  File "/usr/lib/python3.11/smtplib.py", line 88, in sendmail
    raise gone
ConnectionError: 503 from partner"""


def tries(job, count, **fields):
    for number in range(1, count + 1):
        end = NOON - timedelta(seconds=100 - number)
        JobRunFactory(
            job=job,
            broken=True,
            attempt=number,
            outcome=RunOutcome.RETRIED,
            started_at=end - timedelta(seconds=0.5),
            finished_at=end,
            **fields,
        )


def test_the_page_says_what_the_job_is_and_how_it_stands(admin_client):
    job = JobFactory(failed=True, name="shop.jobs.send", queue="mail", priority=7)
    text = shown(admin_client, job)
    assert "✕ failed 10 s ago · shop.jobs.send" in text
    for fact in ("queue mail", "priority 7", "tries 4/4", "enqueued 2030-01-15 11:59:30 30 s ago"):
        assert fact in text
    assert f"<h1>send #{job.pk}</h1>" in raw(admin_client, job)


def test_a_job_that_does_not_run_says_why_and_one_that_has_ended_does_not_ask(admin_client):
    QueueFactory(name="mail", paused=True)
    text = shown(admin_client, JobFactory(queue="mail"))
    assert "Why is it not running?" in text
    assert 'The queue "mail" was paused by ana 5 min ago.' in text
    assert "python manage.py jobs resume mail" in text
    assert "Why is it not" not in shown(admin_client, JobFactory(successful=True))


def test_each_state_has_a_shape_and_a_word(admin_client):
    kinds = {"scheduled": "◔", "retrying": "▲", "waiting": "◇", "running": "●", "cancelled": "⊘"}
    for kind, mark in kinds.items():
        assert f"{mark} {kind}" in shown(admin_client, JobFactory(**{kind: True}))
    assert "○ ready" in shown(admin_client, JobFactory())
    asked = JobFactory(running=True, cancel_requested_at=NOON)
    assert "■ stopping" in shown(admin_client, asked)


def test_a_job_that_nobody_knows_any_more_says_so(admin_client):
    job = JobFactory(failed=True, name="shop.jobs.removed")
    text = shown(admin_client, job)
    assert "Nothing here is called “shop.jobs.removed”" in text
    assert "Retry" not in text
    assert "Duplicate" not in text


def test_what_has_happened_is_drawn_and_told_in_a_table(admin_client):
    job = JobFactory(failed=True, enqueued_at=NOON - timedelta(seconds=110))
    JobRun.objects.all().delete()
    tries(job, 2)
    text = shown(admin_client, job)
    for row in (
        "2030-01-15 11:58:10 enqueued, waited 10 s",
        "2030-01-15 11:58:20 try 1: failed, tried again 0.5 s",
        "2030-01-15 11:58:21 waited for the next try 0.5 s",
    ):
        assert row in text
    drawing = re.search(r"<svg class=\"job-timeline.*?</svg>", raw(admin_client, job), re.DOTALL)[0]
    assert drawing.count("<rect") == 5
    assert "try 2: failed, tried again" in drawing
    assert "style=" not in drawing
    assert all(0 <= float(x) <= 100 for x in re.findall(r'(?:x|width)="([\d.]+)%"', drawing))


def drawn(client, job):
    """Return the class of each bar of what has happened."""
    drawing = raw(client, job).partition('class="job-timeline"')[2].partition("</svg>")[0]
    return re.findall(r'<g class="job-span job-([\w -]+)"', drawing)


@pytest.mark.parametrize("outcome", ["failed", "cancelled", "successful"])
def test_while_a_job_was_over_it_did_not_wait(admin_client, outcome):
    again = NOON - timedelta(seconds=60)
    job = JobFactory(running=True, attempt=2, run_at=again, started_at=NOON - timedelta(seconds=5))
    tries(job, 1)
    job.runs.update(outcome=outcome)
    text = shown(admin_client, job)
    assert f"2030-01-15 11:58:21 {outcome}, until it was retried 39 s" in text
    assert "2030-01-15 11:59:00 waited 55 s" in text
    assert drawn(admin_client, job)[-3:] == ["gap", "wait", "run jobs-now"]


def test_a_job_that_was_retried_and_has_not_begun_waits_since_then(admin_client):
    job = JobFactory(attempt=1, run_at=NOON - timedelta(seconds=60))
    tries(job, 1)
    job.runs.update(outcome="failed")
    text = shown(admin_client, job)
    assert "2030-01-15 11:58:21 failed, until it was retried 39 s" in text
    assert "2030-01-15 11:59:00 waited 1 min so far" in text
    assert drawn(admin_client, job)[-2:] == ["gap", "wait jobs-now"]


def test_of_earlier_retries_nobody_knows_when_they_were(admin_client):
    job = JobFactory(failed=True, attempt=2, run_at=NOON - timedelta(seconds=300))
    JobRun.objects.all().delete()
    tries(job, 2)
    job.runs.update(outcome="failed")
    text = shown(admin_client, job)
    assert "2030-01-15 11:58:21 failed, until it was retried 0.5 s" in text
    assert drawn(admin_client, job).count("gap") == 1


def test_a_job_that_was_retried_and_cancelled_tells_both(admin_client):
    job = JobFactory(cancelled=True, run_at=NOON - timedelta(seconds=60), finished_at=NOON)
    JobRun.objects.all().delete()
    tries(job, 1)
    job.runs.update(outcome="failed")
    assert drawn(admin_client, job)[-2:] == ["gap", "wait"]
    Job.objects.update(run_at=NOON - timedelta(seconds=300))
    assert "until it was retried" not in shown(admin_client, job)


def test_the_newest_try_is_open_and_the_others_are_folded(admin_client):
    job = JobFactory(failed=True)
    JobRun.objects.all().delete()
    tries(job, 3, error_text="503 from partner\nsecond line")
    text = raw(admin_client, job)
    assert len(re.findall(r'<details class="job-run"', text)) == 3
    assert len(re.findall(r'<details class="job-run" open data-auto>', text)) == 1
    assert text.index("Try 3") < text.index("Try 2") < text.index("Try 1")
    assert "ConnectionError: 503 from partner" in text
    assert "second line" in text
    assert "on web-1:4711" in text


def test_of_very_many_tries_the_newest_are_shown(admin_client):
    job = JobFactory(failed=True)
    tries(job, 25)
    text = said(raw(admin_client, job))
    assert "Try 25" in text
    assert "Try 6:" in text
    assert "Try 5:" not in text
    assert "There are earlier tries that are not shown" in text


def test_the_version_of_a_worker_that_is_on_record_stands_beside_it(admin_client):
    WorkerFactory(name="web-1:4711", version="a1b2c3")
    assert "on web-1:4711 (a1b2c3)" in shown(admin_client, JobFactory(failed=True))


def test_the_projects_own_frames_come_first_and_all_are_there(admin_client):
    job = JobFactory(failed=True)
    JobRun.objects.update(traceback=TRACE)
    text = raw(admin_client, job)
    first, _, rest = text.partition("All frames")
    assert "/srv/shop/jobs.py" in first
    assert "smtplib" not in first
    assert "1 frame of a library" in first
    assert "smtplib" in rest


def test_others_of_the_same_error_are_counted_up_to_a_cap(admin_client, monkeypatch):
    job = JobFactory(failed=True, fingerprint="f1")
    JobRun.objects.update(fingerprint="f1")
    assert "no other job failed like this" in shown(admin_client, job)
    JobFactory.create_batch(4, failed=True, fingerprint="f1")
    assert "4 other jobs failed like this" in shown(admin_client, job)
    assert 'href="/admin/jobs/job/?q=fp%3Af1"' in raw(admin_client, job)
    monkeypatch.setattr(closeup, "ALIKE", 3)
    monkeypatch.setattr(runs, "ALIKE", 3)
    assert "3+ other jobs failed like this" in shown(admin_client, job)


def test_each_try_leads_to_the_jobs_of_its_own_error(admin_client):
    job = JobFactory(failed=True, fingerprint="f2")
    JobRun.objects.update(fingerprint="f1")
    JobRunFactory(job=job, broken=True, fingerprint="f2")
    JobFactory.create_batch(2, failed=True, fingerprint="f1")
    text = raw(admin_client, job)
    assert "no other job failed like this" in text
    assert '<a href="/admin/jobs/job/?q=fp%3Af1">2 other jobs failed like this</a>' in text
    Job.objects.filter(pk=job.pk).update(state=State.READY, finished_at=None)
    assert '<a href="/admin/jobs/job/?q=fp%3Af2">jobs that failed like this</a>' in raw(
        admin_client, job
    )


def test_payloads_need_a_permission_of_their_own(staff):
    client = staff("view_job")
    job = JobFactory(successful=True, args=["private note"], kwargs={"right": "private"})
    JobRunFactory(job=job, result="private result", log="private line")
    text = shown(client, job)
    assert "private" not in text
    assert 'add("•••", right="•••")' in text
    assert "hidden: to see them you need a permission" in text
    assert client.get(address(job, "download", "arguments")).status_code == 403


def test_with_that_permission_payloads_are_shown_but_no_secrets(staff):
    client = staff("view_job", PAYLOAD)
    job = JobFactory(
        successful=True, name="tests.jobs.charge", args=[7, "4111"], kwargs={"api_key": "k-12"}
    )
    JobRunFactory(job=job, result={"sent": 40, "token": "k-34"}, log="one line")
    text = shown(client, job)
    assert 'charge(7, "•••", api_key="•••")' in text
    assert '"customer": 7' in text
    assert '"sent": 40' in text
    assert "one line" in text
    run = JobRun.objects.latest("id")
    text += client.get(address(job, "download", f"result-{run.pk}")).content.decode()
    text += client.get(address(job, "download", "arguments")).content.decode()
    for secret in ("4111", "k-12", "k-34"):
        assert secret not in text


def test_only_the_last_lines_of_a_log_are_shown(admin_client):
    job = JobFactory(successful=True)
    lines = [f"line {number}." for number in range(1, 301)]
    JobRunFactory(job=job, log="\n".join(lines))
    text = shown(admin_client, job)
    assert "line 300." in text
    assert "line 101." in text
    assert "line 100." not in text
    assert "last 200 lines" in text


def test_long_values_are_folded_longer_ones_cut_and_the_rest_can_be_downloaded(
    admin_client, monkeypatch
):
    short, long = "s" * 100, "x" * 70_000
    job = JobFactory(successful=True, args=[short])
    assert f"/job/{job.pk}/download/" not in raw(admin_client, job)
    JobRun.objects.update(result=["y" * 5_000])
    text = raw(admin_client, job)
    assert "Show 5,008 characters" in text
    run = JobRun.objects.get()
    JobRun.objects.update(result=[long])
    text = raw(admin_client, job)
    assert "These are the first 65,536 of 70,008 characters." in text
    assert "x" * 66_000 not in text
    response = admin_client.get(address(job, "download", f"result-{run.pk}"))
    assert response.json() == [long]
    assert "attachment" in response["Content-Disposition"]
    monkeypatch.setattr(closeup, "LARGEST_RESULT", 1_000)
    assert "70,004 characters: too long to be shown here." in shown(admin_client, job)
    assert payload.SHOWN == 65_536


@pytest.mark.parametrize("what", ["original", "result-1", "result-x", "result-", "env", "result-²"])
def test_there_is_nothing_else_to_download(admin_client, what):
    job = JobFactory()
    assert admin_client.get(address(job, "download", what)).status_code == 404


def test_a_job_shows_its_progress_and_how_far_that_is(admin_client):
    job = JobFactory(running=True)
    JobProgress.objects.create(job_id=job.pk, done=3, total=9, note="mailing", updated_at=NOON)
    assert "3 / 9 · mailing" in shown(admin_client, job)
    assert '<progress value="0.3333" max="1"' in raw(admin_client, job)


@pytest.mark.parametrize("kind", ["successful", "failed", "cancelled", "retrying"])
def test_what_a_job_reported_before_its_run_ended_is_its_last_progress(admin_client, kind):
    job = JobFactory(**{kind: True})
    JobProgress.objects.create(job_id=job.pk, done=25, total=25, note="mailed", updated_at=NOON)
    text = shown(admin_client, job)
    assert "last progress 25 / 25 · mailed" in text
    assert "This try" not in text
    assert "<progress" not in raw(admin_client, job)


def test_the_progress_of_a_run_that_goes_on_is_not_the_last(admin_client):
    job = JobFactory(running=True)
    JobProgress.objects.create(job_id=job.pk, done=0, updated_at=NOON)
    text = shown(admin_client, job)
    assert "This try" in text
    assert "last progress" not in text


def test_texts_of_jobs_are_never_markup(admin_client):
    evil = "<script>alert(1)</script>"
    job = JobFactory(failed=True, args=[evil], queue="<b>", unique_key=evil)
    job.runs.update(error=evil, error_text=evil, traceback=evil, log=evil, worker=evil, result=evil)
    JobProgress.objects.create(job_id=job.pk, done=1, note=evil, updated_at=NOON)
    steps_of(job, f'"{evil}"')
    JobStep.objects.update(key=evil, error=evil, error_type="E")
    text = raw(admin_client, job)
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert") >= 9


def test_nothing_on_the_page_needs_a_loose_policy(admin_client):
    job = JobFactory(failed=True)
    steps_of(job, "1")
    text = raw(admin_client, job).partition('id="content-main"')[2]
    assert not re.search(
        r'\sstyle="|\son\w+="|<style|<script', text.partition("<!-- END Content")[0]
    )


def test_the_page_asks_little_and_no_more_with_more_rows(admin_client, django_assert_num_queries):
    def job_with(count):
        with Flow(nothing) as flow:
            for number in range(count):
                flow.enqueue(add, number)
        job = Job.objects.get(pk=flow.parent.id)
        Job.objects.filter(pk=job.pk).update(
            state=State.FAILED, finished_at=NOON, fingerprint="f", unique_key=f"k{count}"
        )
        tries(job, count, fingerprint="f")
        steps_of(job, *["1"] * count * 10)
        return job

    for count in (1, 20):
        job = job_with(count)
        with django_assert_num_queries(5 + DJANGO):
            raw(admin_client, job)


@pytest.mark.parametrize("kind", ["scheduled", "retrying", "waiting", "running", "ready", "silent"])
def test_a_job_that_lives_needs_seven_queries_at_most(
    admin_client, kind, django_assert_max_num_queries
):
    states = {"ready": {}, "silent": {"running": True, "silent": True}}
    with Flow(nothing) as flow:
        flow.enqueue(add, 1)
    job = JobFactory(**states.get(kind, {kind: True}), queue="mail", unique_key="k")
    Job.objects.filter(pk=flow.parent.id).delete()
    from django_jobs.models import Batch as Row

    Row.objects.update(parent_id=job.pk)
    tries(job, 3, fingerprint="f")
    steps_of(job, "1", None)
    JobStep.objects.filter(position=2).update(state=StepState.WAITING)
    Wait.objects.create(
        job_id=job.pk, key="step-002", event=FINISHED, fields="[]", digest="", since=NOON,
        child_id=JobFactory().pk,
    )  # fmt: skip
    with django_assert_max_num_queries(7 + DJANGO):
        raw(admin_client, job)


def test_a_job_that_is_not_there_is_told_as_django_does(admin_client):
    for key in ("999999", "9" * 30, "abc"):
        response = admin_client.get(f"/admin/jobs/job/{key}/change/", follow=True)
        assert response.redirect_chain
        assert "exist" in str(next(iter(response.context["messages"])))


def test_who_may_not_see_jobs_sees_none(staff):
    job = JobFactory()
    client = staff("view_queue")
    assert client.get(address(job, "change")).status_code == 403
    assert client.get(address(job, "download", "arguments")).status_code == 403


def test_breadcrumbs_lead_back_and_the_page_of_another_site_stays_there(admin_client):
    job = JobFactory()
    text = raw(admin_client, job)
    assert 'href="/admin/jobs/job/"' in text
    assert enqueue(nothing).url == reverse("admin:django_jobs_job_change", args=[job.pk + 1])
