"""Why a job does not run, in words, and what to do about it. Only reads; knows no markup.

However many jobs there are, a few queries answer, and none of them reads further than a cap.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Q

from django_jobs import clock, registry, summary
from django_jobs.conf import get_settings
from django_jobs.display import ago, duration
from django_jobs.engines.endings import NEVER
from django_jobs.models import Claim, Job, JobRun, JobStep, Queue, Tick, Wait
from django_jobs.operations import NOT_FOUND, is_paused
from django_jobs.states import State, StepState, Wish
from django_jobs.summary import WorkerSummary

MOST_STEPS = 10
"""So many waiting steps of one job are named."""

PENDING = (StepState.WAITING, StepState.SLEEPING)
START_A_WORKER = "Start one: python manage.py runworker"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why a job does not run; `advice` says what to do, "" where there is nothing.

    `job_id`: the other job that it is about, if it is about one.
    """

    text: str
    advice: str = ""
    job_id: int | None = None


def explain(job_id: int) -> list[Reason]:
    """Return why a job is not running, the nearest reason first."""
    job = Job.objects.using(get_settings().DATABASE).filter(pk=job_id).first()
    return [Reason(f"Job #{job_id}: {NOT_FOUND}.")] if job is None else reasons(job)


def reasons(
    job: Job, steps: Iterable[JobStep] | None = None, run: JobRun | None = None
) -> list[Reason]:
    """Return why `job`, as it was read, is not running.

    `steps`, `run`: its steps and its newest run, where they were read, too.
    """
    state, now = State(job.state), clock.now()
    if state is State.WAITING:
        return list(_waiting(job, now, steps))
    if state is State.SCHEDULED:
        return list(_scheduled(job, now, run))
    return list(EXPLANATIONS[state](job, now))


def _scheduled(job: Job, now: datetime, run: JobRun | None = None) -> Iterator[Reason]:
    run_now = f"To run it at once: python manage.py jobs run-now {job.pk}"
    due = _at(job.run_at, now)
    if job.label == "retrying":
        yield Reason(f"{_last_error(job, run)} Its next try is due {due}.", run_now)
    elif job.unknown_since:
        yield Reason(f"It was handed back, and is looked at again {due}.")
    elif job.run_at > now:
        yield Reason(f"It is not due until {due}.", run_now)
    if job.run_at <= now:
        yield Reason(f"It has been due since {due}; a worker makes it ready within seconds.")
    yield from _obstacles(job, now)


def _ready(job: Job, now: datetime) -> Iterator[Reason]:
    since = ago(max(job.run_at, job.enqueued_at), now)
    yield Reason(f'It is ready: it came into the queue "{job.queue}" {since}.')
    obstacles = list(_obstacles(job, now))
    yield from obstacles
    ahead = _ahead(job)
    if ahead != "0":
        verb = "comes" if ahead == "1" else "come"
        yield Reason(f"{_jobs(ahead)} of its queue {verb} before it.")
    elif not obstacles:
        yield Reason("It is the next of its queue: a worker with a free place takes it.")


def _waiting(job: Job, now: datetime, read: Iterable[JobStep] | None = None) -> Iterator[Reason]:
    steps = list(_steps(job, now, read))
    yield from steps
    if not steps:
        yield (
            _predecessor(job)
            or _children(job)
            or Reason(f"It waits for {job.waiting_for or 'nothing on record'}.")
        )
    if job.run_at < NEVER:
        yield Reason(f"It goes on {_at(job.run_at, now)} at the latest.")
    if not any(worker.is_alive for worker in _workers(now)):
        yield Reason("No worker is alive: nobody would wake it.", START_A_WORKER)


def _running(job: Job, now: datetime) -> Iterator[Reason]:
    claim = Claim.objects.using(get_settings().DATABASE).filter(pk=job.claim_id or 0).first()
    if claim is None or claim.expires_at < now:
        yield from _silent(job, claim, now)
        return
    yield Reason(f"It is running: worker {claim.worker} took it {ago(job.started_at, now)}.")
    if job.cancel_requested_at:
        yield Reason(
            f"It was asked to stop {ago(job.cancel_requested_at, now)}, and ends by itself when "
            "it next looks.",
            f"To take it from its worker: python manage.py jobs cancel --force {job.pk}",
        )


def _silent(job: Job, claim: Claim | None, now: datetime) -> Iterator[Reason]:
    worker, since = ("", "") if claim is None else (claim.worker, ago(claim.expires_at, now))
    lease = f": its lease ended {since}" if since else ""
    yield Reason(
        f"It is held by a worker that is silent, {worker or 'no longer on record'}{lease}."
    )
    if any(other.is_alive for other in _workers(now)):
        advice = f"To do so now: python manage.py jobs requeue {job.pk}"
        yield Reason("A living worker takes it back within seconds.", advice)
    else:
        yield Reason("No worker is alive: nobody takes it back.", START_A_WORKER)


def _ended(job: Job, now: datetime) -> Iterator[Reason]:
    when, state = ago(job.finished_at, now), State(job.state)
    if state is State.SUCCESSFUL:
        yield Reason(f"It is over: it was successful {when}.")
        return
    how = "it was cancelled" if state is State.CANCELLED else "it failed"
    error = _last_error(job) if state is State.FAILED else ""
    advice = f"To run it again: python manage.py jobs retry {job.pk}"
    yield Reason(f"It is over: {how} {when}. {error}".rstrip(), advice)


