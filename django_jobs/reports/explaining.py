"""Why a job does not run, in words, and what to do about it. Only reads; knows no markup.

However many jobs there are, a few queries answer, and none of them reads further than a cap.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Q
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_jobs import clock, registry
from django_jobs.conf import get_settings
from django_jobs.display import ago, duration, grouped
from django_jobs.engines.endings import NEVER
from django_jobs.models import Claim, Job, JobRun, JobStep, Queue, Tick, Wait
from django_jobs.operations import NOT_FOUND, is_paused
from django_jobs.reports import summary
from django_jobs.reports.resting import Resting, resting
from django_jobs.reports.stored import HEAVY
from django_jobs.reports.summary import WorkerSummary
from django_jobs.states import State, StepState, Wish

MOST_STEPS = 10
"""So many waiting steps of one job are named."""

WAITS = (
    (r"its children", gettext_lazy("its children")),
    (r"the job before it", gettext_lazy("the job before it")),
    (r'step "(?P<what>.*)"', gettext_lazy('step "%(what)s"')),
    (r"event (?P<what>.*)", gettext_lazy("event %(what)s")),
    (r"a job of (?P<what>.*)", gettext_lazy("a job of %(what)s")),
    (
        r'another try of step "(?P<what>.*)", attempt (?P<number>\d+)',
        gettext_lazy('another try of step "%(what)s", attempt %(number)s'),
    ),
)
"""What workers write into a job that waits, and how that is said."""

PENDING = (StepState.WAITING, StepState.SLEEPING)
START_A_WORKER = gettext_lazy("Start one: python manage.py runworker")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why a job does not run; `advice` says what to do, "" where there is nothing.

    `job_id`: the other job that it is about, if it is about one.
    """

    text: str
    advice: str | Promise = ""
    job_id: int | None = None


def explain(job_id: int) -> list[Reason]:
    """Return why a job is not running, the nearest reason first."""
    jobs = Job.objects.using(get_settings().DATABASE).defer(*HEAVY)
    job = jobs.filter(pk=job_id).first()
    if job is None:
        return [Reason(_("Job #%(id)d: %(why)s.") % {"id": job_id, "why": NOT_FOUND})]
    return reasons(job)


def reasons(
    job: Job, steps: Iterable[JobStep] | None = None, run: JobRun | None = None
) -> list[Reason]:
    """Return why `job`, as it was read, is not running.

    `steps`, `run`: its steps and its newest run, where they were read, too.
    """
    now = clock.now()
    if job.state == State.WAITING:
        return list(_waiting(job, now, steps))
    if job.state == State.SCHEDULED:
        return list(_scheduled(job, now, run))
    explanation = EXPLANATIONS.get(job.state)
    if explanation is None:
        text = _("Its state, %(state)s, is none that this version knows: no worker touches it.")
        return [Reason(text % {"state": job.state})]
    return list(explanation(job, now))


def _scheduled(job: Job, now: datetime, run: JobRun | None = None) -> Iterator[Reason]:
    run_now = _advice(_("To run it at once:"), f"run-now {job.pk}")
    due = {"when": _at(job.run_at, now)}
    if job.label == "retrying":
        text = _("%(error)s Its next try is due %(when)s.")
        yield Reason(text % {"error": _last_error(job, run), **due}, run_now)
    elif job.unknown_since:
        yield Reason(_("It was handed back, and is looked at again %(when)s.") % due)
    elif job.run_at > now:
        yield Reason(_("It is not due until %(when)s.") % due, run_now)
    if job.run_at <= now:
        text = _("It has been due since %(when)s; a worker makes it ready within seconds.")
        yield Reason(text % due)
    yield from _obstacles(job, now)


