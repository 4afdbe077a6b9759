"""How orders stand, as the page shows them: their status, their jobs, and what comes next."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django.utils.timesince import timesince

from django_jobs import State
from example_project.shop.models import Order
from example_project.shop.watching import Watched, watch

SHOWN = 20
FEW_SECONDS = 120
TONES = {"shipped": "good", "cancelled": "bad", "given up": "bad"}


@dataclass(frozen=True, slots=True)
class Standing:
    """An order and a look at the job that follows it."""

    order: Order
    job: Watched

    @property
    def tone(self) -> str:
        """The style of its status."""
        return TONES.get(self.order.status, "warm")

    @property
    def is_open(self) -> bool:
        """Whether the customer may still pay or cancel."""
        return self.order.status == Order.Status.PLACED

    @property
    def live(self) -> bool:
        """Whether something may still happen by itself."""
        return self.is_open or self.order.status == Order.Status.PAID or self.job.live

    @property
    def coming(self) -> str:
        """What happens next, unless the customer does something."""
        if not self.is_open:
            return ""
        if self.order.job_id is None:
            return "waiting for a worker"
        if self.job.state != State.WAITING or self.job.run_at is None:
            return ""
        span = in_words(self.job.run_at - timezone.now())
        return f"{'given up' if self.order.reminded_at else 'reminder'} in {span}"

    @property
    def line(self) -> str:
        """What went wrong, while that matters."""
        return "" if self.job.successful or self.order.status == "cancelled" else self.job.error


def in_words(span: timedelta) -> str:
    """Return a span as people say it, in seconds when it is short."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < FEW_SECONDS:
        return f"{seconds}\xa0s"
    now = timezone.now()
    return timesince(now - span, now)


def latest() -> list[Standing]:
    """Return the newest orders; the number of queries does not depend on theirs."""
    orders = list(Order.objects.select_related("customer")[:SHOWN])
    jobs = watch(order.job_id for order in orders)
    return [Standing(order, jobs[order.job_id]) for order in orders]
