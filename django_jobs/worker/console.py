"""How a worker speaks on its terminal: the banner, and one line per event."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import django
from django.core.management.color import color_style, supports_color
from django.db import connections
from django.utils import translation

from django_jobs import __version__, clock, registry
from django_jobs.conf import get_settings
from django_jobs.display import ago, duration
from django_jobs.models import Schedule
from django_jobs.reports.summary import backlog
from django_jobs.worker.options import WorkerOptions

FORMATS = ("text", "keyvalue", "json")
FORMAT_VARIABLE = "DJANGO_JOBS_LOG_FORMAT"
TRACEBACKS_VARIABLE = "DJANGO_JOBS_LOG_TRACEBACKS"
SHOWN = 3
MARKS = {
    "started": "·",
    "successful": "✓",
    "retried": "↻",
    "failed": "✗",
    "lost": "!",
    "fenced": "!",
    "cancelled": "‖",
    "snoozed": "◔",
    "suspended": "◔",
    "on_time": "⏱",
    "caught_up": "⏱",
    "skipped": "⏱",
    "missed": "!",
    "schedule_failed": "!",
}
STYLES = {"successful": "SUCCESS", "retried": "WARNING", "failed": "ERROR", "lost": "ERROR"}
FIELDS = (
    "event",
    "job_id",
    "job_name",
    "attempt",
    "queue",
    "seconds",
    "worker",
    "started",
    "finished",
    "schedule",
)


class LineFormatter(logging.Formatter):
    """One line per event; `tracebacks` of jobs that failed below it only where asked for."""

    def __init__(self, *, tracebacks: bool = False) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    def trace(self, record: logging.LogRecord) -> str:
        """Return the traceback that belongs to `record`, "" where there is none to show."""
        if record.exc_info:
            return self.formatException(record.exc_info)
        return getattr(record, "job_traceback", "") if self._tracebacks else ""

    def below(self, record: logging.LogRecord) -> str:
        """Return the same as what follows a line."""
        trace = self.trace(record)
        return f"\n{trace}" if trace else ""


class TerminalFormatter(LineFormatter):
    """`20:15:35  ✓ send_campaign #18  0.42 s`: for people who watch."""

    def __init__(self, *, coloured: bool = False, tracebacks: bool = False) -> None:
        super().__init__(tracebacks=tracebacks)
        self._style_of: Any = color_style() if coloured else None

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        event = getattr(record, "event", "")
        mark = MARKS.get(event, "!" if record.levelno >= logging.WARNING else " ")
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        line = f"{at:%H:%M:%S}  {mark} {record.getMessage()}"
        if self._style_of is not None and event in STYLES:
            line = getattr(self._style_of, STYLES[event])(line)
        return line + self.below(record)


class KeyValueFormatter(LineFormatter):
    """`time=… level=info event=successful job_id=18 …`: for log files, ASCII only."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        pairs = " ".join(f"{key}={_quoted(value)}" for key, value in _facts(record).items())
        return pairs + self.below(record)


