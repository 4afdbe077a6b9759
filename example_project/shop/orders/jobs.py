"""The events of orders, and the job that follows each order to its end."""

from datetime import timedelta
from typing import Any

from anymail.exceptions import AnymailRecipientsRefused
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist

from django_jobs import Backoff, Event, JobContext, emit_on, job
from example_project.shop.models import Order
from example_project.shop.orders import letters, moves


def _summary(order: Order) -> dict[str, Any]:
    return {"customer": order.customer_id, "what": order.what, "cents": order.cents}


# Written with the order, in one transaction: by the pages, the admin, or a shell.
emit_on(Order, "order/placed", created=True, data=_summary)
emit_on(Order, "order/paid", changed="status", when=lambda order: order.status == "paid")
emit_on(Order, "order/cancelled", changed="status", when=lambda order: order.status == "cancelled")


@job(
    queue="order",
    on="order/placed",
    cancel_on={"order/cancelled": "pk"},
    about={"shop.Order": "pk"},
    max_attempts=4,
    backoff=Backoff(first=2, cap=60),
    timeout=20,
    never_retry=(AnymailRecipientsRefused, ObjectDoesNotExist),
)
def follow_order(context: JobContext, event: Event) -> str:
    """Wait for the payment, remind the customer after half of the time; ship, or give up.

    Two days, and it holds nothing meanwhile. A payment can come in before a worker has begun to
    wait for it, or when the time is just over, hence the look back, and at the order itself.
    """
    pk, half = event.data["pk"], settings.ORDER_PATIENCE / 2
    context.step.atomic("begin", moves.begin, pk, context.job_id)
    payment = _payment(context, "payment", pk, half)
    if not payment:
        context.step.run("remind", letters.remind, pk)
        payment = _payment(context, "late payment", pk, half)
    if not payment and context.step.atomic("give up", moves.give_up, pk):
        return "given up, not paid in time"
    if not context.step.atomic("ship", moves.ship, pk):
        return "not shipped: the customer has cancelled it"
    context.step.run("thank", letters.thank, pk)
    return "paid, shipped"


def _payment(context: JobContext, step: str, pk: int, patience: timedelta) -> Event | None:
    return context.step.wait_for_event(
        step, "order/paid", match={"pk": pk}, timeout=patience, lookback=settings.ORDER_PATIENCE
    )
