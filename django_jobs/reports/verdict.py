"""What is wrong with the jobs, the worst first, each with the one thing that mends it.

Judges an overview and reads nothing itself, so that the dashboard, `health.json` and
`jobs status` can never disagree.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.display import ago, duration, grouped
from django_jobs.reports.calm import FEW, SHARE, SPIKE, clear_for
from django_jobs.reports.error_groups import RECENT, ErrorGroup
from django_jobs.reports.overview import (
    ERRORS,
    NEXT,
    NUMBERS,
    QUEUES,
    RUNNING,
    SCHEDULES,
    WORKERS,
    Amount,
    Overview,
    QueueState,
    look,
)
from django_jobs.reports.problems import Fix, Level, Operation, Problem
from django_jobs.reports.resting import Resting, resting
from django_jobs.states import Wish
from django_jobs.timetables.planning import PUNCTUAL

NAMED = 5
"""So many queues, workers or errors are told of by one rule."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """All problems, the worst first; or for how long there has been none, in words, if known."""

    problems: tuple[Problem, ...]
    clear_for: str = ""

    @property
    def level(self) -> Level:
        """How bad the worst is."""
        return self.problems[0].level if self.problems else Level.OK

    @property
    def headline(self) -> str:
        """The number of problems in words, or that there is none."""
        number = len(self.problems)
        if not number:
            span = self.clear_for
            return _("All clear for %(span)s") % {"span": span} if span else _("All clear")
        return ngettext("%(number)d problem", "%(number)d problems", number) % {"number": number}


def verdict() -> Verdict:
    """Return what is wrong now."""
    return judge(look(get_settings().DATABASE, clock.now()))


def judge(seen: Overview) -> Verdict:
    """Return what is wrong in `seen`, by rules of falling weight."""
    found = [problem for rule in RULES for problem in rule(seen)]
    ordered = sorted(found, key=lambda problem: problem.level is not Level.BAD)
    return Verdict(tuple(ordered), "" if found else clear_for(seen))


def no_worker(seen: Overview) -> Iterator[Problem]:
    """Yield that work waits and nobody at all is there to do it."""
    late = _late(seen)
    if WORKERS in seen.slow or seen.alive or not (seen.ready.number or seen.due_since or late):
        return
    parts = []
    if seen.ready.number or seen.due_since:
        parts.append(_waiting(seen.ready) if seen.ready.number else _("jobs are due"))
    oldest = [at for at in (seen.due_since, *(queue.oldest for queue in seen.queues)) if at]
    if oldest:
        span = duration(seen.now - min(oldest))
        parts.append(_("the oldest for %(span)s") % {"span": span})
    if late:
        parts.append(_schedules_late(late))
    text = _("No worker is alive: %(what)s.") % {"what": ", ".join(parts)}
    if seen.workers:
        last = max(worker.beat_at for worker in seen.workers)
        text += " " + _("The last one was heard of %(ago)s.") % {"ago": ago(last, seen.now)}
    yield Problem("no-worker", Level.BAD, text, "python manage.py runworker")


def unserved_queue(seen: Overview) -> Iterator[Problem]:
    """Yield the queues in which work waits while those who are alive serve others."""
    if not seen.alive:
        return
    for queue in islice((queue for queue in _open(seen) if not queue.workers), NAMED):
        if rest := resting(seen.workers, queue.row.name):
            yield _unserved_by(rest, queue, seen)
            continue
        text = _(
            "No living worker serves the queue “%(queue)s”: %(what)s, the oldest for %(span)s."
        )
        advice = f"python manage.py runworker --queues {queue.row.name}"
        name = queue.row.name
        yield Problem("unserved-queue", Level.BAD, text % _facts(queue, seen), advice, queue=name)


def _unserved_by(rest: Resting, queue: QueueState, seen: Overview) -> Problem:
    """Return that those who would serve a queue are told to be quiet, or to stop."""
    names = rest.names
    facts = {**_facts(queue, seen), "names": ", ".join(names[:NAMED])}
    facts["names"] += " …" if len(names) > NAMED else ""
    advice, fix = f"python manage.py runworker --queues {queue.row.name}", None
    if rest.wish is Wish.STOP:
        text = ngettext(
            "The worker that serves the queue “%(queue)s” is to stop (%(names)s): %(what)s, the "
            "oldest for %(span)s.",
            "All workers that serve the queue “%(queue)s” are to stop (%(names)s): %(what)s, the "
            "oldest for %(span)s.",
            len(names),
        )
    else:
        text = ngettext(
            "The worker that serves the queue “%(queue)s” is to be quiet (%(names)s): %(what)s, "
            "the oldest for %(span)s.",
            "All workers that serve the queue “%(queue)s” are to be quiet (%(names)s): %(what)s, "
            "the oldest for %(span)s.",
            len(names),
        )
        advice = f"python manage.py jobs workers --resume {names[0]}"
        if rest.together:
            advice, fix = "", Fix(Operation.GO_ON, names[0])
    name = queue.row.name
    text %= facts
    return Problem("unserved-queue", Level.BAD, text, advice, fix, name, is_of_workers=True)


def late_schedule(seen: Overview) -> Iterator[Problem]:
    """Yield that planned times have come and no worker has dealt with them."""
    late = _late(seen)
    if not late or not seen.alive:
        return
    first = seen.schedules[0]
    assert first.next_run_at is not None
    text = _("%(late)s: “%(name)s” was due %(ago)s.") % {
        "late": _schedules_late(late),
        "name": first.name,
        "ago": ago(first.next_run_at, seen.now),
    }
    advice = "" if first.doubted_at is None else _("No worker was able to; their logs say why.")
    yield Problem("late-schedule", Level.BAD, text[:1].upper() + text[1:], advice)


def missed_schedule(seen: Overview) -> Iterator[Problem]:
    """Yield the schedules that did not run when they should have, and have not since."""
    if not get_settings().SCHEDULES_ENABLED:
        return
    for missed in seen.missed[:NAMED]:
        text = _(
            "“%(name)s” was missed: it was due %(ago)s, no worker was there in time, and it has "
            "not run since."
        ) % {"name": missed.name, "ago": ago(missed.at, seen.now)}
        yield Problem("missed-schedule", Level.WARNING, text, schedule_id=missed.schedule_id)


def silent_worker(seen: Overview) -> Iterator[Problem]:
    """Yield the workers that are silent and hold jobs which nobody has taken back."""
    helped = seen.alive or WORKERS in seen.slow
    # Living workers look for such jobs by themselves, every quarter of a lease.
    grace = timedelta(seconds=2 * get_settings().extend_interval if helped else 0)
    for worker in islice((item for item in seen.silent if item.since < seen.now - grace), NAMED):
        number = len(worker.job_ids)
        text = ngettext(
            "The worker %(name)s is silent since its lease ended %(ago)s, with %(number)s job.",
            "The worker %(name)s is silent since its lease ended %(ago)s, with %(number)s jobs.",
            number,
        ) % {"name": worker.name, "ago": ago(worker.since, seen.now), "number": grouped(number)}
        fix = Fix(Operation.REQUEUE, worker.name, number, worker.job_ids[:NAMED])
        yield Problem("silent-worker", Level.BAD, text, fix=fix)


def failure_spike(seen: Overview) -> Iterator[Problem]:
    """Yield the errors that have struck many jobs just now, and that nobody has muted."""
    for group in islice((group for group in seen.groups if _strikes(group, seen)), NAMED):
        often = group.recent < SPIKE
        text = _("%(recent)s jobs of %(job)s failed within %(span)s: %(error)s")
        if often:
            text = _(
                "%(recent)s jobs of %(job)s failed within %(span)s, %(share)s of what finished: "
                "%(error)s"
            )
        text %= {
            "recent": grouped(group.measured if often else group.recent),
            "share": f"{_share(group, seen):.0%}",
            "job": group.newest.name.rpartition(".")[2],
            "span": duration(RECENT),
            "error": group.newest.error or _("without an error on record"),
        }
        newest = (group.newest.job_id,)
        fix = Fix(Operation.RETRY, group.fingerprint, group.count, newest)
        yield Problem("failure-spike", Level.BAD, text, fix=fix)


def overdue_run(seen: Overview) -> Iterator[Problem]:
    """Yield the runs that their time limit has not ended."""
    for run in seen.overdue[:NAMED]:
        text = _("%(job)s #%(id)s runs for %(span)s; its time limit is %(limit)s.") % {
            "job": run.name.rpartition(".")[2],
            "id": run.job_id,
            "span": duration(round((seen.now - run.since).total_seconds())),
            "limit": duration(run.limit),
        }
        if run.asked:
            text += " " + _("It was asked to stop %(ago)s.") % {"ago": ago(run.asked, seen.now)}
        operation = Operation.FORCE if run.asked else Operation.CANCEL
        fix = Fix(operation, str(run.job_id), 1, (run.job_id,))
        yield Problem("overdue-run", Level.WARNING, text, fix=fix)


def slow_queue(seen: Overview) -> Iterator[Problem]:
    """Yield the queues that are served, but not fast enough."""
    slow = (queue for queue in _open(seen) if queue.workers and queue.is_late(seen.now))
    for queue in islice(slow, NAMED):
        text = _("Jobs wait too long in the queue “%(queue)s”: %(what)s, the oldest for %(span)s.")
        name = queue.row.name
        yield Problem("slow-queue", Level.WARNING, text % _facts(queue, seen), queue=name)


def paused_queue(seen: Overview) -> Iterator[Problem]:
    """Yield the queues that are paused while work waits in them."""
    for queue in islice(
        (queue for queue in seen.queues if queue.paused and queue.waiting.number), NAMED
    ):
        row = queue.row
        by = _(" by %(who)s") % {"who": row.paused_by} if row.paused_by else ""
        reason = f" ({row.paused_reason})" if row.paused_reason else ""
        text = _("The queue “%(queue)s” was paused%(by)s %(ago)s%(reason)s: %(what)s.") % {
            "queue": row.name,
            "by": by,
            "ago": ago(row.paused_at, seen.now),
            "reason": reason,
            "what": _waiting(queue.waiting),
        }
        fix = Fix(Operation.RESUME, row.name, queue.waiting.number)
        yield Problem("paused-queue", Level.WARNING, text, fix=fix, queue=row.name)


def no_cleaning(seen: Overview) -> Iterator[Problem]:
    """Yield that workers live, and what should be deleted is not."""
    settings = get_settings()
    if seen.alive and (seen.kept.number or seen.stale.number):
        number, days = seen.kept, settings.RETENTION_FAILED
        text = _(
            "%(number)s failed jobs are older than RETENTION_FAILED (%(days)s days) by more than "
            "a day: nobody cleans up."
        )
        if not number.number:
            number, days = seen.stale, settings.RETENTION_SUCCESSFUL
            text = _(
                "%(number)s of the oldest jobs are successful, and older than "
                "RETENTION_SUCCESSFUL (%(days)s days) by more than two days: nobody cleans up."
            )
        facts = {"number": number, "days": f"{days:g}"}
        advice = _("The workers' logs say why.")
        yield Problem("no-cleaning", Level.WARNING, text % facts, advice)


def many_jobs(seen: Overview) -> Iterator[Problem]:
    """Yield that there are more jobs on record than the project wants to have."""
    most = get_settings().WARN_JOBS
    if most and seen.rows is not None and seen.rows > most:
        text = _("About %(number)s jobs are on record, more than WARN_JOBS (%(most)s).") % {
            "number": grouped(seen.rows),
            "most": grouped(most),
        }
        advice = _("RETENTION_SUCCESSFUL and RETENTION_FAILED say how long they are kept.")
        yield Problem("many-jobs", Level.WARNING, text, advice)


def given_up_event(seen: Overview) -> Iterator[Problem]:
    """Yield that events started and woke nothing, because handing them out has failed."""
    if seen.given_up:
        text = ngettext(
            "%(number)s event of the last 24 hours could not be handed out.",
            "%(number)s events of the last 24 hours could not be handed out.",
            seen.given_up,
        ) % {"number": grouped(seen.given_up)}
        advice = "python manage.py jobs events --problems"
        yield Problem("given-up-event", Level.WARNING, text, advice)


def too_slow(seen: Overview) -> Iterator[Problem]:
    """Yield that some of it could not be judged: the database took too long to answer."""
    if seen.slow:
        text = _("Too slow to compute, so that nobody knows: %(parts)s.")
        parts = ", ".join(part_words()[part] for part in sorted(seen.slow))
        yield Problem("too-slow", Level.WARNING, text % {"parts": parts})


def part_words() -> dict[str, str]:
    """Return the parts of an overview in words."""
    return {
        WORKERS: _("workers"),
        RUNNING: _("running jobs"),
        ERRORS: _("failed jobs"),
        QUEUES: _("queues"),
        SCHEDULES: _("schedules"),
        NUMBERS: _("numbers"),
    }


RULES: tuple[Callable[[Overview], Iterator[Problem]], ...] = (
    no_worker,
    unserved_queue,
    late_schedule,
    silent_worker,
    failure_spike,
    slow_queue,
    paused_queue,
    overdue_run,
    missed_schedule,
    given_up_event,
    no_cleaning,
    many_jobs,
    too_slow,
)


def _strikes(group: ErrorGroup, seen: Overview) -> bool:
    """Say whether an error strikes many jobs just now, or a good part of the few there are."""
    if group.muted is not None:
        return False
    finished = seen.recent.speed.finished
    often = group.measured >= FEW and group.measured > SHARE * finished > 0
    return group.recent >= SPIKE or often


def _share(group: ErrorGroup, seen: Overview) -> float:
    # Not every failure is among the figures: a job that nobody knows fails without a run.
    return group.measured / max(seen.recent.speed.finished, group.measured, 1)


def _open(seen: Overview) -> Iterator[QueueState]:
    return (queue for queue in seen.queues if queue.waiting.number and not queue.paused)


def _late(seen: Overview) -> int:
    if not get_settings().SCHEDULES_ENABLED:
        return 0
    limit = seen.now - PUNCTUAL
    return sum(row.next_run_at is not None and row.next_run_at < limit for row in seen.schedules)


def _schedules_late(number: int) -> str:
    text = ngettext("%(number)s schedule is late", "%(number)s schedules are late", number)
    return text % {"number": f"{number}+" if number >= NEXT else number}


def _facts(queue: QueueState, seen: Overview) -> dict[str, str]:
    span = duration(seen.now - (queue.oldest or seen.now))
    return {"queue": queue.row.name, "what": _waiting(queue.waiting), "span": span}


def _waiting(amount: Amount) -> str:
    text = ngettext("%(number)s job waits", "%(number)s jobs wait", amount.number)
    return text % {"number": amount}