class JSONFormatter(LineFormatter):
    """One JSON object a line: for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        facts = _facts(record)
        trace = self.trace(record)
        if trace:
            facts["traceback"] = trace
        return json.dumps(facts, default=str)


def prepare_logging(
    log_format: str | None = None, stream: TextIO | None = None, *, tracebacks: bool = False
) -> None:
    """Give the logger `django_jobs` a handler, unless the project has configured one.

    What was chosen is remembered in the environment, so that child processes speak alike.
    """
    logger = logging.getLogger("django_jobs")
    if logger.handlers or logging.getLogger().handlers:
        return
    stream = stream or sys.stdout
    wanted = os.environ.get(FORMAT_VARIABLE)
    chosen = log_format or wanted
    if chosen not in FORMATS:
        chosen = "text" if stream.isatty() else "keyvalue"
    os.environ[FORMAT_VARIABLE] = chosen
    if tracebacks:
        os.environ[TRACEBACKS_VARIABLE] = "1"
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(chosen, tracebacks=os.environ.get(TRACEBACKS_VARIABLE) == "1"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if wanted and wanted not in FORMATS:
        logger.warning("%s is %r; it is one of %s.", FORMAT_VARIABLE, wanted, ", ".join(FORMATS))


def on_terminal() -> bool:
    """Say whether people watch: our lines are in their form, and go to a terminal."""
    return any(
        isinstance(handler, logging.StreamHandler)
        and isinstance(handler.formatter, TerminalFormatter)
        and handler.stream.isatty()
        for handler in logging.getLogger("django_jobs").handlers
    )


@translation.override(None)
def banner(options: WorkerOptions, *, reloads: bool = False) -> list[str]:
    """Return the lines that a worker prints when it starts: in English, as all that it logs."""
    known = [definition.name for definition in registry.declared()]
    names = ", ".join(known[:SHOWN]) + (", …" if len(known) > SHOWN else "")
    queues = ", ".join(options.queues) or "all"
    threads = (
        f"{options.processes} × {options.threads}" if options.processes > 1 else options.threads
    )
    reload = "  reload on" if reloads else ""
    name = options.worker_name()
    lines = [
        f"django_jobs {__version__} · Django {django.get_version()} · {_database()} · worker {name}",
        f"queues    {queues:<24} jobs known  {len(known)}" + (f"  ({names})" if names else ""),
        f"threads   {threads!s:<24} async       {options.async_slots}{reload}",
        f"schedules {_schedules()}",
        f"waiting   {_waiting(options)}",
        (
            f"Ctrl-C finishes running jobs ({options.grace:g} s), "
            "a second Ctrl-C returns them to the queue."
        ),
    ]
    if not known:
        lines.append("No jobs are declared: put @job functions into jobs.py of an installed app.")
    return lines


def _schedules() -> str:
    """Return how many schedules are in force, and what comes next."""
    settings = get_settings()
    if not settings.SCHEDULES_ENABLED:
        return "off (SCHEDULES_ENABLED)"
    rows = Schedule.objects.using(settings.DATABASE)
    active = rows.filter(next_run_at__isnull=False).order_by("next_run_at")
    text, first = str(active.count()), active.first()
    if (paused := rows.filter(paused_at__isnull=False).count()) > 0:
        text += f" ({paused} paused)"
    if first is not None and first.next_run_at is not None:
        local = first.next_run_at.astimezone(ZoneInfo(first.timezone))
        away = ago(first.next_run_at, clock.now())
        text += f"  next: {first.name} {local:%H:%M} {first.timezone} ({away})"
    return text


def _waiting(options: WorkerOptions) -> str:
    """Return how many ready jobs there are, and for how long the oldest has been ready."""
    found = backlog(get_settings().DATABASE, options.queues)
    if found.oldest is None:
        return "nothing"
    age = max((clock.now() - found.oldest).total_seconds(), 0.0)
    more = " or more" if found.capped else ""
    return f"{found.waiting}  oldest {duration(round(age))}{more}"


def _database() -> str:
    connection: Any = connections[get_settings().DATABASE]
    if connection.vendor == "postgresql":
        version = connection.pg_version
        settings = get_settings()
        wake = "NOTIFY" if settings.LISTEN and not settings.POOLED else "polling"
        return f"PostgreSQL {version // 10000} (SKIP LOCKED, {wake})"
    if connection.vendor == "sqlite":
        return "SQLite: one writer, good for development and small sites"
    return str(connection.display_name)


def _formatter(name: str, *, tracebacks: bool) -> logging.Formatter:
    if name == "json":
        return JSONFormatter(tracebacks=tracebacks)
    if name == "keyvalue":
        return KeyValueFormatter(tracebacks=tracebacks)
    return TerminalFormatter(coloured=supports_color(), tracebacks=tracebacks)


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    at = datetime.fromtimestamp(record.created, UTC)
    facts: dict[str, Any] = {
        "time": at.isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
    }
    for field in FIELDS:
        if hasattr(record, field):
            facts[field] = getattr(record, field)
    facts["message"] = record.getMessage()
    return facts


def _quoted(value: object) -> str:
    text = str(value)
    plain = text.isascii() and text.isprintable() and text and not set(text) & set(' "=')
    return text if plain else json.dumps(text)
