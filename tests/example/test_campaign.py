"""The campaign's jobs: everybody gets one mail, whatever is run twice, refused or busy."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError, transaction

from django_jobs import enqueue, operations
from django_jobs.models import Job, JobRun, JobStep
from django_jobs.testing import run_jobs
from example_project.shop import campaigns, jobs, parts
from example_project.shop.models import Campaign, Customer, Recipient, SentMail

EVERYBODY = ["ada@example.com", "ben@example.com", "cleo@example.com"]
LONG = timedelta(seconds=10)
"""More than the wait after a first attempt."""


@pytest.fixture
def small_parts(monkeypatch):
    """Return how to set the sizes of a part and of a step that enqueues parts."""

    def set_sizes(size, at_once):
        monkeypatch.setattr(parts, "SIZE", size)
        monkeypatch.setattr(parts, "AT_ONCE", at_once)

    return set_sizes


def addresses(provider):
    return sorted(mail.to[0].partition("<")[2].rstrip(">") for mail in provider)


def part_jobs():
    return Job.objects.filter(name=jobs.send_part.name).order_by("pk")


def result_of(job):
    return JobRun.objects.get(job=job, outcome="successful").result


def customer(name):
    return Customer.objects.get(email=f"{name}@example.com")


def test_a_campaign_mails_every_customer_once(shop, provider):
    campaign = campaigns.start(shop)
    run_jobs()
    assert addresses(provider) == EVERYBODY
    assert campaign.sent_mails.count() == 3
    assert set(Job.objects.values_list("state", flat=True)) == {"SUCCESSFUL"}


def test_each_mail_is_a_step_and_its_result_is_the_providers_id(shop, provider):
    campaigns.start(shop)
    run_jobs()
    steps = JobStep.objects.filter(job_id=part_jobs().get().pk)
    sent = {f"send-to-{mail.customer_id}": mail.message_id for mail in SentMail.objects.all()}
    results = {step.key: step.result.strip('"') for step in steps}
    assert next(iter(results)) == "fetch-recipients"
    assert {key: results[key] for key in sent} == sent
    assert len(results) == 4


def test_a_mail_carries_the_customers_name_and_the_campaigns_tag(shop, provider):
    campaign = campaigns.start(shop)
    run_jobs()
    mail = next(mail for mail in provider if "ada@example.com" in mail.to[0])
    assert (mail.subject, mail.body) == ("Hello Ada", "Dear Ada Test")
    assert mail.anymail_test_params["tags"] == [f"campaign-{campaign.key}"]
    assert mail.anymail_test_params["metadata"]["campaign"] == campaign.pk


def test_a_mail_carries_the_key_of_its_step_and_a_message_id_made_of_it(shop, provider):
    campaign = campaigns.start(shop)
    run_jobs()
    mail = next(mail for mail in provider if "ada@example.com" in mail.to[0])
    number, step = part_jobs().get().pk, f"send-to-{customer('ada').pk}"
    key = mail.anymail_test_params["metadata"]["idempotency_key"]
    assert key == f"campaign-{campaign.key}:{number}:{step}"
    assert mail.extra_headers["Message-ID"] == (
        f"<campaign-{campaign.key}.{number}.{step}@example.com>"
    )


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
    assert jobs.send_campaign(campaign.pk) == {"recipients": 1}
    run_jobs()
    assert addresses(provider) == [*EVERYBODY, "dora@example.com"]
    assert Recipient.objects.get(customer=customer("dora")).part == 2


def test_many_customers_are_divided_into_parts_with_a_job_each(shop, provider, small_parts):
    small_parts(size=2, at_once=4)
    for number in range(8):
        Customer.objects.create(name=f"Guest {number}", email=f"guest{number}@example.com")
    campaign = campaigns.start(shop)
    run_jobs()
    assert Counter(campaign.recipients.values_list("part", flat=True)) == {
        **dict.fromkeys([1, 2, 3, 4, 5], 2),
        6: 1,
    }
    assert [job.args for job in part_jobs()] == [[campaign.pk, part] for part in range(1, 7)]
    assert len(provider) == len(set(addresses(provider))) == 11
    assert JobStep.objects.filter(job_id=campaign.job_id).count() == 4


def test_a_crash_while_the_parts_are_enqueued_leaves_none_behind(shop, monkeypatch):
    campaign = campaigns.start(shop)
    before = Job.objects.count()

    def crash(*_, **__):
        raise RuntimeError("power cut")

    monkeypatch.setattr(Recipient.objects, "bulk_create", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        jobs.send_campaign(campaign.pk)
    assert Job.objects.count() == before


def test_a_part_run_again_from_its_start_sends_nothing_twice(shop, provider):
    campaigns.start(shop)
    run_jobs()
    operations.retry([part_jobs().get().pk], from_start=True)
    run_jobs()
    assert addresses(provider) == EVERYBODY
    assert SentMail.objects.count() == 3


def test_a_mail_that_was_sent_but_not_noted_is_sent_by_the_same_key_and_taken_once(
    shop, outbox, monkeypatch, frozen_clock
):
    with monkeypatch.context() as patch:

        def crash(**_):
            raise OperationalError("the database is away")

        patch.setattr(SentMail.objects, "create", crash)
        campaign = campaigns.start(shop)
        run_jobs()
    (first,) = outbox.glob("campaign-*/*.eml")
    frozen_clock.advance(LONG)
    run_jobs()
    assert len(list(outbox.glob("campaign-*/*.eml"))) == 3
    assert campaign.sent_mails.filter(message_id=first.stem).count() == 1


def test_a_part_called_as_a_plain_function_gives_each_mail_a_key_of_its_own(shop, outbox):
    campaign = Campaign.objects.create(name="Spring", subject="Hello", body="Dear $name")
    jobs.send_campaign(campaign.pk)
    assert jobs.send_part(campaign.pk, 1) == {"sent": 3, "failed": []}
    assert len(list(outbox.glob("campaign-*/*.eml"))) == 3


def test_the_database_refuses_a_second_record_of_a_mail(shop):
    campaign = Campaign.objects.create(name="Spring", subject="Hello", body="Dear $name")
    ada = customer("ada")
    SentMail.objects.create(campaign=campaign, customer=ada)
    with pytest.raises(IntegrityError), transaction.atomic():
        SentMail.objects.create(campaign=campaign, customer=ada)


def test_a_busy_mailbox_is_tried_again_and_gets_one_mail(
    shop, provider, answer_with, busy, frozen_clock
):
    answer_with("cleo@example.com", busy)
    campaigns.start(shop)
    run_jobs()
    job = Job.objects.get(state="SCHEDULED")
    assert JobRun.objects.get(job=job).outcome == "retried"
    answer_with("cleo@example.com", None)
    provider.clear()
    frozen_clock.advance(LONG)
    run_jobs()
    assert addresses(provider) == ["cleo@example.com"]
    assert JobStep.objects.get(key=f"send-to-{customer('cleo').pk}").attempts == 2
    assert SentMail.objects.count() == 3


def test_a_busy_mailbox_holds_up_those_behind_it_in_its_part_and_no_other_part(
    shop, provider, answer_with, busy, small_parts, frozen_clock
):
    small_parts(size=2, at_once=1000)
    answer_with("ada@example.com", busy)
    campaign = campaigns.start(shop)
    run_jobs()
    assert [mail.customer for mail in campaign.sent_mails.all()] == [customer("cleo")]
    answer_with("ada@example.com", None)
    frozen_clock.advance(LONG)
    run_jobs()
    assert campaign.sent_mails.count() == 3


def test_a_recipient_who_is_refused_is_not_tried_again_and_the_others_get_their_mail(
    shop, provider, refuse
):
    refuse("ben@example.com")
    campaigns.start(shop)
    run_jobs()
    assert len(provider) == 3
    assert SentMail.objects.count() == 2
    job = part_jobs().get()
    assert (job.state, result_of(job)) == (
        "SUCCESSFUL",
        {"sent": 2, "failed": [customer("ben").pk]},
    )
    assert "were rejected" in JobStep.objects.get(state="failed").error
    assert f"Customer #{customer('ben').pk}: step" in JobRun.objects.get(job=job).log


def test_a_mailbox_that_stays_busy_is_given_up_and_the_others_get_their_mail(
    shop, answer_with, busy, frozen_clock
):
    answer_with("ben@example.com", busy)
    campaigns.start(shop)
    for _ in range(4):
        run_jobs()
        frozen_clock.advance(LONG * 10)
    job = part_jobs().get()
    assert (job.state, result_of(job)["failed"]) == ("SUCCESSFUL", [customer("ben").pk])
    assert JobStep.objects.get(state="failed").attempts == 4
    assert SentMail.objects.count() == 2


def test_a_part_that_is_retried_tries_only_those_who_have_failed(
    shop, provider, refuse, answer_with
):
    refuse("ben@example.com")
    campaigns.start(shop)
    run_jobs()
    provider.clear()
    answer_with("ben@example.com", None)
    operations.retry([part_jobs().get().pk])
    run_jobs()
    assert addresses(provider) == ["ben@example.com"]
    assert SentMail.objects.count() == 3


def test_a_customer_who_is_deleted_while_the_part_waits_keeps_nobody_from_the_mail(
    shop, answer_with, busy, frozen_clock
):
    answer_with("ada@example.com", busy)
    campaign = campaigns.start(shop)
    run_jobs()
    answer_with("ada@example.com", None)
    customer("ben").delete()
    frozen_clock.advance(LONG)
    run_jobs()
    assert part_jobs().get().state == "SUCCESSFUL"
    assert campaign.sent_mails.count() == campaign.recipients.count() == 2


def test_a_deleted_campaign_is_not_tried_again(shop):
    campaign = campaigns.start(shop)
    campaign.delete()
    run_jobs()
    job = Job.objects.get()
    assert (job.state, job.attempt) == ("FAILED", 1)