EXPLANATIONS: Mapping[State, Callable[[Job, datetime], Iterator[Reason]]] = {
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
        heard = f"; the last one was heard of {ago(last, now)}" if last else ""
        yield Reason(f"No worker is alive{heard}.", START_A_WORKER)
    elif resting := _resting(alive, job.queue):
        yield resting
    elif not any(worker.serves(job.queue) for worker in alive):
        number = "1 worker is" if len(alive) == 1 else f"{len(alive):,} workers are"
        yield Reason(
            f'{number} alive, but none serves the queue "{job.queue}".',
            f"Start one that does: python manage.py runworker --queues {job.queue}",
        )


def _resting(alive: list[WorkerSummary], queue: str) -> Reason | None:
    """Return that whoever would serve a queue is told to be quiet, or to stop."""
    would = [worker for worker in alive if not worker.queues or queue in worker.queues]
    if not would or any(worker.wish is Wish.NONE for worker in would):
        return None
    name, wish = would[0].name, would[0].wish
    if wish is Wish.QUIET:
        text = f'The worker {name} would serve the queue "{queue}", but is told to be quiet.'
        return Reason(text, f"To let it go on: python manage.py jobs workers --resume {name}")
    text = f'The worker {name} would serve the queue "{queue}", but is told to stop.'
    return Reason(text, START_A_WORKER)


def _paused(queue: Queue, now: datetime) -> Reason:
    by = f" by {queue.paused_by}" if queue.paused_by else ""
    why = f": {queue.paused_reason}" if queue.paused_reason else ""
    until = f" It resumes {_at(queue.paused_until, now)}." if queue.paused_until else ""
    return Reason(
        f'The queue "{queue.name}" was paused{by} {ago(queue.paused_at, now)}{why}.{until}',
        f"To go on with it: python manage.py jobs resume {queue.name}",
    )


def _unknown(job: Job, now: datetime) -> Reason:
    patience = duration(get_settings().UNKNOWN_JOB_PATIENCE)
    if job.unknown_since:
        seen = ago(job.unknown_since, now)
        text = (
            f'Workers do not know the name "{job.name}", first {seen}; after {patience} it fails.'
        )
    else:
        text = f'Nothing here is called "{job.name}".'
    return Reason(
        text,
        f'Renamed? @job(aliases=["{job.name}"]) on the new function; then restart the workers.',
    )


def _ahead(job: Job) -> str:
    """Return how many ready jobs of its queue are claimed before `job`; counting ends at the cap."""
    first = Job.objects.using(get_settings().DATABASE).filter(state=State.READY, queue=job.queue)
    first = first.order_by(F("priority").desc(), "run_at", "id")[: summary.CAP + 1]
    same_time = Q(run_at__lt=job.run_at) | Q(run_at=job.run_at, id__lt=job.pk)
    before = Q(priority__gt=job.priority) | (Q(priority=job.priority) & same_time)
    return summary.capped(first.aggregate(number=Count("id", filter=before))["number"])


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
    children = Job.objects.using(alias).in_bulk(
        [wait.child_id for wait in waits.values() if wait.child_id]
    )
    for step in found:
        wait = waits.get(step.key)
        if wait is not None and wait.child_id:
            yield _child(step, wait.child_id, children.get(wait.child_id))
        elif wait is not None:
            limit = f", until {_at(step.wake_at, now)}" if step.wake_at else ""
            advice = f"To send it: python manage.py jobs send-event {wait.event} --data …"
            yield Reason(
                f'Step "{step.key}" waits for the event {wait.event}{limit}; '
                f"it began {ago(wait.since, now)}.",
                advice,
            )
        elif step.wake_at and step.wake_at > now:
            yield Reason(f'Step "{step.key}" sleeps until {_at(step.wake_at, now)}.')


def _child(step: JobStep, child_id: int, child: Job | None) -> Reason:
    what = f"{child}, which is {child.label}" if child else f"job #{child_id}, which is gone"
    advice = f"Why that takes so long: python manage.py jobs why {child_id}" if child else ""
    text = f'Step "{step.key}" waits for the end of {what}.'
    return Reason(text, advice, child_id if child else None)


def _predecessor(job: Job) -> Reason | None:
    """Return which job of its schedule a held job waits for."""
    ticks = Tick.objects.using(get_settings().DATABASE).filter(
        schedule=job.schedule_id, job_id__isnull=False, job_state=""
    )
    if job.schedule_id is None or not ticks.filter(held=True, job_id=job.pk).exists():
        return None
    before = ticks.exclude(job_id=job.pk).order_by("id").values_list("job_id", flat=True).first()
    what = "the job before it" if before is None else f"#{before}, the job before it"
    advice = f"Why that takes so long: python manage.py jobs why {before}" if before else ""
    return Reason(f"It waits for the end of {what} of the same schedule.", advice, before)


def _children(job: Job) -> Reason | None:
    """Return which of its children the parent of a flow waits for."""
    text, first = summary.its_children(job)
    advice = f"Why that takes so long: python manage.py jobs why {first}" if first else ""
    return Reason(f"It waits for {text}.", advice, first) if text else None


def _last_error(job: Job, run: JobRun | None = None) -> str:
    if run is None:
        runs = JobRun.objects.using(get_settings().DATABASE).filter(job=job.pk).order_by("-id")
        run = runs.only("error_type", "error").first()
    attempt = f"Attempt {job.attempt} of {job.max_attempts} failed"
    if job.state == State.SCHEDULED and job.waiting_for:
        attempt = f"It waits for {job.waiting_for}"
    return f"{attempt}: {run.error_type}: {run.error}." if run and run.error_type else f"{attempt}."


def _workers(now: datetime) -> tuple[WorkerSummary, ...]:
    return summary.workers(get_settings().DATABASE, now)


def _at(instant: datetime, now: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC ({ago(instant, now)})"


def _jobs(number: str) -> str:
    return f"{number} job" if number == "1" else f"{number} jobs"
