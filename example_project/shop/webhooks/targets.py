"""The partners' side of a webhook, played by this project so that nothing leaves the machine.

It stands for a system of somebody else: it shares no code with the side that sends, and keeps
a record of its own.
"""

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from example_project.shop.models import Partner, Receipt

BUSY_CALLS = 2
LONGEST_KEY = 50


@csrf_exempt  # partners are called by machines; in real life a signature says by which
@require_POST
def hook(request: HttpRequest, slug: str) -> HttpResponse:
    """Take an event, or refuse it as the partner's temper demands."""
    key = request.headers.get("Idempotency-Key", "")
    if not 0 < len(key) <= LONGEST_KEY:
        return _say(400, "send an Idempotency-Key, please")
    partner = get_object_or_404(Partner, slug=slug)
    if partner.temper == Partner.Temper.GONE:
        return _say(410, f"{partner} has moved away")
    with transaction.atomic():
        return _answer(partner, _called(partner, key))


def _called(partner: Partner, key: str) -> Receipt:
    """Return the receipt of `key`, with this call counted."""
    Receipt.objects.get_or_create(partner=partner, key=key)
    receipt = Receipt.objects.select_for_update().get(partner=partner, key=key)
    receipt.calls += 1
    receipt.save(update_fields=["calls"])
    return receipt


def _answer(partner: Partner, receipt: Receipt) -> HttpResponse:
    if receipt.taken_at:
        return _say(200, "taken before")
    if not partner.is_on:
        return _say(503, f"{partner} is switched off")
    if partner.temper == Partner.Temper.BUSY and receipt.calls <= BUSY_CALLS:
        return _say(503, f"busy, call {receipt.calls} of this delivery")
    receipt.taken_at = timezone.now()
    receipt.save(update_fields=["taken_at"])
    return _say(200, "taken")


def _say(status: int, text: str) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
