"""Deliveries: starts them, and shows how they stand."""

import secrets
from dataclasses import dataclass

from django.db import transaction

from django_jobs import enqueue_many
from example_project.shop.jobs import deliver
from example_project.shop.models import Delivery, Partner
from example_project.shop.watching import Watched, watch

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """A delivery and a look at its job."""

    delivery: Delivery
    job: Watched

    @property
    def tone(self) -> str:
        """The style of its state."""
        return "good" if self.delivery.delivered_at else self.job.tone

    @property
    def word(self) -> str:
        """Its state; what was delivered stays so when its job was pruned."""
        return "delivered" if self.delivery.delivered_at else self.job.word

    @property
    def line(self) -> str:
        """The partner's newest answer, or what else went wrong."""
        return self.delivery.answer or self.job.error


def send_test_event() -> list[Delivery]:
    """Tell every partner of an order that was paid: a row and a job for each, or nothing at all."""
    payload = {"order": 1000 + secrets.randbelow(9000), "total": "12.40"}
    with transaction.atomic():
        deliveries = [
            Delivery.objects.create(partner=partner, event="order.paid", payload=payload)
            for partner in Partner.objects.all()
        ]
        handles = enqueue_many(deliver, [(delivery.pk,) for delivery in deliveries])
        for delivery, handle in zip(deliveries, handles, strict=True):
            delivery.job_id = handle.id
        Delivery.objects.bulk_update(deliveries, ["job_id"])
    return deliveries


def latest() -> list[Standing]:
    """Return the newest deliveries; the number of queries does not depend on theirs."""
    deliveries = list(Delivery.objects.select_related("partner")[:SHOWN])
    jobs = watch(delivery.job_id for delivery in deliveries)
    return [Standing(delivery, jobs[delivery.job_id]) for delivery in deliveries]
