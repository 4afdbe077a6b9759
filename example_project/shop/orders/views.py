"""The page of the orders. A request saves an order, and nothing else; the events do the rest."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from example_project.shop.models import Order
from example_project.shop.orders import moves, standing


@require_GET
@never_cache
def orders(request: HttpRequest) -> HttpResponse:
    """Show the newest orders; to htmx nothing else."""
    latest = standing.latest()
    context = {
        "orders": latest,
        "live": any(one.live for one in latest),
        "half": standing.in_words(settings.ORDER_PATIENCE / 2),
    }
    return render(request, "shop/_orders.html" if request.htmx else "shop/orders.html", context)


@require_POST
def place(request: HttpRequest) -> HttpResponse:
    """Place an order for somebody."""
    if moves.place() is None:
        messages.warning(request, "There is no customer to order. “manage.py demo” adds some.")
    return redirect("shop:orders")


@require_POST
def pay(request: HttpRequest, pk: int) -> HttpResponse:
    """Note that an order is paid."""
    order = get_object_or_404(Order, pk=pk)
    if not moves.pay(pk):
        _say_too_late(request, order, "paid")
    return redirect("shop:orders")


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel an order, as its customer does."""
    order = get_object_or_404(Order, pk=pk)
    if not moves.cancel(pk):
        _say_too_late(request, order, "cancelled")
    return redirect("shop:orders")


def _say_too_late(request: HttpRequest, order: Order, what: str) -> None:
    order.refresh_from_db()
    messages.warning(request, f"Not {what}: {order} is {order.get_status_display()}.")