def _ready(job: Job, now: datetime) -> Iterator[Reason]:
    since = ago(max(job.run_at, job.enqueued_at), now)
    text = _('It is ready: it came into the queue "%(queue)s" %(ago)s.')
    yield Reason(text % {"queue": job.queue, "ago": since})
    obstacles = list(_obstacles(job, now))
    yield from obstacles
    ahead = _ahead(job)
    if ahead:
        text = ngettext(
            "%(number)s job of its queue comes before it.",
            "%(number)s jobs of its queue come before it.",
            ahead,
        )
        yield Reason(text % {"number": summary.capped(ahead)})
    elif not obstacles:
        yield Reason(_("It is the next of its queue: a worker with a free place takes it."))


def _waiting(job: Job, now: datetime, read: Iterable[JobStep] | None = None) -> Iterator[Reason]:
    steps = list(_steps(job, now, read))
    yield from steps
    if not steps:
        what = _waits_for(job) or _("nothing on record")
        unnamed = Reason(_("It waits for %(what)s.") % {"what": what})
        yield _predecessor(job) or _children(job) or unnamed
    if job.run_at < NEVER:
        yield Reason(_("It goes on %(when)s at the latest.") % {"when": _at(job.run_at, now)})
    if not any(worker.is_alive for worker in _workers(now)):
        yield Reason(_("No worker is alive: nobody would wake it."), START_A_WORKER)


def _running(job: Job, now: datetime) -> Iterator[Reason]:
    claim = Claim.objects.using(get_settings().DATABASE).filter(pk=job.claim_id or 0).first()
    if claim is None or claim.expires_at < now:
        yield from _silent(job, claim, now)
        return
    text = _("It is running: worker %(worker)s took it %(ago)s.")
    yield Reason(text % {"worker": claim.worker, "ago": ago(job.started_at, now)})
    if job.cancel_requested_at:
        text = _("It was asked to stop %(ago)s, and ends by itself when it next looks.")
        advice = _advice(_("To take it from its worker:"), f"cancel --force {job.pk}")
        yield Reason(text % {"ago": ago(job.cancel_requested_at, now)}, advice)


def _silent(job: Job, claim: Claim | None, now: datetime) -> Iterator[Reason]:
    if claim is None:
        yield Reason(_("It is held by a worker that is silent, no longer on record."))
    else:
        text = _("It is held by a worker that is silent, %(worker)s: its lease ended %(ago)s.")
        yield Reason(text % {"worker": claim.worker, "ago": ago(claim.expires_at, now)})
    if any(other.is_alive for other in _workers(now)):
        advice = _advice(_("To do so now:"), f"requeue {job.pk}")
        yield Reason(_("A living worker takes it back within seconds."), advice)
    else:
        yield Reason(_("No worker is alive: nobody takes it back."), START_A_WORKER)


def _ended(job: Job, now: datetime) -> Iterator[Reason]:
    when = {"ago": ago(job.finished_at, now)}
    if job.state == State.SUCCESSFUL:
        yield Reason(_("It is over: it was successful %(ago)s.") % when)
        return
    advice = _advice(_("To run it again:"), f"retry {job.pk}")
    if job.state == State.CANCELLED:
        yield Reason(_("It is over: it was cancelled %(ago)s.") % when, advice)
    else:
        text = _("It is over: it failed %(ago)s. %(error)s")
        yield Reason(text % {**when, "error": _last_error(job)}, advice)


EXPLANATIONS: Mapping[str, Callable[[Job, datetime], Iterator[Reason]]] = {
    State.SCHEDULED: _scheduled,
    State.READY: _ready,
    State.WAITING: _waiting,
    State.RUNNING: _running,
    State.SUCCESSFUL: _ended,
    State.FAILED: _ended,
    State.CANCELLED: _ended,
}


