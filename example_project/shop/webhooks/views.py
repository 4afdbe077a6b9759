"""The page of the webhooks. A request writes and enqueues; the worker does the telling."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from django_jobs import operations
from example_project.shop.models import Delivery, Partner
from example_project.shop.webhooks import deliveries


@require_GET
@never_cache
def webhooks(request: HttpRequest) -> HttpResponse:
    """Show the partners and the newest deliveries; to htmx only the deliveries."""
    latest = deliveries.latest()
    context = {
        "deliveries": latest,
        "live": any(one.job.live for one in latest),
        "partners": Partner.objects.all(),
    }
    return render(request, "shop/_webhooks.html" if request.htmx else "shop/webhooks.html", context)


@require_POST
def send(request: HttpRequest) -> HttpResponse:
    """Tell all partners of an event."""
    if not deliveries.send_test_event():
        messages.warning(request, "There is no partner to tell. “manage.py demo” adds some.")
    return redirect("shop:webhooks")


@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a delivery that was given up tried again."""
    delivery = get_object_or_404(Delivery, pk=pk)
    result = operations.retry([delivery.job_id] if delivery.job_id else [])
    for reason in result.refused.values():
        messages.warning(request, f"Not retried: {reason}.")
    return redirect("shop:webhooks")


@require_POST
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a partner's side on or off."""
    partner = get_object_or_404(Partner, pk=pk, temper=Partner.Temper.SWITCHED)
    partner.is_on = request.POST.get("to") == "on"
    partner.save(update_fields=["is_on"])
    return redirect("shop:webhooks")
