"""Random cron texts for property tests, and what they mean, computed here once more."""

import calendar
from dataclasses import dataclass

from hypothesis import strategies as st

LIMITS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 6)}


@st.composite
def fields(draw, name, limits=None):
    """One field in a form that croniter, cronsim and we all read alike."""
    low, high = limits or LIMITS[name]
    number = st.integers(low, high)
    form = draw(st.sampled_from(["*", "one", "list", "range", "step", "range step"]))
    first, last = sorted(draw(st.lists(number, min_size=2, max_size=2, unique=True)))
    step = draw(st.integers(2, (high - low + 1) // 2))
    several = draw(st.lists(number, min_size=2, max_size=4, unique=True))
    return {
        "*": "*",
        "one": str(first),
        "list": ",".join(map(str, several)),
        "range": f"{first}-{last}",
        "step": f"*/{step}",
        "range step": f"{first}-{last}/{step}",
    }[form]


@st.composite
def days(draw):
    """Day of month and day of week: steps only where the other is free."""
    day = draw(st.one_of(fields("day"), st.just("L")))
    weekday = draw(st.one_of(fields("weekday"), st.sampled_from(["fri#2", "mon#1,wed#4", "0#5"])))
    if "*" not in (day, weekday) and ("/" in day + weekday or "#" in weekday):
        return draw(st.sampled_from([(day, "*"), ("*", weekday)]))
    return day, weekday


@st.composite
def texts(draw):
    """Five fields that come true: days of month beyond the 28th only where every month goes."""
    day, weekday = draw(days())
    month = draw(fields("month")) if day in ("*", "L") else "*"
    return f"{draw(fields('minute'))} {draw(fields('hour'))} {day} {month} {weekday}"


@st.composite
def nightly(draw):
    """Times of the first hours of every day, when clocks are changed."""
    return f"{draw(fields('minute'))} {draw(fields('hour', (0, 4)))} * * {draw(fields('weekday'))}"


@dataclass(frozen=True)
class Meaning:
    """The values of a normal text, and whether a wall-clock time is among its times."""

    normal: str

    def matches(self, wall):
        minute, hour, day, month, weekday = self.normal.split()
        if not all(
            text == "*" or str(value) in text.split(",")
            for text, value in ((minute, wall.minute), (hour, wall.hour), (month, wall.month))
        ):
            return False
        by_day = str(wall.day) in day.split(",")
        by_day |= day == "l" and wall.day == calendar.monthrange(wall.year, wall.month)[1]
        sunday_first = wall.isoweekday() % 7
        names = {str(sunday_first), f"{sunday_first}#{(wall.day + 6) // 7}"}
        by_weekday = bool(names & set(weekday.split(",")))
        if "*" in (day, weekday):
            return (day == "*" or by_day) and (weekday == "*" or by_weekday)
        return by_day or by_weekday
