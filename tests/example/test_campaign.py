"""The campaign's jobs: everybody gets one mail, whatever is run twice."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from django_jobs import JobContext, enqueue
from django_jobs.models import Job, JobRun
from django_jobs.testing import run_jobs
from example_project.shop import campaigns, jobs
from example_project.shop.models import Campaign, Customer, Recipient, SentMail

EVERYBODY = ["ada@example.com", "ben@example.com", "cleo@example.com"]


def addresses(provider):
    return sorted(mail.to[0].partition("<")[2].rstrip(">") for mail in provider)


def test_a_campaign_mails_every_customer_once(shop, provider):
    campaign = campaigns.start(shop)
    run_jobs()
    assert addresses(provider) == EVERYBODY
    assert campaign.sent_mails.count() == 3
    assert set(Job.objects.values_list("state", flat=True)) == {"SUCCESSFUL"}


def test_a_mail_carries_the_customers_name_and_the_campaigns_tag(shop, provider):
    campaign = campaigns.start(shop)
    run_jobs()
    mail = next(mail for mail in provider if "ada@example.com" in mail.to[0])
    assert (mail.subject, mail.body) == ("Hello Ada", "Dear Ada Test")
    assert mail.anymail_test_params["tags"] == [f"campaign-{campaign.key}"]
    assert mail.anymail_test_params["metadata"]["campaign"] == campaign.pk


def test_the_campaign_job_run_twice_mails_nobody_twice(shop, provider):
    campaign = campaigns.start(shop)
    run_jobs()
    enqueue(jobs.send_campaign, campaign.pk)
    run_jobs()
    assert addresses(provider) == EVERYBODY
    assert Recipient.objects.count() == 3


def test_the_campaign_job_run_again_adds_the_customers_that_came_since(shop, provider):
    campaign = campaigns.start(shop)
    run_jobs()
    Customer.objects.create(name="Dora Test", email="dora@example.com")
    assert jobs.send_campaign(campaign.pk) == {"enqueued": 1}
    run_jobs()
    assert addresses(provider) == [*EVERYBODY, "dora@example.com"]


def test_a_crash_while_the_mails_are_enqueued_leaves_none_behind(shop, monkeypatch):
    campaign = campaigns.start(shop)
    before = Job.objects.count()

    def crash(*_, **__):
        raise RuntimeError("power cut")

    monkeypatch.setattr(Recipient.objects, "bulk_create", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        jobs.send_campaign(campaign.pk)
    assert Job.objects.count() == before


def test_a_mail_job_run_twice_sends_one_mail(shop, provider):
    campaign = Campaign.objects.create(name="Spring", subject="Hello", body="Dear $name")
    ada = Customer.objects.get(email="ada@example.com")
    first = jobs.send_mail_to(campaign.pk, ada.pk)
    assert jobs.send_mail_to(campaign.pk, ada.pk) == "was sent before"
    assert len(provider) == 1
    assert SentMail.objects.get().message_id == first


def test_the_database_refuses_a_second_record_of_a_mail(shop):
    campaign = Campaign.objects.create(name="Spring", subject="Hello", body="Dear $name")
    ada = Customer.objects.get(email="ada@example.com")
    SentMail.objects.create(campaign=campaign, customer=ada, attempt=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        SentMail.objects.create(campaign=campaign, customer=ada, attempt=2)


def test_a_busy_mailbox_is_tried_again_and_gets_one_mail(
    shop, provider, answer_with, busy, frozen_clock
):
    answer_with("ben@example.com", busy)
    campaigns.start(shop)
    run_jobs()
    job = Job.objects.get(state="SCHEDULED")
    assert JobRun.objects.get(job=job).outcome == "retried"
    answer_with("ben@example.com", None)
    provider.clear()
    frozen_clock.advance(timedelta(seconds=10))
    run_jobs()
    assert addresses(provider) == ["ben@example.com"]
    assert SentMail.objects.get(customer__email="ben@example.com").attempt == 2


def test_a_recipient_who_is_refused_for_good_is_not_tried_again(shop, refuse):
    refuse("ben@example.com")
    campaigns.start(shop)
    run_jobs()
    job = Job.objects.get(state="FAILED")
    assert (job.attempt, job.max_attempts) == (1, 4)
    assert SentMail.objects.count() == 2


def test_a_deleted_campaign_is_not_tried_again(shop):
    campaign = campaigns.start(shop)
    campaign.delete()
    run_jobs()
    job = Job.objects.get()
    assert (job.state, job.attempt) == ("FAILED", 1)


def test_the_attempt_that_sent_the_mail_is_recorded(shop):
    campaign = Campaign.objects.create(name="Spring", subject="Hello", body="Dear $name")
    ada = Customer.objects.get(email="ada@example.com")
    jobs.send_mail_to(JobContext("send_mail_to", attempt=3), campaign.pk, ada.pk)
    assert SentMail.objects.get().attempt == 3
