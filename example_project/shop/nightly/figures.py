"""Counts what the shop did, between two instants and today so far. Knows no job and no page."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils import timezone

from django_jobs.models import Job
from example_project.shop.models import Customer, CustomerImport, DayFigures, Delivery, SentMail
from example_project.shop.watching import GIVEN_UP

ZONE = "Europe/Paris"
"""Where the shop is: its days begin at midnight there."""

PLACE = ZoneInfo(ZONE)


def day_of(instant: datetime) -> date:
    """Return the date in the shop."""
    return instant.astimezone(PLACE).date()


def day_before(until: datetime) -> datetime:
    """Return when the shop's clocks showed the same time a day earlier."""
    return (until.astimezone(PLACE) - timedelta(days=1)).astimezone(until.tzinfo)


def count(since: datetime, until: datetime) -> dict[str, int]:
    """Return what happened from `since` to before `until`, and how many customers there are now."""

    def then(field: str) -> Q:
        return Q(**{f"{field}__gte": since, f"{field}__lt": until})

    told = Job.objects.filter(pk__in=Delivery.objects.values("job_id"))
    return {
        "mails": SentMail.objects.filter(then("sent_at")).count(),
        "delivered": Delivery.objects.filter(then("delivered_at")).count(),
        "failed": told.filter(then("finished_at"), state__in=GIVEN_UP).count(),
        "imports": CustomerImport.objects.filter(then("created_at")).count(),
        "customers": Customer.objects.count(),
    }


def recount() -> DayFigures:
    """Count the day so far; whoever is last leaves the newest figures."""
    now = timezone.now()
    midnight = now.astimezone(PLACE).replace(hour=0, minute=0, second=0, microsecond=0)
    fresh = {**count(midnight, now), "as_of": now}
    return DayFigures.objects.update_or_create(day=day_of(now), defaults=fresh)[0]
