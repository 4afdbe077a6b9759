"""A schedule as people see it: its rule in words, where it stands, what comes next. Only reads.

A row in which somebody wrote nonsense is shown with what is wrong, and never breaks a page.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from django.utils import dateformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_jobs.conf import get_settings
from django_jobs.display import ago, as_written, duration, json_text, masked_arguments
from django_jobs.exceptions import InvalidSchedule
from django_jobs.models import Schedule
from django_jobs.models.schedules import CODE
from django_jobs.schedules.syncing import FIELDS, recalled
from django_jobs.states import WORDS
from django_jobs.timetables.planning import PUNCTUAL
from django_jobs.timetables.timetable import Mark, PlannedTime, load_zone
from django_jobs.timetables.wording import in_words

OFF = gettext_lazy(
    "Schedules are switched off (SCHEDULES_ENABLED): none of them enqueues anything."
)
ACTIVE, PAUSED, DISABLED, OVERDUE, OVER = "active", "paused", "disabled", "overdue", "over"
STATES = {
    ACTIVE: gettext_lazy("active"),
    PAUSED: gettext_lazy("paused"),
    DISABLED: gettext_lazy("disabled"),
    OVERDUE: gettext_lazy("overdue"),
    OVER: gettext_lazy("over"),
}
PAYLOAD = ("args", "kwargs")
"""The fields that hold arguments: who may see them is a matter of permission."""

MARKS = {
    Mark.PLAIN: "",
    Mark.MOVED: gettext_lazy("moved: its own time is skipped by the clock change"),
    Mark.REPEATED: gettext_lazy("the clock shows this hour twice"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """A field that somebody changed: what the code says, and what holds here."""

    field: str
    code: str
    here: str


def rule_text(row: Schedule) -> str:
    """Return the rule as it is written: the cron text, or the span."""
    if row.cron:
        return as_written(row.cron)
    return _("every %(span)s") % {"span": duration(row.every or timedelta())}


def rule_words(row: Schedule) -> str:
    """Return the rule in plain words, or what is wrong with it."""
    try:
        return in_words(row.timetable)
    except InvalidSchedule as problem:
        return str(problem)


def zone_of(row: Schedule) -> tzinfo:
    """Return the schedule's time zone, UTC where somebody wrote nonsense into the row."""
    try:
        return load_zone(row.timezone)
    except InvalidSchedule:
        return UTC


def local(instant: datetime, zone: tzinfo) -> str:
    """Return an instant on the clocks of `zone`: `Wed 2030-01-16 02:00 CET`."""
    seconds = ":s" if instant.second else ""
    return dateformat.format(instant.astimezone(zone), f"D Y-m-d H:i{seconds} T")


def standing(row: Schedule, now: datetime) -> str:
    """Return where the schedule stands, in words, with who or what stopped it."""
    word = state_of(row, now)
    by = {"by": _(" by %(who)s") % {"who": row.paused_by} if row.paused_by else ""}
    if word == PAUSED:
        text = _("paused%(by)s %(ago)s") % {**by, "ago": ago(row.paused_at, now)}
        return f"{text}: {row.paused_reason}" if row.paused_reason else text
    if word == DISABLED:
        text = _("disabled: %(reason)s") % {"reason": row.disabled_reason}
        return text + " " + _("It is paused%(by)s, too.") % by if row.paused_at else text
    if not get_settings().SCHEDULES_ENABLED:
        return _("off by SCHEDULES_ENABLED")
    if word == OVERDUE:
        if row.doubted_at is None:
            return _("overdue: no worker has dealt with it")
        return _("overdue: no worker was able to")
    return _("over: no planned time is left") if word == OVER else str(STATES[word])


def state_of(row: Schedule, now: datetime) -> str:
    """Return the one word for where the schedule stands, whatever the settings say."""
    if row.disabled_at is not None:
        return DISABLED
    if row.paused_at is not None:
        return PAUSED
    if row.next_run_at is None:
        return OVER
    return OVERDUE if row.next_run_at < now - PUNCTUAL else ACTIVE


def next_words(row: Schedule, now: datetime) -> str:
    """Return the next planned time in the schedule's zone and how far it is; "" for none."""
    if row.next_run_at is None:
        return ""
    return f"{local(row.next_run_at, zone_of(row))} ({ago(row.next_run_at, now)})"


def coming(row: Schedule, now: datetime, count: int) -> list[PlannedTime]:
    """Return the next planned times, also those that a pause would keep from happening."""
    try:
        return row.timetable.preview(now, count)
    except InvalidSchedule:
        return []


def origin(row: Schedule) -> str:
    """Return where the schedule comes from, and whether somebody changed it."""
    if row.source != CODE:
        return _("from the admin")
    return _("from code, changed here") if row.overrides else _("from code")


def changes(row: Schedule) -> list[Change]:
    """Return what was changed here of a schedule that code declares; secrets masked."""
    if row.source != CODE:
        return []
    code = recalled(row.declared)
    return [
        Change(field, value_text(row, field, code.get(field)), value_text(row, field, here))
        for field in FIELDS
        if field in row.overrides and code.get(field) != (here := getattr(row, field))
    ]


def value_text(row: Schedule, field: str, value: Any) -> str:
    """Return the value of a field as people read it, its secrets masked."""
    if value in (None, ""):
        return "–"
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, datetime):
        return local(value, zone_of(row))
    if field in ("missed", "overlap"):
        word = str(value).replace("_", " ")
        return str(WORDS.get(word, word))
    return as_written(_code_text(row, field, value))


def _code_text(row: Schedule, field: str, value: Any) -> str:
    if field == "args" and isinstance(value, list):
        return json_text(masked_arguments(row.job_name, value, {})[0])
    if field == "kwargs" and isinstance(value, dict):
        return json_text(masked_arguments(row.job_name, [], value)[1])
    return str(value)


def arguments(row: Schedule) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments; none where somebody wrote nonsense into the row."""
    by_place = row.args if isinstance(row.args, list) else []
    return by_place, row.kwargs if isinstance(row.kwargs, dict) else {}


def facts(row: Schedule, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield titles and texts: everything about the schedule but its arguments."""
    yield _("rule"), f"{rule_words(row)} ({rule_text(row)})"
    yield _("time zone"), row.timezone
    yield _("state"), standing(row, now)
    if row.next_run_at is not None:
        yield _("next"), next_words(row, now)
    yield _("job"), row.job_name
    yield _("source"), origin(row)
    for title, field in (
        (_("from"), "starts_at"),
        (_("until"), "ends_at"),
        (_("jitter"), "jitter"),
    ):
        if getattr(row, field):
            yield title, value_text(row, field, getattr(row, field))
    yield (
        _("missed"),
        _("%(what)s, within %(span)s")
        % {
            "what": value_text(row, "missed", row.missed),
            "span": duration(row.missed_within),
        },
    )
    yield _("overlap"), value_text(row, "overlap", row.overlap)
    yield _("made"), f"{local(row.created_at, UTC)} ({ago(row.created_at, now)})"
