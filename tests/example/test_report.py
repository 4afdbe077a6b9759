"""What `demo --once` checks: it must see what went wrong."""

import pytest

from django_jobs.models import Job
from django_jobs.testing import run_jobs
from example_project.shop import campaigns, mail
from example_project.shop.demo.report import Report
from example_project.shop.models import Customer, SentMail


@pytest.fixture
def campaign(shop, outbox):
    """A campaign whose mails lie in an outbox of files; nobody was busy."""
    campaign = campaigns.start(shop)
    run_jobs()
    return campaign


def wrong(campaign):
    return [check.text for check in Report(campaign).checks() if not check.holds]


def test_all_is_well_when_everybody_got_one_mail(campaign):
    assert wrong(campaign) == []
    lines = "\n".join(Report(campaign).lines())
    assert "3 mails in the outbox for 3 recipients" in lines
    assert "BAD" not in lines


def test_a_second_mail_to_somebody_is_named(campaign):
    mail.send(campaign, Customer.objects.get(email="ben@example.com"), "another key")
    assert "more than one: ben@example.com" in wrong(campaign)[0]
    assert "BAD" in "\n".join(Report(campaign).lines())


def test_a_mail_that_is_missing_is_named(campaign, tmp_path):
    next(tmp_path.glob("*/*.eml")).unlink()
    assert "without a mail: none" not in wrong(campaign)[0]


def test_a_record_without_a_mail_is_seen(campaign):
    SentMail.objects.filter(customer__email="ben@example.com").update(message_id="other")
    assert len(wrong(campaign)) == 1


def test_a_retry_that_did_not_happen_is_seen(campaign, settings):
    settings.OUTBOX = {**settings.OUTBOX, "refuse_once": ["ben@example.com"]}
    assert "0 of them after a retry" in wrong(campaign)[0]


def test_a_job_that_did_not_succeed_is_seen(campaign):
    job = Job.objects.get(pk=campaign.job_id)
    Job.objects.filter(pk=job.pk).update(state="FAILED")
    assert "not successful: 1" in wrong(campaign)[0]
