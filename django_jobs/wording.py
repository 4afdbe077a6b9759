"""Owns how a schedule is said in plain English. What has no short form is said field by field.

Reads the values of a cron text, never its spelling: two texts with the same times get the same
words, and no shape is guessed.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

from django_jobs.cron_fields import DAY, HOUR, MINUTE, MONTH, WEEKDAY
from django_jobs.cron_text import Cron
from django_jobs.timetables import Timetable

MONTH_NAMES = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
DAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
ORDINALS = ("first", "second", "third", "fourth", "fifth")
WORKING_DAYS = [1, 2, 3, 4, 5]
WEEKEND = [0, 6]
FEW = 4
"""So many times of the day are listed one by one."""
SHORTEST_RUN = 3
SPANS = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))


def in_words(rule: Timetable | Cron | timedelta) -> str:
    """Return when `rule` happens, in English and without a time zone: "at 02:00 every day"."""
    if isinstance(rule, Timetable):
        rule = rule.rule
    return _every(rule) if isinstance(rule, timedelta) else _cron(rule)


def _every(span: timedelta) -> str:
    for size, unit in SPANS:
        if not span % size:
            return f"every {unit}" if span == size else f"every {span // size} {unit}s"
    seconds = span // timedelta(seconds=1)
    return "every second" if seconds == 1 else f"every {seconds} s"


def _cron(cron: Cron) -> str:
    _, _, day, month, weekday = cron.normal.split()
    minutes, hours = cron.times
    listed = len(minutes) * len(hours) <= FEW
    time = _clock_times(minutes, hours) if listed else _pace(minutes, hours)
    season = "" if month == "*" else f" in {_months(month)}"
    if day == weekday == "*":
        return f"{time} every day{season}" if listed else f"{time}{season}"
    weekdays = _weekdays(weekday, month)
    if listed and day == "*" and weekdays.startswith(DAY_NAMES):
        return f"every {_weekday_names(weekday)}{season} {time}"
    parts = [] if day == "*" else [f"on {_days(day)} of {_months(month)}"]
    if weekday != "*":
        parts.append(f"on {weekdays}" if "#" in weekday else f"on {weekdays}{season}")
    return f"{time} {' and also '.join(parts)}"


def _clock_times(minutes: list[int], hours: list[int]) -> str:
    return f"at {_list([_clock(hour, minute) for hour in hours for minute in minutes])}"


def _pace(minutes: list[int], hours: list[int]) -> str:
    together = hours[-1] - hours[0] + 1 == len(hours)
    step = _step(minutes, MINUTE.size)
    if step and not minutes[0] and together:
        text = "every minute" if step == 1 else f"every {step} minutes"
        window = f" from {_clock(hours[0], 0)} to {_clock(hours[-1], MINUTE.high)}"
        return text if len(hours) == HOUR.size else text + window
    if len(minutes) == 1 and (text := _hourly(minutes[0], hours, together=together)):
        return text
    of_hours = "every hour" if len(hours) == HOUR.size else _numbered("hour", hours)
    if len(minutes) == MINUTE.size:
        return f"every minute of {of_hours}"
    return f"at {_numbered('minute', minutes)} of {of_hours}"


def _hourly(minute: int, hours: list[int], *, together: bool) -> str:
    step = _step(hours, HOUR.size)
    if step == 1:
        return "" if minute else "every hour"
    if step:
        return f"every {step} hours from {_clock(hours[0], minute)}"
    if together:
        return f"every hour from {_clock(hours[0], minute)} to {_clock(hours[-1], minute)}"
    return ""


def _step(values: list[int], size: int) -> int:
    """The distance of `values` that go round a clock evenly; 0 when they do not."""
    step = size // len(values)
    evenly = len(values) > 1 and values == [*range(values[0], size, step)]
    return step if evenly and step * len(values) == size else 0


def _days(day: str) -> str:
    return "the last day" if day == "l" else _numbered("day", DAY.values(day, ""))


def _months(month: str) -> str:
    if month == "*":
        return "every month"
    return _list([MONTH_NAMES[one - 1] for one in MONTH.values(month, "")])


def _weekdays(weekday: str, month: str) -> str:
    if "#" in weekday:
        items = [item.split("#") for item in weekday.split(",")]
        nth = [f"the {ORDINALS[int(nth) - 1]} {DAY_NAMES[int(day)]}" for day, nth in items]
        return f"{_list(nth)} of {_months(month)}"
    values = WEEKDAY.values(weekday, "")
    if values in (WORKING_DAYS, WEEKEND):
        return "weekdays" if values == WORKING_DAYS else "weekends"
    return _list([f"{DAY_NAMES[one]}s" for one in values])


def _weekday_names(weekday: str) -> str:
    return _list([DAY_NAMES[one] for one in WEEKDAY.values(weekday, "")])


def _numbered(noun: str, values: list[int]) -> str:
    """Name `values` in words, three or more in a row as a range: "minutes 0–4, 7 and 9"."""
    runs: list[str] = []
    for _, group in groupby(enumerate(values), key=lambda pair: pair[1] - pair[0]):
        run = [value for _, value in group]
        joined = len(run) >= SHORTEST_RUN
        runs += [f"{run[0]}–{run[-1]}"] if joined else map(str, run)
    return f"{noun}{'s' if len(values) > 1 else ''} {_list(runs)}"


def _clock(hour: int, minute: int) -> str:
    return f"{hour:02}:{minute:02}"


def _list(items: Sequence[str]) -> str:
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last
