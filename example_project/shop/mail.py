"""Writes and sends the shop's mails, through Anymail: those of campaigns, and the owner's."""

from anymail.message import AnymailMessage
from django.conf import settings
from django.template.loader import render_to_string

from example_project.shop.models import Campaign, Customer, NightlyReport
from example_project.shop.nightly import figures


def compose(campaign: Campaign, customer: Customer, key: str) -> AnymailMessage:
    """Return the mail that `customer` gets; `key` is the same whenever it is sent again."""
    subject, body = campaign.text_for(customer)
    message = AnymailMessage(subject=subject, body=body, to=[f"{customer.name} <{customer.email}>"])
    message.tags = [tag(campaign)]
    message.metadata = {"campaign": campaign.pk, "customer": customer.pk}
    # With the campaign's own key: the numbers of jobs begin anew in another database.
    return _known_by(f"{tag(campaign)}:{key}", message)


def send(campaign: Campaign, customer: Customer, key: str) -> str:
    """Send the mail; return the provider's id of it ("" when the backend gives none).

    Raises Anymail's exceptions: AnymailAPIError is worth another try,
    AnymailRecipientsRefused is not.
    """
    return _send(compose(campaign, customer, key))


def tag(campaign: Campaign) -> str:
    """Return the tag that groups the mails of `campaign` at the provider."""
    return f"campaign-{campaign.key}"


def compose_report(report: NightlyReport) -> AnymailMessage:
    """Return the mail that the shop's owner gets."""
    body = render_to_string("shop/nightly.txt", {"report": report, "zone": figures.ZONE})
    message = AnymailMessage(subject=str(report), body=body, to=[settings.SHOP_OWNER])
    message.tags = [report_tag(report)]
    message.metadata = {"report": report.pk}
    return _known_by(report_tag(report), message)


def send_report(report: NightlyReport) -> str:
    """Send the owner the report; returns and raises what `send` does."""
    return _send(compose_report(report))


def report_tag(report: NightlyReport) -> str:
    """Return the tag by which the provider knows the mail of `report`."""
    return f"nightly-report-{report.key}"


def _known_by(key: str, message: AnymailMessage) -> AnymailMessage:
    """Let others tell that a mail came before: its provider, and the mailbox of its reader.

    The demo's outbox heeds the key among the metadata. Real providers that heed one want it in a
    place of their own, which is for the project to fill; the others only show the metadata in
    their logs and webhooks. Some put a Message-ID of their own in the place of ours.
    """
    message.metadata = {**message.metadata, "idempotency_key": key}
    message.extra_headers["Message-ID"] = f"<{key.replace(':', '.')}@example.com>"
    return message


def _send(message: AnymailMessage) -> str:
    message.send()
    message_id = message.anymail_status.message_id
    return "" if message_id is None else str(message_id)
