"""The shop's pages: they write and enqueue, and show what the worker does."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from django_jobs import operations
from django_jobs.models import Job
from django_jobs.testing import run_jobs
from example_project.shop import campaigns, jobs
from example_project.shop.models import Campaign, Customer, SentMail, Template
from example_project.shop.views import login_token

pytestmark = pytest.mark.urls("example_project.urls")
HTMX = {"headers": {"HX-Request": "true"}}


def progress_page(client, campaign):
    return client.get(reverse("shop:progress", args=[campaign.pk]), **HTMX).content.decode()


def figures(page):
    """Return the line with the counts, as it is read."""
    line = page.partition('role="status">')[2].partition("</p>")[0]
    return " ".join(strip_tags(line).split())


def start_without_mailing(shop):
    """Start a campaign and divide its customers; return it and the job of its only part."""
    campaign = campaigns.start(shop)
    run_jobs(until_empty=False)
    return campaign, Job.objects.get(name=jobs.send_part.name)


def test_the_form_writes_a_campaign_and_a_job_and_mails_nothing(client, shop, provider):
    response = client.post(reverse("shop:start"), {"template": shop.pk})
    campaign = Campaign.objects.get()
    assert response.headers["Location"] == campaign.get_absolute_url()
    job = Job.objects.get()
    assert (job.pk, job.args, job.state) == (campaign.job_id, [campaign.pk], "READY")
    assert not provider
    assert not SentMail.objects.exists()


def test_a_campaign_that_is_rolled_back_leaves_no_job(shop):
    with transaction.atomic():
        campaigns.start(shop)
        transaction.set_rollback(True)
    assert not Campaign.objects.exists()
    assert not Job.objects.exists()


def test_a_template_that_is_gone_is_refused_and_nothing_is_written(client, shop):
    number = shop.pk
    shop.delete()
    response = client.post(reverse("shop:start"), {"template": number})
    assert response.status_code == 422
    assert "That template is gone" in response.content.decode()
    assert not Job.objects.exists()


def test_the_form_asks_for_the_csrf_token(shop):
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(reverse("shop:start"), {"template": shop.pk}).status_code == 403
    token = strict.get(reverse("shop:home")).cookies["csrftoken"].value
    form = {"template": shop.pk, "csrfmiddlewaretoken": token}
    assert strict.post(reverse("shop:start"), form).status_code == 302


def test_only_a_post_starts_a_campaign(client, shop):
    assert client.get(reverse("shop:start")).status_code == 405


def test_the_pages_show_the_mail_as_a_customer_reads_it(client, shop):
    campaign = campaigns.start(shop)
    for page in (reverse("shop:home"), campaign.get_absolute_url()):
        assert "Hello Ada" in client.get(page).content.decode()


def test_a_page_without_templates_says_how_to_fill_the_shop(client, db):
    assert not Template.objects.exists()
    assert "python manage.py demo" in client.get(reverse("shop:home")).content.decode()


def test_the_first_page_leads_to_all_there_is_to_try(client, db):
    shown = client.get(reverse("shop:home")).content.decode()
    for name in ("orders", "webhooks", "imports", "reports", "nightly"):
        assert shown.count(f'href="{reverse(f"shop:{name}")}"') == 2
        assert client.get(reverse(f"shop:{name}")).status_code == 200


def test_only_customers_who_want_mail_are_counted(client, shop):
    Customer.objects.create(name="Eve", email="eve@example.com", subscribed=False)
    assert "sends\n    3 mails" in client.get(reverse("shop:home")).content.decode()


@pytest.mark.parametrize(
    "name",
    [
        "campaign",
        "sentmail",
        "delivery",
        "receipt",
        "customerimport",
        "customerreport",
        "nightlyreport",
        "dayfigures",
    ],
)
def test_what_jobs_have_written_is_shown_in_the_admin_and_added_by_nobody(admin_client, shop, name):
    campaigns.start(shop)
    run_jobs()
    assert admin_client.get(reverse(f"admin:shop_{name}_changelist")).status_code == 200
    assert admin_client.get(reverse(f"admin:shop_{name}_add")).status_code == 403


def test_the_progress_asks_again_until_the_campaign_is_finished(client, shop):
    campaign = campaigns.start(shop)
    before = progress_page(client, campaign)
    assert "hx-trigger" in before
    assert "python manage.py runworker" in before
    run_jobs()
    after = progress_page(client, campaign)
    assert figures(after) == "3/3 mails sent, all done"
    assert "hx-trigger" not in after


def test_mails_that_nobody_has_tried_yet_are_waiting(client, shop):
    campaign, _ = start_without_mailing(shop)
    page = progress_page(client, campaign)
    assert figures(page) == "0/3 mails sent, 3 waiting"
    assert "hx-trigger" in page


def test_a_campaign_for_nobody_says_so(client, shop):
    Customer.objects.update(subscribed=False)
    campaign = campaigns.start(shop)
    assert "drawing up the recipients" in progress_page(client, campaign)
    run_jobs()
    assert figures(progress_page(client, campaign)) == "0/… nobody to mail"


def test_a_campaign_whose_first_job_was_cancelled_does_not_say_that_nobody_wanted_mail(
    client, shop
):
    campaign = campaigns.start(shop)
    operations.cancel([campaign.job_id])
    assert figures(progress_page(client, campaign)) == "0/… nobody was mailed"


def test_mails_of_a_part_that_was_cancelled_have_failed(client, shop):
    campaign, part = start_without_mailing(shop)
    operations.cancel([part.pk])
    page = progress_page(client, campaign)
    assert figures(page) == "0/3 mails sent, 3 failed"
    assert page.count("cancelled") == 3
    assert "hx-trigger" not in page


def test_mails_of_a_part_whose_job_is_gone_have_failed(client, shop):
    campaign, part = start_without_mailing(shop)
    part.delete()
    page = progress_page(client, campaign)
    assert figures(page) == "0/3 mails sent, 3 failed"
    assert reverse("admin:django_jobs_job_change", args=[part.pk]) not in page


def test_sent_mails_stay_sent_when_their_jobs_are_gone(client, shop):
    campaign = campaigns.start(shop)
    run_jobs()
    Job.objects.all().delete()
    assert figures(progress_page(client, campaign)) == "3/3 mails sent, all done"


def test_the_progress_of_one_campaign_does_not_count_another_one(client, shop):
    first, second = campaigns.start(shop), campaigns.start(shop)
    run_jobs()
    for campaign in (first, second):
        assert figures(progress_page(client, campaign)) == "3/3 mails sent, all done"


def test_a_mail_that_will_be_tried_again_is_shown_with_its_error_and_its_job(
    client, shop, answer_with, busy
):
    answer_with("ben@example.com", busy)
    campaign = campaigns.start(shop)
    run_jobs()
    page = progress_page(client, campaign)
    job = Job.objects.get(state="SCHEDULED")
    assert figures(page) == "1/3 mails sent, 2 waiting"
    assert page.count("retrying") == 1
    assert "attempt 1 of 4" in page
    assert "mailbox is busy" in page
    assert reverse("admin:django_jobs_job_change", args=[job.pk]) in page
    assert "hx-trigger" in page


def test_a_mail_that_was_sent_after_a_retry_is_named(client, shop, answer_with, busy, frozen_clock):
    answer_with("ben@example.com", busy)
    campaign = campaigns.start(shop)
    run_jobs()
    answer_with("ben@example.com", None)
    frozen_clock.advance(timedelta(seconds=10))
    run_jobs()
    after = progress_page(client, campaign).partition("Sent after a retry")[2]
    assert "ben@example.com" in after
    assert "attempt 2" in after
    assert "ada@example.com" not in after


def test_a_mail_that_failed_is_named_while_the_others_wait(client, shop, refuse, answer_with, busy):
    refuse("ada@example.com")
    answer_with("ben@example.com", busy)
    campaign = campaigns.start(shop)
    run_jobs()
    page = progress_page(client, campaign)
    assert figures(page) == "0/3 mails sent, 1 failed, 2 waiting"
    assert "were rejected" in page


def test_a_mail_that_failed_does_not_keep_the_campaign_from_its_end(client, shop, refuse):
    refuse("ben@example.com")
    campaign = campaigns.start(shop)
    run_jobs()
    page = progress_page(client, campaign)
    assert figures(page) == "2/3 mails sent, 1 failed"
    assert "hx-trigger" not in page


def test_the_number_of_queries_does_not_grow_with_the_troubles(
    client, shop, refuse, django_assert_max_num_queries
):
    for name in ("ada", "ben", "cleo"):
        refuse(f"{name}@example.com")
    campaign = campaigns.start(shop)
    run_jobs()
    with django_assert_max_num_queries(6):
        assert progress_page(client, campaign).count("were rejected") == 3


def test_without_javascript_the_page_reloads_by_itself_while_the_campaign_runs(client, shop):
    campaign = campaigns.start(shop)
    assert '<meta http-equiv="refresh"' in client.get(campaign.get_absolute_url()).content.decode()
    run_jobs()
    page = client.get(campaign.get_absolute_url()).content.decode()
    assert "http-equiv" not in page


def test_the_bare_progress_leads_a_browser_to_the_whole_page(client, shop):
    campaign = campaigns.start(shop)
    response = client.get(reverse("shop:progress", args=[campaign.pk]))
    assert response.headers["Location"] == campaign.get_absolute_url()


def test_the_printed_link_logs_in(client, settings, db):
    settings.DEBUG = True
    get_user_model().objects.create_superuser("admin")
    response = client.get(reverse("shop:enter", args=[login_token("admin")]))
    assert response.headers["Location"] == reverse(
        "admin:app_list", kwargs={"app_label": "django_jobs"}
    )
    assert client.get(response.headers["Location"]).status_code == 200


@pytest.mark.parametrize("debug", [True, False])
def test_no_other_link_logs_in_and_none_without_debug(client, settings, db, debug):
    settings.DEBUG = debug
    get_user_model().objects.create_superuser("admin")
    token = "admin:forged" if debug else login_token("admin")
    assert client.get(reverse("shop:enter", args=[token])).status_code == 404
    assert "_auth_user_id" not in client.session
