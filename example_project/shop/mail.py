"""Writes and sends one mail of a campaign, through Anymail."""

from anymail.message import AnymailMessage

from example_project.shop.models import Campaign, Customer


def compose(campaign: Campaign, customer: Customer) -> AnymailMessage:
    """Return the mail that `customer` gets."""
    subject, body = campaign.text_for(customer)
    message = AnymailMessage(subject=subject, body=body, to=[f"{customer.name} <{customer.email}>"])
    message.tags = [tag(campaign)]
    message.metadata = {"campaign": campaign.pk, "customer": customer.pk}
    return message


def send(campaign: Campaign, customer: Customer) -> str:
    """Send the mail; return the provider's id of it ("" when the backend gives none).

    Raises Anymail's exceptions: AnymailAPIError is worth another try,
    AnymailRecipientsRefused is not.
    """
    message = compose(campaign, customer)
    message.send()
    message_id = message.anymail_status.message_id
    return "" if message_id is None else str(message_id)


def tag(campaign: Campaign) -> str:
    """Return the tag that groups the mails of `campaign` at the provider."""
    return f"campaign-{campaign.key}"
