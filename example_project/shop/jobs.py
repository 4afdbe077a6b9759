"""The shop's jobs. This module is found by its name, as `admin.py` is."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from anymail.exceptions import AnymailRecipientsRefused
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.utils import timezone

from django_jobs import Backoff, JobContext, StepFailed, cron, enqueue_many, every, job
from example_project.shop import mail, parts
from example_project.shop.imports import loading, reading
from example_project.shop.models import (
    Campaign,
    Customer,
    CustomerImport,
    CustomerReport,
    Delivery,
    SentMail,
)
from example_project.shop.nightly import figures
from example_project.shop.nightly import writing as nightly
from example_project.shop.orders import jobs as orders  # noqa: F401 - declares events and a job
from example_project.shop.reports import writing
from example_project.shop.webhooks import sending


@job(queue="mail", never_retry=(ObjectDoesNotExist,))
def send_campaign(context: JobContext, campaign_id: int) -> dict[str, int]:
    """Divide the customers into parts, a job each; run anew, it adds those who came since.

    Small parts run side by side. A step writes a thousand recipients and enqueues their jobs in
    one transaction: whenever the worker dies, each part has its job once. As a job has 1,000 steps
    at most, it is for fewer than a million customers.
    """
    recipients = 0
    while added := context.step.atomic("enqueue-parts", _enqueue_parts, campaign_id):
        recipients += added
    return {"recipients": recipients}


@job(
    queue="mail",
    max_attempts=4,
    backoff=Backoff(first=2, cap=60),
    never_retry=(AnymailRecipientsRefused, ObjectDoesNotExist),
)
def send_part(context: JobContext, campaign_id: int, part: int) -> dict[str, Any]:
    """Mail the customers of one part, a step each: who has the mail is not mailed again.

    A step that fails is tried again after a while, at most four times in all, and the job waits as
    long. Who cannot be reached even so, or is refused, does not keep the others from their mail.
    The waits are short, so that the demo shows them; a real provider may be down for hours.
    """
    customers = context.step.run("fetch-recipients", parts.customers_of, campaign_id, part)
    failed = []
    for done, customer_id in enumerate(customers, start=1):
        try:
            context.step.run(f"send-to-{customer_id}", _send_to, context, campaign_id, customer_id)
        except StepFailed as error:
            context.log(f"Customer #{customer_id}: {error}")
            failed.append(customer_id)
        context.progress(done, len(customers), f"{len(failed)} failed")
    return {"sent": len(customers) - len(failed), "failed": failed}


def _enqueue_parts(campaign_id: int) -> int:
    """Enqueue the jobs of the next parts; return how many customers are in them."""
    # Two jobs at once must not both see the same customers in no part.
    campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
    drawn_up = parts.draw_up(campaign)
    about = send_part.using(about=campaign)
    handles = enqueue_many(about, [(campaign.pk, part) for part in drawn_up])
    return parts.keep(campaign, drawn_up, [handle.id for handle in handles])


def _send_to(context: JobContext, campaign_id: int, customer_id: int) -> str:
    """Send one customer the mail, unless that is noted already; return the provider's id of it.

    A worker may die after the provider took the mail, before that is noted. Then the mail is sent
    again, by the same key: a provider that heeds keys takes it once.
    """
    which = {"campaign_id": campaign_id, "customer_id": customer_id}
    if sent := SentMail.objects.filter(**which).first():
        return sent.message_id
    campaign = Campaign.objects.get(pk=campaign_id)
    customer = Customer.objects.get(pk=customer_id)
    message_id = mail.send(campaign, customer, context.idempotency_key)
    SentMail.objects.create(**which, message_id=message_id)
    return message_id


@job(
    queue="webhook",
    max_attempts=4,
    backoff=Backoff(first=2, cap=60),
    timeout=30,
    never_retry=(sending.NotWanted, ObjectDoesNotExist),
    about={"shop.Delivery": "delivery_id"},
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
    after the provider took the mail, before that is noted, mails again, by the same key.
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
