"""The nightly report: one row and one mail per planned time, whatever is run twice or killed."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import IntegrityError, transaction

from django_jobs import JobContext, operations, schedules
from django_jobs.models import Job, JobRun, Tick
from django_jobs.testing import run_jobs
from example_project.shop import jobs, mail
from example_project.shop.models import (
    Campaign,
    Customer,
    CustomerImport,
    DayFigures,
    Delivery,
    NightlyReport,
    Partner,
    SentMail,
)
from example_project.shop.nightly import figures, writing
from tests.conftest import NOON
from tests.factories import JobFactory

pytestmark = pytest.mark.usefixtures("clocks", "schedules_of_the_shop")

NIGHTLY = jobs.nightly_report.name
TWO = datetime(2030, 1, 16, 1, tzinfo=UTC)
"""The first planned time after noon: two in the night in Paris."""


class Killed(BaseException):
    """What no job catches."""


@pytest.fixture
def killed_before_the_mail(monkeypatch):
    """Kill whoever wants to mail, until the monkeypatch is undone."""

    def kill(report):
        raise Killed

    monkeypatch.setattr(mail, "send_report", kill)
    return monkeypatch


def report_for(planned_at, job_id=None):
    return jobs.nightly_report(JobContext("nightly", planned_at=planned_at, job_id=job_id))


def results():
    return list(JobRun.objects.order_by("pk").values_list("result", flat=True))


def mailed_to_ada(at):
    campaign = Campaign.objects.create(name="Spring", subject="Hello", body="")
    ada = Customer.objects.get(email="ada@example.com")
    sent = SentMail.objects.create(campaign=campaign, customer=ada)
    SentMail.objects.filter(pk=sent.pk).update(sent_at=at)


def test_at_two_in_the_night_the_owner_gets_the_report_of_the_day(provider, clocks):
    mailed_to_ada(NOON)
    clocks.advance(TWO - NOON)
    run_jobs(schedules=True, raise_errors=True)
    report = NightlyReport.objects.get()
    assert (report.planned_at, report.until, report.mails) == (TWO, TWO, 1)
    assert report.since == TWO - timedelta(days=1)
    assert (report.mailed_at, report.message_id) == (TWO, "0")
    (sent,) = provider
    assert (sent.subject, sent.to) == (
        "Nightly report 2030-01-16",
        ["The owner <owner@example.com>"],
    )
    assert "1 mail sent" in sent.body
    assert "from 15 January 2030, 02:00 CET to 16 January 2030, 02:00 CET" in sent.body


def test_run_twice_for_one_planned_time_it_writes_one_report_and_mails_once(provider, clocks):
    clocks.advance(TWO - NOON)
    run_jobs(schedules=True)
    job = Job.objects.get(name=NIGHTLY)
    assert operations.retry([job.pk]).done
    run_jobs(raise_errors=True)
    assert NightlyReport.objects.count() == len(provider) == 1
    assert results()[-1] == "Nightly report 2030-01-16 was mailed before"


def test_two_jobs_for_one_planned_time_write_one_report_and_mail_once(provider):
    assert report_for(TWO, job_id=1) == "Nightly report 2030-01-16 mailed to the owner"
    assert report_for(TWO, job_id=2) == "Nightly report 2030-01-16 was mailed before"
    assert NightlyReport.objects.count() == len(provider) == 1


@pytest.mark.parametrize("second", [1, 2], ids=["the same job", "another job"])
def test_killed_between_the_row_and_the_mail_it_mails_when_it_runs_again(
    provider, killed_before_the_mail, second
):
    with pytest.raises(Killed):
        report_for(TWO, job_id=1)
    assert NightlyReport.objects.get().mailed_at is None
    assert not provider
    killed_before_the_mail.undo()
    report_for(TWO, job_id=second)
    assert NightlyReport.objects.get().mailed_at
    assert len(provider) == 1


def test_killed_after_the_mail_it_mails_the_same_message_again(provider, monkeypatch):
    def kill(report, message_id):
        raise Killed

    monkeypatch.setattr(writing, "note_mail", kill)
    with pytest.raises(Killed):
        report_for(TWO, job_id=1)
    monkeypatch.undo()
    report_for(TWO, job_id=1)
    first, second = (one.extra_headers["Message-ID"] for one in provider)
    assert first == second
    assert NightlyReport.objects.count() == 1


def test_a_report_that_is_written_while_another_job_counts_is_that_jobs(
    provider, monkeypatch, frozen_clock
):
    rival = JobFactory(running=True)
    counted = figures.count

    def count_and_be_late(since, until):
        NightlyReport.objects.create(
            planned_at=TWO, day=date(2030, 1, 16), since=since, until=until, job_id=rival.pk
        )
        return counted(since, until)

    monkeypatch.setattr(figures, "count", count_and_be_late)
    said = report_for(TWO, job_id=rival.pk + 1)
    assert said == f"Nightly report 2030-01-16 is mailed by job #{rival.pk}"
    assert NightlyReport.objects.count() == 1
    assert not provider


def test_while_a_job_waits_for_its_next_attempt_no_other_one_mails(
    provider, answer_with, busy, clocks
):
    answer_with("owner@example.com", busy)
    first = schedules.run_now(NIGHTLY)
    run_jobs()
    schedules.run_now(NIGHTLY)
    run_jobs()
    assert results()[-1] == f"Nightly report 2030-01-15 is mailed by job #{first}"
    answer_with("owner@example.com", None)
    provider.clear()
    clocks.advance(timedelta(seconds=10))
    run_jobs()
    assert results()[-1] == "Nightly report 2030-01-15 mailed to the owner"
    assert NightlyReport.objects.count() == len(provider) == 1


def test_when_a_job_was_given_up_the_next_one_mails_its_report(provider, refuse, answer_with):
    refuse("owner@example.com")
    schedules.run_now(NIGHTLY)
    run_jobs()
    assert Job.objects.get().state == "FAILED"
    answer_with("owner@example.com", None)
    provider.clear()
    second = schedules.run_now(NIGHTLY)
    run_jobs(raise_errors=True)
    report = NightlyReport.objects.get()
    assert (report.job_id, len(provider)) == (second, 1)


def test_two_jobs_that_take_over_at_once_are_not_both_let(shop):
    since = figures.day_before(TWO)
    report = NightlyReport.objects.create(
        planned_at=TWO, day=date(2030, 1, 16), since=since, until=TWO, job_id=1
    )
    assert writing.may_mail(report, 2)
    assert not writing.may_mail(report, 3)  # it looked before the other one took over


def test_by_hand_there_is_one_report_per_day_beside_that_of_the_night(provider, clocks):
    for _ in range(2):
        schedules.run_now(NIGHTLY)
    run_jobs(raise_errors=True)
    assert NightlyReport.objects.count() == len(provider) == 1
    clocks.advance(TWO - NOON)
    run_jobs(schedules=True)
    schedules.run_now(NIGHTLY)
    run_jobs(raise_errors=True)
    made = NightlyReport.objects.order_by("pk").values_list("day", "planned_at")
    today, tomorrow = date(2030, 1, 15), date(2030, 1, 16)
    assert list(made) == [(today, None), (tomorrow, TWO), (tomorrow, None)]


def test_a_report_by_hand_is_of_the_moment_it_was_started_also_after_midnight(
    provider, answer_with, busy, clocks
):
    clocks.advance(timedelta(hours=10, minutes=59, seconds=59))
    started = clocks.now()
    answer_with("owner@example.com", busy)
    schedules.run_now(NIGHTLY)
    run_jobs()
    answer_with("owner@example.com", None)
    clocks.advance(timedelta(seconds=10))
    run_jobs(raise_errors=True)
    report = NightlyReport.objects.get()
    assert (report.until, report.day) == (started, date(2030, 1, 15))
    assert figures.day_of(clocks.now()) == date(2030, 1, 16)


@pytest.mark.parametrize("planned_at", [TWO, None])
def test_the_database_refuses_a_second_report(db, planned_at):
    row = {"planned_at": planned_at, "day": date(2030, 1, 16), "since": NOON, "until": TWO}
    NightlyReport.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        NightlyReport.objects.create(**row)


def test_backfilled_nights_get_a_report_each(provider, clocks):
    clocks.advance(timedelta(days=3))
    schedules.backfill(NIGHTLY, TWO, clocks.now())
    run_jobs(raise_errors=True)
    days = NightlyReport.objects.order_by("day").values_list("day", flat=True)
    assert [day.day for day in days] == [16, 17, 18]


@pytest.mark.parametrize(
    ("month", "hours", "subject", "until"),
    [
        (3, {23, 24}, "Nightly report 2030-03-31", "to 31 March 2030, 03:00 CEST:"),
        (10, {24, 25}, "Nightly report 2030-10-27", "to 27 October 2030, 02:00 CEST:"),
    ],
)
def test_the_reports_join_without_a_gap_also_when_clocks_change(
    provider, clocks, month, hours, subject, until
):
    clocks.advance(timedelta(days=330))
    start = datetime(2030, month, 24, tzinfo=UTC)
    schedules.backfill(NIGHTLY, start, start + timedelta(days=10))
    run_jobs(raise_errors=True)
    reports = NightlyReport.objects.order_by("until")
    assert all(one.until == following.since for one, following in pairwise(reports))
    assert {one.until - one.since for one in reports} == {
        timedelta(hours=number) for number in hours
    }
    changed = next(sent for sent in provider if sent.subject == subject)
    assert until in changed.body


def test_only_what_was_between_the_two_instants_is_counted(shop):
    since, until = NOON - timedelta(days=1), NOON
    for at in (since - timedelta(seconds=1), since, until - timedelta(seconds=1), until):
        mailed_to_ada(at)
        partner = Partner.objects.create(name="P", slug=f"p-{at.timestamp():.0f}")
        Delivery.objects.create(partner=partner, event="e", delivered_at=at)
        failed = JobFactory(failed=True, finished_at=at)
        Delivery.objects.create(partner=partner, event="e", job_id=failed.pk)
        upload = CustomerImport.objects.create(name="file.csv")
        CustomerImport.objects.filter(pk=upload.pk).update(created_at=at)
    JobFactory(failed=True, finished_at=since)  # of no delivery
    happened = {"mails": 2, "delivered": 2, "failed": 2, "imports": 2}
    assert figures.count(since, until) == {**happened, "customers": 3}


def test_the_day_is_counted_every_minute_and_stays_one_row(shop, clocks):
    for _ in range(2):
        clocks.advance(timedelta(minutes=1))
        mailed_to_ada(clocks.now() - timedelta(seconds=1))
        run_jobs(schedules=True, raise_errors=True)
    day = DayFigures.objects.get()
    assert (day.day, day.mails, day.as_of) == (date(2030, 1, 15), 2, NOON + timedelta(minutes=2))
    assert Tick.objects.filter(outcome="on_time").count() == 2


def test_a_new_day_begins_at_midnight_where_the_shop_is(shop, clocks):
    mailed_to_ada(NOON)
    clocks.advance(timedelta(hours=11, minutes=-1))
    jobs.recount()
    clocks.advance(timedelta(minutes=1))
    jobs.recount()
    counted = DayFigures.objects.order_by("day").values_list("day", "mails")
    assert list(counted) == [(date(2030, 1, 15), 1), (date(2030, 1, 16), 0)]


def test_minutes_without_a_worker_are_not_counted_afterwards(db, clocks):
    clocks.advance(timedelta(hours=3))
    run_jobs(schedules=True, raise_errors=True)
    assert Job.objects.filter(name=jobs.recount.name).count() == 1
