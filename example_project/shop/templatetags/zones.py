"""How instants are written in another time zone than the project's."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django import template

register = template.Library()


@register.filter
def zone_name(instant: datetime, zone: str) -> str:
    """Return the zone's short name at an instant; `date:"T"` is empty in the hour that comes twice."""
    return instant.astimezone(ZoneInfo(zone)).tzname() or ""
