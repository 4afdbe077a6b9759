"""The subcommands of `manage.py jobs` about schedules."""

from datetime import UTC, datetime, tzinfo
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.timezone import is_naive

from django_jobs import clock, schedules
from django_jobs.conf import get_settings
from django_jobs.display import ago, call_text, duration
from django_jobs.management.arguments import moment
from django_jobs.management.tables import write_facts, write_table
from django_jobs.models import Schedule
from django_jobs.schedules import history, portrait
from django_jobs.schedules.history import Record
from django_jobs.schedules.operating import named

COMING = 10
PAST = 20
BY = "manage.py jobs"


class ScheduleCommands(BaseCommand):
    """What `jobs` does to schedules."""

    def add_schedule_commands(self, commands: Any) -> None:
        """Declare the subcommands."""
        commands.add_parser("schedules", help="all schedules")
        texts = {
            "schedule": "everything about one schedule",
            "run-schedule": "enqueue its job at once",
            "pause-schedule": "let it enqueue nothing",
            "resume-schedule": "go on with a paused schedule",
            "backfill": "enqueue the jobs of past planned times that have none",
        }
        parsers = {name: commands.add_parser(name, help=text) for name, text in texts.items()}
        for parser in parsers.values():
            parser.add_argument("name", metavar="NAME")
        parsers["pause-schedule"].add_argument("--reason", default="", help="for others to read")
        parsers["resume-schedule"].add_argument(
            "--catch-up", action="store_true", help="enqueue the newest job of the pause now"
        )
        for end in ("start", "end"):
            text = "an ISO time; without an offset on the clocks of the schedule's zone"
            parsers["backfill"].add_argument(end, metavar=end.upper(), type=moment, help=text)

    def do_schedules(self, **_: Any) -> None:
        """Print all schedules, one per line."""
        now = clock.now()
        self._say_when_off()
        found = list(Schedule.objects.using(get_settings().DATABASE))
        newest = history.newest(found)
        rows = [
            (
                row.name,
                portrait.rule_words(row),
                row.timezone,
                portrait.next_words(row, now),
                _last(newest.get(row.pk), now),
                portrait.standing(row, now),
            )
            for row in found
        ]
        titles = ("NAME", "RULE", "ZONE", "NEXT", "LAST", "STATE")
        empty = "No schedules. Declare one: @job(schedule=cron(…)), then: python manage.py migrate"
        write_table(self.stdout, titles, rows, empty=empty)

    def do_schedule(self, name: str, **_: Any) -> None:
        """Print everything about one schedule."""
        row, now = named(name), clock.now()
        self._say_when_off()
        write_facts(self.stdout, [("schedule", row.name), *portrait.facts(row, now)])
        write_facts(self.stdout, [("call", call_text(row.job_name, *portrait.arguments(row)))])
        for change in portrait.changes(row):
            text = f"{change.field}: {change.here}; the code says {change.code}"
            write_facts(self.stdout, [("changed", text)])
        self.stdout.write("")
        zone = portrait.zone_of(row)
        coming = [
            (
                portrait.local(planned.at, zone),
                portrait.local(planned.at, UTC),
                ago(planned.at, now),
                str(portrait.MARKS[planned.mark]),
            )
            for planned in portrait.coming(row, now, COMING)
        ]
        write_table(
            self.stdout, ("NEXT", "IN UTC", "", ""), coming, empty="No planned time is left."
        )
        self.stdout.write("")
        past = [_past(record, zone) for record in history.recent(row, PAST)]
        titles = ("PLANNED", "OUTCOME", "LATE BY", "JOB", "JOB'S STATE")
        write_table(self.stdout, titles, past, empty="No planned time has come yet.")

    def do_run_schedule(self, name: str, **_: Any) -> None:
        """Enqueue the job of a schedule at once."""
        job_id = schedules.run_now(name, by=BY)
        self.stdout.write(f"Job #{job_id} is enqueued. The next planned time stays.")

    def do_pause_schedule(self, name: str, reason: str, **_: Any) -> None:
        """Pause a schedule."""
        changed = schedules.pause(name, by=BY, reason=reason)
        standing = portrait.standing(named(name), clock.now())
        text = "is paused. Its jobs go on." if changed else f"was paused already: {standing}."
        self.stdout.write(f'Schedule "{name}" {text}')

    def do_resume_schedule(self, name: str, *, catch_up: bool, **_: Any) -> None:
        """Resume a schedule."""
        changed = schedules.resume(name, catch_up=catch_up)
        row = named(name)
        following = portrait.next_words(row, clock.now()) or portrait.standing(row, clock.now())
        text = f"goes on: {following}." if changed else "was not paused."
        self.stdout.write(f'Schedule "{name}" {text}')

    def do_backfill(self, name: str, start: datetime, end: datetime, **_: Any) -> None:
        """Enqueue the jobs of past planned times that have none."""
        zone = portrait.zone_of(named(name))
        try:
            first, last = (
                at.replace(tzinfo=zone) if is_naive(at) else at.astimezone(zone)
                for at in (start, end)
            )
            ids = schedules.backfill(name, first, last, by=BY)
        except (ValueError, OverflowError) as problem:
            raise CommandError(str(problem)) from problem
        span = f"from {portrait.local(first, zone)} to {portrait.local(last, zone)}"
        if not ids:
            self.stdout.write(f"Nothing to do: {span} every planned time has its job.")
            return
        jobs = "1 job" if len(ids) == 1 else f"{len(ids):,} jobs, which run one after the other"
        self.stdout.write(f"Planned times {span}: {jobs}, #{ids[0]} to #{ids[-1]}.")

    def _say_when_off(self) -> None:
        if not get_settings().SCHEDULES_ENABLED:
            self.stdout.write(str(portrait.OFF))
            self.stdout.write("")


def _last(record: Record | None, now: datetime) -> str:
    if record is None:
        return ""
    late = f", {duration(record.late)} late" if record.late else ""
    return f"{record.summary}, {ago(record.at, now)}{late}"


def _past(record: Record, zone: tzinfo) -> tuple[str, ...]:
    since = f"{portrait.local(record.since, zone)} to " if record.since else ""
    return (
        f"{since}{portrait.local(record.at, zone)}",
        record.words,
        "" if record.late is None else duration(record.late),
        f"#{record.job_id}" if record.job_id else "",
        record.ending,
    )
