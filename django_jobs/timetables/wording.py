"""Owns how a schedule is said in plain words. What has no short form is said field by field.

Reads the values of a cron text, never its spelling: two texts with the same times get the same
words, and no shape is guessed.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import groupby

from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.translation import gettext, gettext_lazy, ngettext, pgettext

from django_jobs.timetables.cron import Cron
from django_jobs.timetables.fields import DAY, HOUR, MINUTE, MONTH, WEEKDAY
from django_jobs.timetables.timetable import Timetable

EVERY_DAY_OF_IT = (
    *(gettext_lazy("Sundays"), gettext_lazy("Mondays"), gettext_lazy("Tuesdays")),
    *(gettext_lazy("Wednesdays"), gettext_lazy("Thursdays"), gettext_lazy("Fridays")),
    gettext_lazy("Saturdays"),
)
NTH = (
    gettext_lazy("the first %(day)s"),
    gettext_lazy("the second %(day)s"),
    gettext_lazy("the third %(day)s"),
    gettext_lazy("the fourth %(day)s"),
    gettext_lazy("the fifth %(day)s"),
)
WORKING_DAYS = [1, 2, 3, 4, 5]
WEEKEND = [0, 6]
FEW = 4
"""So many times of the day are listed one by one."""
SHORTEST_RUN = 3
SPANS: tuple[tuple[timedelta, Callable[[int], str]], ...] = (
    (timedelta(days=1), lambda number: ngettext("every day", "every %(number)d days", number)),
    (timedelta(hours=1), lambda number: ngettext("every hour", "every %(number)d hours", number)),
    (
        timedelta(minutes=1),
        lambda number: ngettext("every minute", "every %(number)d minutes", number),
    ),
    (timedelta(seconds=1), lambda number: ngettext("every second", "every %(number)d s", number)),
)


def in_words(rule: Timetable | Cron | timedelta) -> str:
    """Return when `rule` happens, without a time zone: "at 02:00 every day"."""
    if isinstance(rule, Timetable):
        rule = rule.rule
    return _every(rule) if isinstance(rule, timedelta) else _cron(rule)


def _every(span: timedelta) -> str:
    size, words = next(pair for pair in SPANS if not span % pair[0])
    number = span // size
    return _filled(words(number), number=number)


def _cron(cron: Cron) -> str:
    _minute, _hour, day, month, weekday = cron.normal.split()
    minutes, hours = cron.times
    listed = len(minutes) * len(hours) <= FEW
    time = _clock_times(minutes, hours) if listed else _pace(minutes, hours)
    season = "" if month == "*" else _filled(gettext(" in %(months)s"), months=_months(month))
    if day == weekday == "*":
        every_day = gettext("%(time)s every day%(season)s")
        return _filled(every_day, time=time, season=season) if listed else f"{time}{season}"
    if listed and day == "*" and "#" not in weekday and not _is_part_of_week(weekday):
        text = gettext("every %(days)s%(season)s %(time)s")
        return _filled(text, days=_list(_names(weekday)), season=season, time=time)
    days = [] if day == "*" else [_of_months(_days(day), month)]
    if weekday != "*":
        nth = "#" in weekday
        days.append(_of_months(_nth(weekday), month) if nth else f"{_weekdays(weekday)}{season}")
    together = days[0]
    if len(days) > 1:
        together = _filled(gettext("%(one)s and also %(other)s"), one=days[0], other=days[1])
    return _filled(gettext("%(time)s %(days)s"), time=time, days=together)


def _clock_times(minutes: list[int], hours: list[int]) -> str:
    times = [_clock(hour, minute) for hour in hours for minute in minutes]
    return _filled(gettext("at %(times)s"), times=_list(times))


def _pace(minutes: list[int], hours: list[int]) -> str:
    together = hours[-1] - hours[0] + 1 == len(hours)
    step = _step(minutes, MINUTE.size)
    if step and not minutes[0] and together:
        text = _every(timedelta(minutes=step))
        if len(hours) == HOUR.size:
            return text
        start, end = _clock(hours[0], 0), _clock(hours[-1], MINUTE.high)
        return _filled(
            gettext("%(pace)s from %(start)s to %(end)s"), pace=text, start=start, end=end
        )
    if len(minutes) == 1 and (text := _hourly(minutes[0], hours, together=together)):
        return text
    hourly = len(hours) == HOUR.size
    of_hours = _filled(ngettext("hour %(runs)s", "hours %(runs)s", len(hours)), runs=_runs(hours))
    if len(minutes) == MINUTE.size:
        return _filled(gettext("every minute of %(hours)s"), hours=of_hours)
    at = ngettext("minute %(runs)s", "minutes %(runs)s", len(minutes))
    at = _filled(at, runs=_runs(minutes))
    if hourly:
        return _filled(gettext("at %(minutes)s of every hour"), minutes=at)
    return _filled(gettext("at %(minutes)s of %(hours)s"), minutes=at, hours=of_hours)


def _hourly(minute: int, hours: list[int], *, together: bool) -> str:
    step, start, end = _step(hours, HOUR.size), _clock(hours[0], minute), _clock(hours[-1], minute)
    pace = _every(timedelta(hours=step or 1))
    if step == 1:
        return "" if minute else pace
    if step:
        return _filled(gettext("%(pace)s from %(start)s"), pace=pace, start=start)
    if together:
        return _filled(
            gettext("%(pace)s from %(start)s to %(end)s"), pace=pace, start=start, end=end
        )
    return ""


def _step(values: list[int], size: int) -> int:
    """The distance of `values` that go round a clock evenly; 0 when they do not."""
    step = size // len(values)
    evenly = len(values) > 1 and values == [*range(values[0], size, step)]
    return step if evenly and step * len(values) == size else 0


def _days(day: str) -> str:
    if day == "l":
        return gettext("on the last day")
    days = DAY.values(day, "")
    return _filled(ngettext("on day %(runs)s", "on days %(runs)s", len(days)), runs=_runs(days))


def _of_months(days: str, month: str) -> str:
    if month == "*":
        return _filled(gettext("%(days)s of every month"), days=days)
    return _filled(gettext("%(days)s of %(months)s"), days=days, months=_months(month))


def _months(month: str) -> str:
    return _list([str(MONTHS[one]) for one in MONTH.values(month, "")])


def _nth(weekday: str) -> str:
    items = [item.split("#") for item in weekday.split(",")]
    days = [_filled(str(NTH[int(nth) - 1]), day=_name(int(day))) for day, nth in items]
    return _filled(pgettext("the first Monday", "on %(days)s"), days=_list(days))


def _is_part_of_week(weekday: str) -> bool:
    return WEEKDAY.values(weekday, "") in (WORKING_DAYS, WEEKEND)


def _weekdays(weekday: str) -> str:
    values = WEEKDAY.values(weekday, "")
    if values == WORKING_DAYS:
        return gettext("on weekdays")
    if values == WEEKEND:
        return gettext("on weekends")
    days = [str(EVERY_DAY_OF_IT[one]) for one in values]
    return _filled(gettext("on %(days)s"), days=_list(days))


def _names(weekday: str) -> list[str]:
    return [_name(one) for one in WEEKDAY.values(weekday, "")]


def _name(day: int) -> str:
    return str(WEEKDAYS[(day - 1) % 7])


def _runs(values: list[int]) -> str:
    """Name `values`, three or more in a row as a range: "0–4, 7 and 9"."""
    runs: list[str] = []
    for _place, group in groupby(enumerate(values), key=lambda pair: pair[1] - pair[0]):
        run = [value for _place, value in group]
        joined = len(run) >= SHORTEST_RUN
        runs += [f"{run[0]}–{run[-1]}"] if joined else map(str, run)
    return _list(runs)


def _clock(hour: int, minute: int) -> str:
    return f"{hour:02}:{minute:02}"


def _list(items: Sequence[str]) -> str:
    *most, last = items
    if not most:
        return last
    return _filled(gettext("%(most)s and %(last)s"), most=", ".join(most), last=last)


def _filled(text: str, **values: object) -> str:
    return text % values
