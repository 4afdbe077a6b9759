"""Divides the customers of a campaign into parts, one job each, and keeps who is in which."""

from collections.abc import Iterable

from django.db.models import Max

from example_project.shop.models import Campaign, Customer, Recipient

SIZE = 25
"""Mails of one part. While one of them waits to be tried again, so do those behind it in the part."""

AT_ONCE = 1000
"""Customers divided in one transaction, which is short then, however many there are."""


def draw_up(campaign: Campaign) -> dict[int, list[int]]:
    """Return the next parts, number and customers, of those who are in no part yet; {} at the end."""
    missing = Customer.objects.filter(subscribed=True).exclude(recipient__campaign=campaign)
    customers = list(missing.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    last = campaign.recipients.aggregate(last=Max("part"))["last"] or 0
    starts = range(0, len(customers), SIZE)
    return {
        number: customers[start : start + SIZE] for number, start in enumerate(starts, last + 1)
    }


def keep(campaign: Campaign, drawn_up: dict[int, list[int]], job_ids: Iterable[int]) -> int:
    """Write who is in which part and which job mails it; return how many customers these are."""
    rows = [
        Recipient(campaign=campaign, customer_id=customer_id, part=part, job_id=job_id)
        for (part, customers), job_id in zip(drawn_up.items(), job_ids, strict=True)
        for customer_id in customers
    ]
    return len(Recipient.objects.bulk_create(rows))


def customers_of(campaign_id: int, part: int) -> list[int]:
    """Return the keys of the customers in a part, in the order in which they are mailed."""
    recipients = Recipient.objects.filter(campaign_id=campaign_id, part=part)
    return list(recipients.order_by("customer_id").values_list("customer_id", flat=True))
