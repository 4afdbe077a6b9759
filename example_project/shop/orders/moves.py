"""What may become of an order. Each move looks at the row it changes: two at once are one move."""

import secrets

from django.db import transaction
from django.utils import timezone

from example_project.shop.models import Customer, Order

CATALOGUE = {
    "A punnet of strawberries": 480,
    "Asparagus, two pounds": 1250,
    "A loaf of rye bread": 395,
    "Honey from the roof": 905,
}
"""What there is to have, in cents."""


def place(customer: Customer | None = None) -> Order | None:
    """Return a new order of `customer`, or of one picked at random; `None` when there is nobody.

    Its event, and the job that follows it, are written with it: see `orders/jobs.py`.
    """
    customer = customer or Customer.objects.filter(subscribed=True).order_by("?").first()
    if customer is None:
        return None
    what = secrets.choice(list(CATALOGUE))
    return Order.objects.create(customer=customer, what=what, cents=CATALOGUE[what])


def pay(pk: int) -> bool:
    """Note that an order is paid; say whether it waited for that."""
    return _settle(pk, Order.Status.PAID)


def cancel(pk: int) -> bool:
    """Cancel an order for its customer; say whether that was still possible."""
    return _settle(pk, Order.Status.CANCELLED)


def begin(pk: int, job_id: int | None) -> None:
    """Note which job follows the order."""
    Order.objects.filter(pk=pk).update(job_id=job_id)


def ship(pk: int) -> bool:
    """Ship an order that is paid; say whether it is on its way."""
    return _end(pk, Order.Status.PAID, Order.Status.SHIPPED)


def give_up(pk: int) -> bool:
    """Give an order up that is not paid; say whether it was not."""
    return _end(pk, Order.Status.PLACED, Order.Status.GIVEN_UP)


def _settle(pk: int, status: Order.Status) -> bool:
    """Save the order, for the sake of its event."""
    with transaction.atomic():
        waiting = Order.objects.select_for_update().filter(pk=pk, status=Order.Status.PLACED)
        order = waiting.first()
        if order is None:
            return False
        order.status, now = status, timezone.now()
        if status == Order.Status.PAID:
            order.paid_at = now
        else:
            order.ended_at = now
        order.save(update_fields=["status", "paid_at", "ended_at"])
    return True


def _end(pk: int, before: Order.Status, after: Order.Status) -> bool:
    """Change the row by one statement, which sends no event: nobody is to hear of it."""
    rows = Order.objects.filter(pk=pk, status=before)
    return rows.update(status=after, ended_at=timezone.now()) == 1
