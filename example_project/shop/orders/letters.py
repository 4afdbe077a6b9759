"""The mails about an order. Each has one Message-ID, so that a mailbox can tell a second copy."""

from anymail.message import AnymailMessage
from django.utils import timezone

from example_project.shop.models import Order

KINDS = ("reminder", "thanks")

REMINDER = """Dear {name},

your order still waits for its payment: {what}, {price}. We keep it for you a little longer; after
that somebody else may have it.

Your Corner Shop
"""

THANKS = """Dear {name},

thank you for your payment of {price}. It is on its way to you: {what}.

Your Corner Shop
"""


def remind(pk: int) -> str:
    """Remind the customer of the payment, unless nobody waits for it any more."""
    order = Order.objects.select_related("customer").get(pk=pk)
    if order.status != Order.Status.PLACED:
        return f"is {order.status}"
    sent = _send(order, "reminder", "Your order waits for its payment", REMINDER)
    Order.objects.filter(pk=pk).update(reminded_at=timezone.now())
    return sent


def thank(pk: int) -> str:
    """Tell the customer that the order is on its way."""
    order = Order.objects.select_related("customer").get(pk=pk)
    return _send(order, "thanks", "Your order is on its way", THANKS)


def tag(order: Order, kind: str) -> str:
    """Return the tag by which the provider knows this mail about `order`."""
    return f"order-{order.key}-{kind}"


def _send(order: Order, kind: str, subject: str, text: str) -> str:
    """Send the mail; return the provider's id of it ("" when the backend gives none)."""
    customer = order.customer
    body = text.format(name=customer.name, what=order.what, price=order.price)
    message = AnymailMessage(subject=subject, body=body, to=[f"{customer.name} <{customer.email}>"])
    message.tags = [tag(order, kind)]
    message.extra_headers["Message-ID"] = f"<{tag(order, kind)}@example.com>"
    message.send()
    return str(message.anymail_status.message_id or "")
