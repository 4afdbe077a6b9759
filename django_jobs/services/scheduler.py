"""Lets schedules enqueue their jobs, and says what became of each planned time."""

import logging
from datetime import datetime
from typing import Any

from django_jobs import clock
from django_jobs.announcements import announce
from django_jobs.engines.base import Engine
from django_jobs.schedules import Dealt, Ticker
from django_jobs.services.base import Service
from django_jobs.timetables.planning import TickOutcome

logger = logging.getLogger("django_jobs.schedule")

LONGEST = 10.0
"""Seconds between two looks: what people change in schedules is seen after that."""

HELD = 1.0
"""Seconds between two looks while a job waits for the one before it."""

GIVE_UP = 60.0
PAGE = 100


class Releaser(Service):
    """Lets jobs of schedules run whose predecessors have ended; alone where schedules are off."""

    interval = LONGEST
    jitter = 0.1

    def run(self, engine: Engine) -> set[str]:
        """Release what may go on; look again soon while something is held."""
        queues, held = engine.release_held(PAGE, clock.now_or_none())
        announce(engine.connection, sorted(queues))
        if held:
            self._due_at = min(self._due_at, clock.monotonic() + HELD)
        return queues


class Scheduler(Service):
    """Looks when the next schedule is due, and every ten seconds."""

    interval = LONGEST
    jitter = 0.1

    def __init__(self) -> None:
        super().__init__()
        self._ticker = Ticker()
        self._give_up_at = 0.0

    def run(self, engine: Engine) -> set[str]:
        """Deal with what is due; plan the next look."""
        queues, held = engine.release_held(PAGE, clock.now_or_none())
        wait = self._ticker.wait(engine)
        if wait is not None and wait <= 0:
            for dealt in self._ticker.run(engine):
                report(dealt)
                queues |= dealt.queues
            wait = self._ticker.wait(engine)
        announce(engine.connection, sorted(queues))
        self._give_up(engine)
        longest = HELD if held else LONGEST
        soon = longest if wait is None else min(max(wait, 0.0), longest)
        self._due_at = min(self._due_at, clock.monotonic() + soon)
        return queues

    def _give_up(self, engine: Engine) -> None:
        if clock.monotonic() < self._give_up_at:
            return
        self._give_up_at = clock.monotonic() + GIVE_UP
        for name, reason in self._ticker.give_up(engine):
            logger.error(
                "Schedule %s is disabled: %s",
                name,
                reason,
                extra={"event": "schedule_failed", "schedule": name},
            )


def report(dealt: Dealt) -> None:
    """Log what became of the planned times of one schedule; all missed ones in one line."""
    name = dealt.schedule.name
    missed = [planned for planned in dealt.plan.times if planned.outcome is TickOutcome.MISSED]
    if missed:
        text = "Schedule %s: %d planned time(s) missed, from %s"
        count = sum(planned.count for planned in missed)
        event = {"event": str(TickOutcome.MISSED), "schedule": name}
        logger.warning(text, name, count, _moment(missed[0].at), extra=event)
    for planned in dealt.plan.times:
        extra: dict[str, Any] = {"event": str(planned.outcome), "schedule": name}
        job_id = dealt.jobs.get(planned.at)
        if job_id is not None:
            extra |= {"job_id": job_id, "job_name": dealt.schedule.job_name}
            short = dealt.schedule.job_name.rpartition(".")[2]
            text = "%s #%d from schedule %s, planned for %s"
            logger.info(text, short, job_id, name, _moment(planned.at), extra=extra)
        elif planned.outcome is TickOutcome.SKIPPED:
            text = "Schedule %s: %s is skipped, the job before it has not ended"
            logger.info(text, name, _moment(planned.at), extra=extra)


def _moment(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