def _obstacles(job: Job, now: datetime) -> Iterator[Reason]:
    """Yield what keeps workers from a job, whether it is due or not."""
    alias = get_settings().DATABASE
    queue = Queue.objects.using(alias).filter(name=job.queue, paused_at__isnull=False).first()
    if queue is not None and is_paused(queue, now):
        yield _paused(queue, now)
    if registry.find(job.name) is None or job.unknown_since:
        yield _unknown(job, now)
    workers = _workers(now)
    alive = [worker for worker in workers if worker.is_alive]
    if not alive:
        last = max((worker.beat_at for worker in workers), default=None)
        text = _("No worker is alive.")
        if last:
            text = _("No worker is alive; the last one was heard of %(ago)s.")
            text %= {"ago": ago(last, now)}
        yield Reason(text, START_A_WORKER)
    elif rest := resting(alive, job.queue):
        yield _resting(rest, job.queue)
    elif not any(worker.serves(job.queue) for worker in alive):
        text = ngettext(
            '%(number)s worker is alive, but none serves the queue "%(queue)s".',
            '%(number)s workers are alive, but none serves the queue "%(queue)s".',
            len(alive),
        )
        text %= {"number": grouped(len(alive)), "queue": job.queue}
        advice = _("Start one that does:")
        yield Reason(text, f"{advice} python manage.py runworker --queues {job.queue}")


def _resting(rest: Resting, queue: str) -> Reason:
    """Return that whoever would serve a queue is told to be quiet, or to stop."""
    facts = {"worker": rest.names[0], "queue": queue}
    if rest.wish is Wish.QUIET:
        text = _(
            'The worker %(worker)s would serve the queue "%(queue)s", but is told to be quiet.'
        )
        advice = _advice(_("To let it go on:"), f"workers --resume {rest.names[0]}")
        return Reason(text % facts, advice)
    text = _('The worker %(worker)s would serve the queue "%(queue)s", but is told to stop.')
    return Reason(text % facts, START_A_WORKER)


def _paused(queue: Queue, now: datetime) -> Reason:
    text = _('The queue "%(queue)s" was paused%(by)s %(ago)s%(reason)s.') % {
        "queue": queue.name,
        "by": _(" by %(who)s") % {"who": queue.paused_by} if queue.paused_by else "",
        "ago": ago(queue.paused_at, now),
        "reason": f": {queue.paused_reason}" if queue.paused_reason else "",
    }
    if queue.paused_until:
        text += " " + _("It resumes %(when)s.") % {"when": _at(queue.paused_until, now)}
    return Reason(text, _advice(_("To go on with it:"), f"resume {queue.name}"))


def _unknown(job: Job, now: datetime) -> Reason:
    if job.unknown_since:
        text = _(
            'Workers do not know the name "%(name)s", first %(ago)s; after %(span)s it fails.'
        ) % {
            "name": job.name,
            "ago": ago(job.unknown_since, now),
            "span": duration(get_settings().UNKNOWN_JOB_PATIENCE),
        }
    else:
        text = _('Nothing here is called "%(name)s".') % {"name": job.name}
    advice = _('Renamed? @job(aliases=["%(name)s"]) on the new function; then restart the workers.')
    return Reason(text, advice % {"name": job.name})


def _ahead(job: Job) -> int:
    """Return how many ready jobs of its queue are claimed before `job`; counting ends past the cap."""
    first = Job.objects.using(get_settings().DATABASE).filter(state=State.READY, queue=job.queue)
    first = first.order_by(F("priority").desc(), "run_at", "id")[: summary.CAP + 1]
    same_time = Q(run_at__lt=job.run_at) | Q(run_at=job.run_at, id__lt=job.pk)
    before = Q(priority__gt=job.priority) | (Q(priority=job.priority) & same_time)
    found: int = first.aggregate(number=Count("id", filter=before))["number"]
    return found


