"""Tells the world what jobs do: log lines and signals, from a thread of its own.

Keeps the coordinator and the job threads free of both. Above 200 jobs a second starts and
successes are folded into one line a second and job name; failures never are.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from django.conf import settings as django_settings
from django.db import close_old_connections, connections
from django.urls import set_script_prefix

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.engines.base import ClaimedJob
from django_jobs.handles import admin_path
from django_jobs.signals import job_finished, job_started
from django_jobs.states import RunOutcome, State, Transition
from django_jobs.worker.leftovers import clear_away

logger = logging.getLogger("django_jobs.job")

FOLD_ABOVE = 400
"""Events in a second; a job has two of them, so this is 200 jobs."""

SECOND = 1.0

ANY_ID = 9_007_199_254_740_993
"""A job's number that stands in no address by chance."""


class Start(NamedTuple):
    """A job has started."""

    claimed: ClaimedJob


class End(NamedTuple):
    """The end of a run is written; `fenced`: it was refused, the job is not ours any more.

    `result` is what may be shown of the result: masked and short. `waited`: seconds from due to
    begun, `None` when it has not; `ended`: when, by the monotonic clock.
    """

    claimed: ClaimedJob
    transition: Transition
    seconds: float
    fenced: bool = False
    result: str = ""
    waited: float | None = None
    ended: float = 0.0


Event = Start | End


