"""Owns how wall-clock times become instants when a zone's clock is put forward or back.

Fixed times happen once on every day: a repeated one at its first occurrence, a skipped one at the
first instant after the gap. Texts with `*` in minute or hour happen at every instant whose wall
clock matches: in both passes of a repeated hour, never in a gap. Knows no schedule.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django_jobs.timetables.cron import ONE_MINUTE, Cron

TICK = timedelta.resolution


@dataclass(frozen=True, slots=True)
class WallClock:
    """The instants at which `cron` happens on the clocks of `zone`."""

    cron: Cron
    zone: ZoneInfo

    def next(self, after: datetime) -> datetime | None:
        """Return the first instant later than `after` (aware), in UTC; None: never again."""
        return self._next_fixed(after) if self.cron.fixed else self._next_elapsed(after)

    def latest(self, upto: datetime) -> datetime | None:
        """Return the last instant not later than `upto` (aware), in UTC; None: never yet."""
        return self._latest_fixed(upto) if self.cron.fixed else self._latest_elapsed(upto)

    def names(self, instant: datetime) -> bool:
        """Return whether the wall clock at `instant` (aware) shows a time of the cron text."""
        wall = shown(instant, self.zone)
        return self.cron.next_wall(wall - ONE_MINUTE) == wall

    def _next_fixed(self, after: datetime) -> datetime | None:
        # first_instant() never falls while the wall clock rises: the first one later is the next.
        wall: datetime | None = shown(after, self.zone)
        while wall is not None and (wall := self.cron.next_wall(wall)) is not None:
            planned = first_instant(wall, self.zone)
            if planned > after:
                return planned
        return None

    def _latest_fixed(self, upto: datetime) -> datetime | None:
        wall: datetime | None = shown(upto, self.zone) + ONE_MINUTE
        if in_second_pass(upto, self.zone):
            # The rest of the repeated hour has happened, too: in the first pass.
            first, second = occurrences(shown(upto, self.zone), self.zone)
            wall = shown(upto, self.zone) + (second - first)
        while wall is not None and (wall := self.cron.previous_wall(wall)) is not None:
            planned = first_instant(wall, self.zone)
            if planned <= upto:
                return planned
        return None

    def _next_elapsed(self, after: datetime) -> datetime | None:
        wall = shown(after, self.zone)
        found = self._first_after(wall, after)
        if in_first_pass(after, self.zone):
            # Before the clock gets past the repeated hour, it runs through it again.
            back = clock_change(wall, self.zone)
            if found is None or found >= back:
                return self._first_after(shown(back, self.zone) - TICK, back - TICK)
        return found

    def _latest_elapsed(self, upto: datetime) -> datetime | None:
        wall = shown(upto, self.zone)
        found = self._last_upto(wall, upto)
        if in_second_pass(upto, self.zone):
            before = clock_change(wall, self.zone) - TICK
            if found is None or found <= before:
                return self._last_upto(shown(before, self.zone), before)
        return found

    def _first_after(self, start: datetime, after: datetime) -> datetime | None:
        wall = self.cron.next_wall(start)
        while wall is not None:
            instants = occurrences(wall, self.zone)
            for instant in instants:
                if instant > after:
                    return instant
            if not instants:  # a gap may be a whole day long: step over it at once
                wall = shown(clock_change(wall, self.zone), self.zone) - TICK
            wall = self.cron.next_wall(wall)
        return None

    def _last_upto(self, start: datetime, upto: datetime) -> datetime | None:
        wall = self.cron.previous_wall(start + TICK)
        while wall is not None:
            instants = occurrences(wall, self.zone)
            for instant in reversed(instants):
                if instant <= upto:
                    return instant
            if not instants:
                wall = shown(clock_change(wall, self.zone) - TICK, self.zone)
            wall = self.cron.previous_wall(wall)
        return None


def shown(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return what a clock in `zone` shows at `instant` (aware), naive."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def occurrences(wall: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Return the instants, in UTC, at which a clock in `zone` shows `wall`: none, one or two."""
    first, second = _readings(wall, zone)
    if first == second:
        return (first,)
    return (first, second) if first < second else ()


def first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when a clock in `zone` first shows `wall`, or has skipped it, in UTC."""
    instants = occurrences(wall, zone)
    return instants[0] if instants else clock_change(wall, zone)


def clock_change(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant, in UTC, of the change by which `zone` skips or repeats `wall`."""
    low, high = sorted(_readings(wall, zone))
    new = high.astimezone(zone).utcoffset()
    while high - low > TICK:
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == new:
            high = middle
        else:
            low = middle
    return high


def in_first_pass(instant: datetime, zone: ZoneInfo) -> bool:
    """Return whether the wall clock will show the time of `instant` a second time."""
    local = instant.astimezone(zone)
    return local.fold == 0 and len(occurrences(shown(instant, zone), zone)) > 1


def in_second_pass(instant: datetime, zone: ZoneInfo) -> bool:
    """Return whether the wall clock has shown the time of `instant` before."""
    return bool(instant.astimezone(zone).fold)


def _readings(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return first, wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
