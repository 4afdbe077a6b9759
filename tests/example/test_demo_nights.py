"""What `demo --once` checks of the nightly report: it must see what went wrong."""

import pytest

from django_jobs.models import Job, Tick
from django_jobs.testing import run_jobs
from example_project.shop import mail
from example_project.shop.demo.nights import Night, start_twice
from example_project.shop.models import NightlyReport

pytestmark = pytest.mark.usefixtures("clocks", "schedules_of_the_shop")


@pytest.fixture
def done(shop, outbox):
    """Two jobs that were started by hand have ended."""
    started = start_twice()
    run_jobs()
    return started


def wrong(done):
    return [check.text for check in Night(done).checks() if not check.holds]


def test_all_is_well_when_two_starts_gave_one_report_and_one_mail(done):
    assert wrong(done) == []
    lines = "\n".join(Night(done).lines())
    assert (
        "at 02:00 every day (0 2 * * *, Europe/Paris), next 2030-01-16 02:00 CET = 01:00 UTC"
        in lines
    )
    assert lines.count("manual at 12:00:00: job #") == 2
    assert "2030-01-15: mails 0" in lines
    assert "ok   nightly report started by hand 2 times" in lines


def test_all_is_well_when_it_is_run_once_more_that_day(done):
    again = start_twice()
    run_jobs()
    assert wrong(again) == []


def test_all_is_well_when_the_mail_was_sent_again_by_the_same_key(done):
    mail.send_report(NightlyReport.objects.get())
    assert wrong(done) == []


def test_a_second_mail_is_seen(done):
    again = mail.compose_report(NightlyReport.objects.get())
    again.metadata = {}
    again.send()
    assert "mails to the owner: 2" in wrong(done)[0]
    assert "BAD" in "\n".join(Night(done).lines())


def test_a_report_without_a_mail_is_seen(done, outbox):
    next(outbox.glob("nightly-report-*/*.eml")).unlink()
    assert "mails to the owner: 0" in wrong(done)[0]


def test_a_mail_that_was_not_noted_is_seen(done):
    NightlyReport.objects.update(message_id="other")
    assert len(wrong(done)) == 1


def test_a_tick_that_is_missing_is_seen(done):
    Tick.objects.first().delete()
    assert "ticks: 1" in wrong(done)[0]


def test_a_job_that_did_not_succeed_is_seen(done):
    Job.objects.filter(pk=done[1]).update(state="FAILED")
    assert len(wrong(done)) == 1