class Journal:
    """Takes events in batches and logs them; `count` gets them first, in the caller's thread."""

    def __init__(self, count: Callable[[list["Event"]], None] | None = None) -> None:
        self._count = count
        self._inbox: SimpleQueue[list[Event] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._folding = Folding()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def write(self, events: list[Event]) -> None:
        """Take events; returns at once."""
        if events:
            if self._count is not None:
                self._count(events)
            self._inbox.put(events)

    def stop(self, timeout: float) -> None:
        """Write what was taken, then end; waits at most `timeout` seconds."""
        self._inbox.put(None)
        self._thread.join(timeout)

    def _work(self) -> None:
        while True:
            try:
                events = self._inbox.get(timeout=SECOND if self._folding.pending else None)
            except Empty:
                _survive(self._folding.flush)
                continue
            if events is None:
                break
            for event in events:
                _survive(self._folding.take, event)
            _survive(signal, events)
        _survive(self._folding.flush)
        connections.close_all()


def _survive(tell: Callable[..., None], *what: Any) -> None:
    """Tell what is to be told, and go on although a filter or a receiver of the project breaks.

    Without this thread nothing would be told any more, and what is not told would pile up.
    """
    try:
        tell(*what)
    except BaseException:
        with suppress(BaseException):  # the same filter may refuse this line, too
            logger.exception("A log line or a signal about jobs could not be delivered.")


class Folding:
    """Decides for each event whether it gets a line of its own."""

    def __init__(self) -> None:
        self._all = get_settings().LOG_JOBS == "all"
        self._second = 0.0
        self._in_second = 0
        self._starts: Counter[str] = Counter()
        self._successes: Counter[str] = Counter()

    @property
    def pending(self) -> bool:
        """Whether folded events wait for their line."""
        return bool(self._starts or self._successes)

    def take(self, event: Event) -> None:
        """Log `event` now, or count it."""
        now = clock.monotonic()
        if now - self._second >= SECOND:
            self.flush()
            self._second, self._in_second = now, 0
        self._in_second += 1
        if self._all or self._in_second <= FOLD_ABOVE or not _is_ordinary(event):
            log(event)
        elif isinstance(event, Start):
            self._starts[event.claimed.name] += 1
        else:
            self._successes[event.claimed.name] += 1

    def flush(self) -> None:
        """Write one line for each job name with folded events."""
        for name in sorted(self._starts.keys() | self._successes.keys()):
            starts, successes = self._starts[name], self._successes[name]
            extra = {"event": "folded", "job_name": name, "started": starts, "finished": successes}
            logger.info(
                "%s: %d more started, %d more finished",
                _short(name),
                starts,
                successes,
                extra=extra,
            )
        self._starts.clear()
        self._successes.clear()


def log(event: Event) -> None:
    """Write one line about `event`."""
    claimed = event.claimed
    extra = {"job_id": claimed.id, "job_name": claimed.name, "attempt": claimed.attempt}
    extra |= {"queue": claimed.queue, "event": "started"}
    if isinstance(event, Start):
        logger.info("%s #%d started", _short(claimed.name), claimed.id, extra=extra)
        return
    level, name, text = _sentence(event)
    extra |= {"event": name, "seconds": round(event.seconds, 3)}
    if event.transition.error is not None:
        extra["job_traceback"] = event.transition.error.traceback
    logger.log(level, "%s #%d %s", _short(claimed.name), claimed.id, text, extra=extra)


def signal(events: list[Event]) -> None:
    """Send the signals of `events` to whoever listens."""
    starts, ends = job_started.has_listeners(), job_finished.has_listeners()
    if not (starts or ends):
        return
    close_old_connections()
    for event in events:
        if isinstance(event, Start) and starts:
            job_started.send_robust(sender=event.claimed.name, claimed=event.claimed)
        elif isinstance(event, End) and ends and not event.fenced:
            job_finished.send_robust(
                sender=event.claimed.name, claimed=event.claimed, transition=event.transition
            )
    clear_away()


def _is_ordinary(event: Event) -> bool:
    if isinstance(event, Start):
        return True
    return event.transition.outcome is RunOutcome.SUCCESSFUL and not event.fenced


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _sentence(event: End) -> tuple[int, str, str]:
    """Return the level, the event's name and what happened, in words."""
    if event.fenced:
        text = "ended after its lease was lost; nothing was written, it runs or ran elsewhere"
        return logging.WARNING, "fenced", text
    transition = event.transition
    if transition.error is not None:
        return _trouble(event)
    if transition.outcome is RunOutcome.SUCCESSFUL:
        text = f"{event.seconds:.2f} s" + (f" -> {event.result}" if event.result else "")
    elif transition.outcome is RunOutcome.SNOOZED:
        text = f"snoozed, runs again {_when(transition)}"
    elif transition.outcome is RunOutcome.SUSPENDED:
        limit = f", until {_when(transition).removeprefix('at ')}" if transition.again else ""
        text = f"waits for {transition.waits_for or 'an event'}{limit}"
    elif transition.outcome is RunOutcome.CANCELLED:
        text = f"cancelled: {transition.reason}".rstrip(": ")
    else:
        text = f"{transition.outcome}, handed back"
    return logging.INFO, str(transition.outcome), text


def _trouble(event: End) -> tuple[int, str, str]:
    claimed, transition = event.claimed, event.transition
    assert transition.error is not None
    problem = f"{_short(transition.error.type)}: {transition.error.message}".rstrip(": ")
    if transition.to is State.FAILED:
        count = f"{claimed.attempt} attempt{'s' if claimed.attempt > 1 else ''}"
        page = _page(claimed.id)
        return logging.ERROR, "failed", f"failed after {count}: {problem}  {page}".rstrip()
    tries = f"{transition.reason or f'attempt {claimed.attempt}'}/{claimed.max_attempts}"
    return logging.WARNING, "retried", f"{tries} failed: {problem}  retry {_when(transition)}"


def _page(job_id: int) -> str:
    """Return the path of the job's page in the admin, "" where there is none."""
    before, found, after = _any_page().partition(str(ANY_ID))
    return f"{before}{job_id}{after}" if found else ""


@cache
def _any_page() -> str:
    """Return the path of the page of job `ANY_ID`: an address is resolved once in a process."""
    try:
        if django_settings.FORCE_SCRIPT_NAME:  # Django sets it for the main thread only
            set_script_prefix(django_settings.FORCE_SCRIPT_NAME)
        return admin_path(ANY_ID)
    except Exception:  # noqa: BLE001 - the project's URLs may break; the line must be written
        return ""


def _when(transition: Transition) -> str:
    if transition.again is None:
        return "now"
    if transition.again.instant is not None:
        return f"at {transition.again.instant:%Y-%m-%d %H:%M:%S %Z}"
    return f"in {transition.again.seconds:.3g} s"
