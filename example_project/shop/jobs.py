"""The shop's jobs. This module is found by its name, as `admin.py` is."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from anymail.exceptions import AnymailRecipientsRefused
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.utils import timezone

from django_jobs import Backoff, JobContext, cron, enqueue_many, every, job
from example_project.shop import mail
from example_project.shop.imports import loading, reading
from example_project.shop.models import (
    Campaign,
    Customer,
    CustomerImport,
    CustomerReport,
    Delivery,
    Recipient,
    SentMail,
)
from example_project.shop.nightly import figures
from example_project.shop.nightly import writing as nightly
from example_project.shop.orders import jobs as orders  # noqa: F401 - declares events and a job
from example_project.shop.reports import writing
from example_project.shop.webhooks import sending


@job(queue="mail", never_retry=(ObjectDoesNotExist,))
def send_campaign(context: JobContext, campaign_id: int) -> dict[str, int]:
    """Start one mail job per customer; run again, it only adds the customers that are missing.

    All of it in one transaction: a crash in the middle leaves no job behind.
    """
    with transaction.atomic():
        # Two runs at once, after a lost worker for instance, must not both see nobody.
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        subscribed = Customer.objects.filter(subscribed=True)
        missing = subscribed.exclude(recipient__campaign=campaign).order_by("pk")
        customers = list(missing.values_list("pk", flat=True))
        handles = enqueue_many(send_mail_to, [(campaign.pk, customer) for customer in customers])
        Recipient.objects.bulk_create(
            Recipient(campaign=campaign, customer_id=customer, job_id=handle.id)
            for customer, handle in zip(customers, handles, strict=True)
        )
    context.log(f"{len(customers)} mails of {campaign.name!r} enqueued")
    return {"enqueued": len(customers)}


@job(
    queue="mail",
    max_attempts=4,
    backoff=Backoff(first=2, cap=60),
    timeout=20,
    never_retry=(AnymailRecipientsRefused, ObjectDoesNotExist),
)
def send_mail_to(context: JobContext, campaign_id: int, customer_id: int) -> str:
    """Send one customer the mail of a campaign, unless they have it.

    A job can run twice (its worker may die after the provider took the mail, before the row
    was written), hence the look before sending; the unique constraint catches what is left.
    """
    if SentMail.objects.filter(campaign_id=campaign_id, customer_id=customer_id).exists():
        return "was sent before"
    campaign = Campaign.objects.get(pk=campaign_id)
    customer = Customer.objects.get(pk=customer_id)
    message_id = mail.send(campaign, customer)
    SentMail.objects.create(
        campaign=campaign, customer=customer, attempt=context.attempt, message_id=message_id
    )
    return message_id


@job(
    queue="webhook",
    max_attempts=4,
    backoff=Backoff(first=2, cap=60),
    timeout=30,
    never_retry=(sending.NotWanted, ObjectDoesNotExist),
)
def deliver(context: JobContext, delivery_id: int) -> str:
    """Tell a partner of an event, unless they know; record how they answered.

    The waits are short, so that the demo shows them. In real life they begin with minutes, and
    there are more of them.
    """
    delivery = Delivery.objects.select_related("partner").get(pk=delivery_id)
    if delivery.delivered_at:
        return "was delivered before"
    record = Delivery.objects.filter(pk=delivery.pk)
    url, key = delivery.partner.hook_url, delivery.key
    try:
        answer = sending.send(url, key, delivery.event, delivery.payload)
    except (sending.NotNow, sending.NotWanted) as error:
        record.update(attempt=context.attempt, answer=str(error))
        raise
    record.update(attempt=context.attempt, answer=answer, delivered_at=timezone.now())
    return answer


@job(queue="import", never_retry=(reading.BadFile, ObjectDoesNotExist))
def import_customers(context: JobContext, import_id: int) -> dict[str, Any]:
    """Load a file of customers, 100 rows at a time; run again, it goes on where it stopped.

    Only the row's key is among the arguments: the file may be big, and it lies on the disk.
    """
    upload = CustomerImport.objects.get(pk=import_id)
    rows = reading.read_stored(upload.file)
    upload = loading.begin(upload.pk, len(rows))
    while upload.done < len(rows):
        if context.should_stop():
            break
        upload = loading.load_some(upload.pk, rows)
        context.progress(upload.done, len(rows), f"{upload.bad} bad rows so far")
        time.sleep(settings.IMPORT_PAUSE)  # outside the transaction: nobody waits for us
    context.log(f"{upload.done} of {len(rows)} rows of {upload.name!r} are in")
    return loading.summary(upload)


@job(queue="report", never_retry=(ObjectDoesNotExist,))
def prepare_report(context: JobContext, report_id: int) -> dict[str, int]:
    """Write the report's file; run again, it writes the same file anew, whole or not at all."""
    report = CustomerReport.objects.get(pk=report_id)
    rows = _write_customers(context, report.path)
    CustomerReport.objects.filter(pk=report.pk).update(rows=rows, finished_at=timezone.now())
    return {"rows": rows}


def _write_customers(context: JobContext, path: Path) -> int:
    """Write the file, tell how far it is; return the number of customers in it."""
    rows = 0
    with writing.replacing(path) as file:
        for rows, total in writing.write_customers(file):
            context.progress(rows, total, "customers written")
            # Asked only while there is more to do: what is complete shall not be thrown away.
            if rows < total and context.should_stop():
                raise writing.Unfinished(f"stopped after {rows} of {total} customers")
            time.sleep(settings.REPORT_PAUSE)
    return rows


@job(
    queue="report",
    max_attempts=4,
    backoff=Backoff(first=2, cap=60),
    timeout=20,
    never_retry=(AnymailRecipientsRefused,),
    schedule=cron("0 2 * * *", timezone=figures.ZONE),
)
def nightly_report(context: JobContext) -> str:
    """Write the report of the day that ended at the planned time, and mail it; each once.

    The row comes first: a job that dies between row and mail finds it, and mails. One that dies
    after the provider took the mail, before that is noted, mails again, with the same Message-ID.
    """
    report = nightly.report_of(context.planned_at, context.job_id)
    if report.mailed_at:
        return f"{report} was mailed before"
    if not nightly.may_mail(report, context.job_id):
        return f"{report} is mailed by job #{report.job_id}"
    nightly.note_mail(report, mail.send_report(report))
    return f"{report} mailed to the owner"


@job(queue="report", schedule=every(timedelta(minutes=1), missed="skip"))
def recount() -> str:
    """Count the day so far, for the page; run twice, it counts twice and leaves one row."""
    return f"{figures.recount()} counted"
