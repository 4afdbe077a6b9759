"""Owns all planned times of one schedule: which come next, which were the latest, how they spread.

Pure: instants come in and go out, aware and in UTC. Knows no job, and not what time it is.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from django_jobs.display import duration
from django_jobs.exceptions import InvalidSchedule
from django_jobs.registry import nearest
from django_jobs.serializers import clean_text
from django_jobs.timetables.cron import Cron, parse
from django_jobs.timetables.wall_clocks import TICK, WallClock, occurrences, shown

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_NAME = 255
LONGEST_EVERY = timedelta(days=3650)
LAST_YEAR = 9998
SECOND = timedelta(seconds=1)
NO_WAIT = timedelta(0)
DAY_MINUTES = 1440
# They resolve, but differ between machines or count leap seconds.
NOT_PLACES = {"localtime", "posixrules", "Factory", "posix", "right"}
# Etc/GMT+2 is two hours behind Greenwich: nobody means it.
NOT_MEANT = ("Etc/", "GMT")


class Mark(StrEnum):
    """What is special about a planned time on the clocks of its zone."""

    PLAIN = ""
    MOVED = "moved"
    """Its wall-clock time is skipped by the clock change; it is at the first valid minute."""
    REPEATED = "repeated"
    """The clock shows this hour twice on that day."""


@dataclass(frozen=True, slots=True)
class PlannedTime:
    """One planned time: the instant `at` in UTC, the same on the clock of the zone, its mark."""

    at: datetime
    local: datetime
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """All planned times of one schedule.

    `name`: 1 to 255 characters; it decides what `H` and the jitter draw. Exactly one of `cron`
    (see `cron_text.parse`) and `every` (whole seconds, 1 s to 3650 days; counted from `starts_at`, or
    from 1970 in UTC, hence the same everywhere). `timezone`: an IANA name (default "UTC"), whose
    clocks `cron` follows; `every` does not. `starts_at`, `ends_at`: aware, both included
    (default: none). `jitter`: whole seconds (default 0), less than the shortest time between two
    planned times. Raises InvalidSchedule with the name of the field.
    """

    name: str
    cron: str | None = None
    every: timedelta | None = None
    timezone: str = "UTC"
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    jitter: timedelta = NO_WAIT

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not 0 < len(self.name) <= LONGEST_NAME:
            raise InvalidSchedule(
                f"name must be a text of 1 to {LONGEST_NAME} characters, got {self.name!r}.", "name"
            )
        if clean_text(self.name) != self.name:
            raise InvalidSchedule(
                f"name has a NUL character or a lone surrogate: {self.name!r}.", "name"
            )
        _check_every(self.every, self.cron)
        if self.cron is not None:
            parse(self.cron, self.name)
        load_zone(self.timezone)
        _check_limit("starts_at", self.starts_at)
        _check_limit("ends_at", self.ends_at)
        if self.starts_at and self.ends_at and self.ends_at < self.starts_at:
            raise InvalidSchedule(
                f"ends_at ({self.ends_at}) is before starts_at ({self.starts_at}).", "ends_at"
            )
        _check_jitter(self)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return load_zone(self.timezone)

    @property
    def rule(self) -> Cron | timedelta:
        """What `cron` means, or `every`."""
        if self.every is not None:
            return self.every
        assert self.cron is not None
        return parse(self.cron, self.name)

    @property
    def shortest(self) -> timedelta:
        """The shortest time between two planned times, when no clock is changed."""
        rule = self.rule
        if isinstance(rule, timedelta):
            return rule
        minutes, hours = rule.times
        day = [hour * 60 + minute for hour in hours for minute in minutes]
        return timedelta(minutes=min(b - a for a, b in pairwise([*day, day[0] + DAY_MINUTES])))

    def next(self, after: datetime) -> datetime | None:
        """Return the first planned time later than `after` (aware), in UTC; None: never again.

        Raises ValueError when `after` is naive.
        """
        start = _aware(after)
        if self.starts_at is not None:
            start = max(start, self.starts_at.astimezone(UTC) - TICK)
        planned = self._next(start)
        return None if planned is None or (self.ends_at and planned > self.ends_at) else planned

    def latest(self, after: datetime, upto: datetime, limit: int) -> list[datetime]:
        """Return the newest planned times in (after, upto], at most `limit`, rising, in UTC.

        They are looked for from `upto` back: the years before cost nothing. Raises ValueError
        when a time is naive.
        """
        found: list[datetime] = []
        oldest, newest = _aware(after), _aware(upto)
        if self.starts_at is not None:
            oldest = max(oldest, self.starts_at.astimezone(UTC) - TICK)
        if self.ends_at is not None:
            newest = min(newest, self.ends_at.astimezone(UTC))
        while newest > oldest and len(found) < limit:
            planned = self._latest(newest)
            if planned is None or planned <= oldest:
                break
            found.append(planned)
            newest = planned - TICK
        return found[::-1]

    def count(self, after: datetime, upto: datetime, cap: int) -> int:
        """Return how many planned times lie in (after, upto], at most `cap`.

        Raises ValueError when a time is naive.
        """
        return len(self.latest(after, upto, cap))

    def jitter_for(self, planned: datetime) -> timedelta:
        """Return by how much the planned time is put off: 0 to `jitter`, whole seconds.

        The same for the same name and planned time, everywhere; never as far as the next one.
        """
        room = self.jitter
        following = self.next(planned) if room else None
        if following is not None:
            room = min(room, following - planned - SECOND)
        if room < SECOND:
            return NO_WAIT
        text = f"{planned.astimezone(UTC).isoformat()} {self.name}"
        drawn = int.from_bytes(sha256(text.encode()).digest()[:8])
        return SECOND * (drawn % (room // SECOND + 1))

    def preview(self, after: datetime, count: int) -> list[PlannedTime]:
        """Return the first `count` planned times later than `after` (aware), for people."""
        planned: list[PlannedTime] = []
        at = self.next(after)
        while at is not None and len(planned) < count:
            planned.append(PlannedTime(at, at.astimezone(self.zone), self._mark(at)))
            at = self.next(at)
        return planned

    def _next(self, after: datetime) -> datetime | None:
        try:
            if self.every is None:
                return self._wall_clock().next(after)
            anchor = self._anchor()
            return anchor + ((after - anchor) // self.every + 1) * self.every
        except OverflowError:  # the calendar ends
            return None

    def _latest(self, upto: datetime) -> datetime | None:
        try:
            if self.every is None:
                return self._wall_clock().latest(upto)
            anchor = self._anchor()
            return anchor + (upto - anchor) // self.every * self.every
        except OverflowError:  # the calendar begins
            return None

    def _anchor(self) -> datetime:
        return EPOCH if self.starts_at is None else self.starts_at.astimezone(UTC)

    def _wall_clock(self) -> WallClock:
        rule = self.rule
        assert isinstance(rule, Cron)
        return WallClock(rule, self.zone)

    def _mark(self, at: datetime) -> Mark:
        if len(occurrences(shown(at, self.zone), self.zone)) > 1:
            return Mark.REPEATED
        moved = self.every is None and not self._wall_clock().names(at)
        return Mark.MOVED if moved else Mark.PLAIN


def load_zone(name: str) -> ZoneInfo:
    """Return the time zone called `name`, an IANA name such as "Europe/Paris".

    Raises InvalidSchedule, field "timezone", with the name that was likely meant.
    """
    if not isinstance(name, str):
        raise InvalidSchedule(f'timezone must be a name such as "UTC", got {name!r}.', "timezone")
    zone = _zone(name[: LONGEST_NAME + 1])
    if zone is not None:
        return zone
    match = _likely_zone(name[:LONGEST_NAME].lower())
    hint = f'Did you mean "{match}"?' if match else 'Names are such as "Europe/Paris" or "UTC".'
    raise InvalidSchedule(f'"{name[:LONGEST_NAME]}" is not a time zone. {hint}', "timezone")


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    if name.partition("/")[0] in NOT_PLACES:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no path at all, or a folder
        return None


def _likely_zone(name: str) -> str | None:
    zones = _places()
    place = "/" + name.rpartition("/")[2].replace(" ", "_")
    same_place = sorted(zone for zone in zones if zone.endswith(place))
    match = next(iter(same_place), None) or nearest(name, sorted(zones))
    return zones[match] if match else None


@lru_cache(maxsize=1)
def _places() -> dict[str, str]:
    # It reads hundreds of files, and is needed for a message only.
    named = available_timezones() - NOT_PLACES
    return {zone.lower(): zone for zone in named if not zone.startswith(NOT_MEANT)}


def _check_every(every: timedelta | None, cron: str | None) -> None:
    if (every is None) == (cron is None):
        got = "neither" if cron is None else "both"
        raise InvalidSchedule(f"Give either cron or every, got {got}.", "cron")
    if every is None:
        return
    if not isinstance(every, timedelta) or not SECOND <= every <= LONGEST_EVERY:
        raise InvalidSchedule(
            f"every must be a timedelta of 1 s to {LONGEST_EVERY.days} days, got {every!r}.",
            "every",
        )
    if every % SECOND:
        raise InvalidSchedule(f"every must be whole seconds, got {every}.", "every")


def _check_limit(field: str, limit: datetime | None) -> None:
    if limit is None:
        return
    if not isinstance(limit, datetime):
        raise InvalidSchedule(f"{field} must be an aware datetime, got {limit!r}.", field)
    if limit.utcoffset() is None:
        raise InvalidSchedule(f"{field} ({limit}) is naive: it has no time zone.", field)
    if not EPOCH.year <= limit.year <= LAST_YEAR:
        raise InvalidSchedule(
            f"{field} must be in the years {EPOCH.year} to {LAST_YEAR}, got {limit.year}.", field
        )


def _check_jitter(timetable: Timetable) -> None:
    jitter = timetable.jitter
    if not isinstance(jitter, timedelta) or jitter < NO_WAIT or jitter % SECOND:
        raise InvalidSchedule(
            f"jitter must be a timedelta of whole seconds, 0 or more, got {jitter!r}.", "jitter"
        )
    if jitter and jitter >= timetable.shortest:
        raise InvalidSchedule(
            f"jitter must be less than {duration(timetable.shortest)}, the shortest time between "
            f"two planned times, got {duration(jitter)}.",
            "jitter",
        )


def _aware(instant: datetime) -> datetime:
    if instant.utcoffset() is None:
        raise ValueError(f"{instant!r} is naive: it has no time zone.")
    return instant.astimezone(UTC)