def _steps(job: Job, now: datetime, read: Iterable[JobStep] | None = None) -> Iterator[Reason]:
    """Yield what the waiting steps of a job wait for."""
    alias = get_settings().DATABASE
    if not job.has_steps:
        return
    if read is None:
        steps = JobStep.objects.using(alias).filter(job_id=job.pk, state__in=PENDING)
        found = list(steps.only("key", "state", "wake_at")[:MOST_STEPS])
    else:
        found = [step for step in read if step.state in PENDING][:MOST_STEPS]
    keys = [step.key for step in found]
    waits = {
        wait.key: wait for wait in Wait.objects.using(alias).filter(job_id=job.pk, key__in=keys)
    }
    child_ids = [wait.child_id for wait in waits.values() if wait.child_id]
    children = Job.objects.using(alias).defer(*HEAVY).in_bulk(child_ids)
    for step in found:
        wait = waits.get(step.key)
        if wait is not None and wait.child_id:
            yield _child(step, wait.child_id, children.get(wait.child_id))
        elif wait is not None:
            yield _event(step, wait, now)
        elif step.wake_at and step.wake_at > now:
            text = _('Step "%(step)s" sleeps until %(when)s.')
            yield Reason(text % {"step": step.key, "when": _at(step.wake_at, now)})


def _event(step: JobStep, wait: Wait, now: datetime) -> Reason:
    limit = _(", until %(when)s") % {"when": _at(step.wake_at, now)} if step.wake_at else ""
    text = _('Step "%(step)s" waits for the event %(event)s%(limit)s; it began %(ago)s.') % {
        "step": step.key,
        "event": wait.event,
        "limit": limit,
        "ago": ago(wait.since, now),
    }
    return Reason(text, _advice(_("To send it:"), f"send-event {wait.event} --data …"))


def _child(step: JobStep, child_id: int, child: Job | None) -> Reason:
    if child is None:
        text = _('Step "%(step)s" waits for the end of job #%(id)d, which is gone.')
        return Reason(text % {"step": step.key, "id": child_id})
    text = _('Step "%(step)s" waits for the end of %(job)s, which is %(state)s.')
    facts = {"step": step.key, "job": child, "state": _(child.label)}
    return Reason(text % facts, _why(child_id), child_id)


def _predecessor(job: Job) -> Reason | None:
    """Return which job of its schedule a held job waits for."""
    ticks = Tick.objects.using(get_settings().DATABASE).filter(
        schedule=job.schedule_id, job_id__isnull=False, job_state=""
    )
    if job.schedule_id is None or not ticks.filter(held=True, job_id=job.pk).exists():
        return None
    before = ticks.exclude(job_id=job.pk).order_by("id").values_list("job_id", flat=True).first()
    if before is None:
        return Reason(_("It waits for the end of the job before it of the same schedule."))
    text = _("It waits for the end of #%(id)d, the job before it of the same schedule.")
    return Reason(text % {"id": before}, _why(before), before)


def _children(job: Job) -> Reason | None:
    """Return which of its children the parent of a flow waits for."""
    what, first = summary.its_children(job)
    text = _("It waits for %(what)s.") % {"what": what}
    return Reason(text, _why(first) if first else "", first) if what else None


def _last_error(job: Job, run: JobRun | None = None) -> str:
    if run is None:
        runs = JobRun.objects.using(get_settings().DATABASE).filter(job=job.pk).order_by("-id")
        run = runs.only("error_type", "error").first()
    attempt = _("Attempt %(number)d of %(most)d failed") % {
        "number": job.attempt,
        "most": job.max_attempts,
    }
    if job.state == State.SCHEDULED and job.waiting_for:
        attempt = _("It waits for %(what)s") % {"what": _waits_for(job)}
    return f"{attempt}: {run.error_type}: {run.error}." if run and run.error_type else f"{attempt}."


def _waits_for(job: Job) -> str:
    stored = job.waiting_for or ""
    found = ((re.fullmatch(pattern, stored, re.DOTALL), words) for pattern, words in WAITS)
    said = (str(words) % match.groupdict() for match, words in found if match)
    return next(said, stored)


def _workers(now: datetime) -> tuple[WorkerSummary, ...]:
    return summary.workers(get_settings().DATABASE, now)


def _at(instant: datetime, now: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC ({ago(instant, now)})"


def _why(job_id: int) -> str:
    return _advice(_("Why that takes so long:"), f"why {job_id}")


def _advice(words: str, command: str) -> str:
    return f"{words} python manage.py jobs {command}"
