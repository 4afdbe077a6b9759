"""What the fields of forms and addresses say, which anybody may write: `None` for what is none."""

from datetime import datetime

from django.utils.dateparse import parse_datetime

from django_jobs.serializers import is_storable

DIGITS = 18
"""Every number of so many digits is one that a row can have."""


def number_in(text: str) -> int | None:
    """Return the whole number that a field has, if it is one that a row can have."""
    fits = text.isascii() and text.isdecimal() and len(text) <= DIGITS
    return int(text) if fits else None


def instant_in(text: str) -> datetime | None:
    """Return the aware instant that a field has, if it is one."""
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    fits = found is not None and found.tzinfo is not None and is_storable(found)
    return found if fits else None
