"""Owns what a cron text means: our own rules read the fields, croniter walks the calendar.

croniter only sees values written out one by one, so no form reaches it that it reads in a way
of its own. Knows no time zone.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from croniter import croniter

from django_jobs.exceptions import InvalidSchedule
from django_jobs.timetables.fields import DAY, HOUR, MINUTE, MONTH, WEEKDAY, Refused

LONGEST = 200
FIVE = 5
ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
ONE_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """What a cron text means.

    `expression`: the text as given, with single spaces. `normal`: the same with every value
    written out and `H` drawn: each field is `*` or a rising list; day of month may be `l`, day
    of week a list such as `5#2,5#4` (0 is Sunday). `fixed`: minute and hour name times of the
    day, without `*`, `H/n` or every value there is; clock changes treat these differently.
    """

    expression: str
    normal: str
    fixed: bool

    @property
    def times(self) -> tuple[list[int], list[int]]:
        """The minutes and the hours at which it happens, on the days on which it does."""
        minutes, hours, *_ = self.normal.split()
        return MINUTE.values(minutes, ""), HOUR.values(hours, "")

    def next_wall(self, after: datetime) -> datetime | None:
        """Return the first wall-clock time later than `after`, both naive; None: never again."""
        return self._walk("get_next", after)

    def previous_wall(self, before: datetime) -> datetime | None:
        """Return the last wall-clock time earlier than `before`, both naive; None: never yet."""
        minute = before.replace(second=0, microsecond=0)
        return self._walk("get_prev", minute if minute == before else minute + ONE_MINUTE)

    def _walk(self, direction: str, start: datetime) -> datetime | None:
        walker = copy.copy(_walker(self.normal))  # it moves, and threads share the original
        try:
            found: datetime = getattr(walker, direction)(datetime, start)
        except (ValueError, OverflowError):  # nothing within 50 years, or the calendar ends
            return None
        return found


@lru_cache(maxsize=1024)
def parse(expression: str, seed: str) -> Cron:
    """Return what `expression` means; `seed` (the schedule's name) decides what `H` draws.

    Takes five fields with `*`, lists, ranges, steps, names, `H`, `H/n`, `H(a-b)`, `H(a-b)/n`,
    `L` alone as day of month, `fri#2` as day of week, and @yearly, @annually, @monthly, @weekly,
    @daily, @midnight, @hourly, in any case. Raises InvalidSchedule, field "cron".
    """
    if not isinstance(expression, str):
        raise InvalidSchedule(f'cron must be a text such as "0 2 * * *", got {expression!r}.')
    if len(expression) > LONGEST:
        raise InvalidSchedule(
            f"cron must have at most {LONGEST} characters, got {len(expression)}."
        )
    text = " ".join(expression.split())
    try:
        return _read(text, _parts(text), seed)
    except Refused as refused:
        shown = "".join(one if one.isprintable() else "�" for one in text)
        raise InvalidSchedule(f'"{shown}": {refused}') from None


def _parts(text: str) -> list[str]:
    if text.startswith("@") and text.lower() not in ALIASES:
        raise Refused(f"allowed names: {', '.join(ALIASES)}.")
    parts = ALIASES.get(text.lower(), text).lower().split()
    if len(parts) == FIVE:
        return parts
    seconds = " Seconds are not supported." if len(parts) > FIVE else ""
    raise Refused(
        f"five fields (minute, hour, day of month, month, day of week) are needed, "
        f"got {len(parts)}.{seconds}"
    )


def _read(text: str, parts: list[str], seed: str) -> Cron:
    minute, hour, day, month, weekday = parts
    _check_days(day, weekday)
    minutes, hours, months = (
        field.values(part, seed) for field, part in ((MINUTE, minute), (HOUR, hour), (MONTH, month))
    )
    days = ["l"] if day == "l" else DAY.values(day, seed)
    weekdays = WEEKDAY.nth(weekday) if "#" in weekday else WEEKDAY.values(weekday, seed)
    first_day = 1 if day == "l" else min(DAY.values(day, seed))
    if all(first_day > DAYS_OF_MONTH[one - 1] for one in months):
        only = "never happens." if weekday == "*" else "its day of month is in none of its months."
        raise Refused(only)
    free = "*" in (day, weekday)  # 1-31 beside mon is any day; written as * it would be Mondays
    written = (
        _write(minutes, MINUTE.size),
        _write(hours, HOUR.size),
        _write(days, DAY.size if free else 0),
        _write(months, MONTH.size),
        _write(weekdays, WEEKDAY.size if free and "#" not in weekday else 0),
    )
    stepping = any(item.startswith(("*", "h/")) for item in f"{minute},{hour}".split(","))
    return Cron(text, " ".join(written), fixed=not stepping and "*" not in written[:2])


def _write(values: Sequence[int | str], size: int) -> str:
    return "*" if len(values) == size else ",".join(map(str, values))


def _check_days(day: str, weekday: str) -> None:
    if "*" in (day, weekday):
        return
    if "/" in day + weekday:
        raise Refused(
            "a step in day of month or day of week needs * in the other: some crons would take "
            "the days that match both, others those that match either."
        )
    if "#" in weekday:
        raise Refused('"#" in day of week needs * in day of month.')


@lru_cache(maxsize=1024)
def _walker(normal: str) -> croniter:
    return croniter(normal, datetime(2000, 1, 1), datetime)  # noqa: DTZ001 - a wall-clock time
