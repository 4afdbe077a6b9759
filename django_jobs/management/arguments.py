"""What people type behind a command, turned into values, or refused in words."""

from argparse import ArgumentTypeError
from datetime import datetime, timedelta

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from django_jobs import clock

SPANS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
BIGGEST_ID = 2**63 - 1


def positive(text: str) -> int:
    """Return the whole number in `text`, which is at least 1."""
    number = _whole(text)
    if number < 1:
        raise ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def seconds(text: str) -> float:
    """Return the number of seconds in `text`, which is at least 0."""
    try:
        number = float(text)
    except ValueError:
        raise ArgumentTypeError(f'"{text}" is not a number of seconds') from None
    if not number >= 0:  # nor is "nan"
        raise ArgumentTypeError(f"must be at least 0, got {text}")
    return number


def job_id(text: str) -> int:
    """Return the number of a job: `19` or `#19`."""
    number = _whole(text.removeprefix("#"))
    if not 0 < number <= BIGGEST_ID:
        raise ArgumentTypeError(f"no job has the number {number}")
    return number


def instant(text: str) -> datetime:
    """Return the instant in the future that `text` means: an ISO time, or `30m`, `2h`, `1d`."""
    number, unit = text[:-1], text[-1:]
    try:
        if number.isdecimal() and unit in SPANS:
            return clock.now() + timedelta(**{SPANS[unit]: int(number)})
    except OverflowError:
        raise ArgumentTypeError(f'"{text}" is too far in the future') from None
    found = _parsed(text)
    if found is None:
        raise ArgumentTypeError(f'"{text}" is neither a time nor a span such as 30m or 2h')
    found = make_aware(found) if is_naive(found) else found
    if found <= clock.now():
        raise ArgumentTypeError(f'"{text}" is in the past')
    return found


def moment(text: str) -> datetime:
    """Return the time that `text` writes in ISO form, naive or aware."""
    found = _parsed(text)
    if found is None:
        raise ArgumentTypeError(f'"{text}" is not a time such as 2030-01-15T12:00')
    return found


def _parsed(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:  # well formed, but no such day
        return None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f'"{text}" is not a whole number') from None
