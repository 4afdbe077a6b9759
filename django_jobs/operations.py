"""What an operator may do to jobs and queues: the only door for the admin and the commands.

Each call names jobs by id, does what `MOVES` allows, and says in words what it refused and
why. It may join the caller's transaction. Workers hear of it when that commits.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, connections, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_jobs import clock, registry
from django_jobs.announcements import announce, hurry
from django_jobs.cancelling import let_cancel_anew
from django_jobs.conf import get_settings
from django_jobs.display import since_words
from django_jobs.engines import get_engine
from django_jobs.exceptions import InvalidQueue
from django_jobs.models import Claim, Job, Queue
from django_jobs.registry import nearest
from django_jobs.states import FINAL, IDLE, RunOutcome, State, label, may_move

if TYPE_CHECKING:
    from django.db.models import QuerySet

BLOCK = 1000
"""Jobs that are looked up in one statement."""

LONGEST_LIMIT = 2**31 - 1

NOT_FOUND = gettext_lazy("there is no such job; it may have been pruned")
KEY_TAKEN = gettext_lazy("another live job has its unique key by now")


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What became of each job that an operation named.

    `done`: moved. `asked`: still running, but asked to stop; they end by themselves. `again`: those
    of them that had been asked before. `refused`: unchanged, with the reason in words.
    """

    done: frozenset[int] = frozenset()
    asked: frozenset[int] = frozenset()
    again: frozenset[int] = frozenset()
    refused: Mapping[int, str] = field(default_factory=dict)


def retry(job_ids: Iterable[int], *, from_start: bool = False) -> OperationResult:
    """Make finished jobs ready to run again, with all their attempts and their whole history.

    Finished steps stay finished, unless it goes `from_start`. The parent of a flow waits for those
    of its children that have not ended.
    """
    otherwise = _("only a finished job can be retried")
    return _make_ready(job_ids, FINAL, otherwise, finished=from_start)


def run_now(job_ids: Iterable[int]) -> OperationResult:
    """Make scheduled jobs ready at once, retries that wait for their backoff included."""
    return _make_ready(job_ids, {State.SCHEDULED}, _("only a scheduled job can be run now"))


def cancel(
    job_ids: Iterable[int], *, force: bool = False, only_waiting: bool = False
) -> OperationResult:
    """Cancel jobs: waiting ones at once, running ones are asked to stop unless `only_waiting`.

    With `force` running jobs are taken from their worker instead: they count as cancelled now,
    and whatever their function still does is not stopped, only not recorded.
    """
    ids = _whole_numbers(job_ids)
    alias, now = get_settings().DATABASE, clock.now_or_none()
    engine = get_engine(alias)
    done: set[int] = set()
    asked: set[int] = set()
    with transaction.atomic(using=alias):
        known = set() if force or only_waiting else _stopping(alias, ids)
        for _twice in range(2):  # a job may start, or come back, between the two statements
            done |= engine.move(_rest(ids, done, asked), State.CANCELLED, _from(IDLE), now)
            running = [] if only_waiting else _rest(ids, done, asked)
            if force:
                done |= engine.take(running, State.CANCELLED, RunOutcome.CANCELLED, now)
            else:
                asked |= engine.ask_to_stop(running, now)
        if asked:
            hurry(connections[alias])
        refused = _reasons(alias, _rest(ids, done, asked), _("it cannot be cancelled any more"))
    return OperationResult(frozenset(done), frozenset(asked), frozenset(asked & known), refused)


def requeue(job_ids: Iterable[int], *, force: bool = False) -> OperationResult:
    """Take running jobs from a worker that is silent, and make them ready; no attempt is used.

    Refuses a job whose worker still holds its lease, unless `force` is given: then the job may
    run twice at the same time, though only one end of it will be recorded.
    """
    ids = _whole_numbers(job_ids)
    alias, now = get_settings().DATABASE, clock.now_or_none()
    with transaction.atomic(using=alias):
        held = {} if force else _held(alias, ids)
        takeable = [job_id for job_id in ids if job_id not in held]
        done = get_engine(alias).take(takeable, State.READY, RunOutcome.RELEASED, now)
        rest = [job_id for job_id in takeable if job_id not in done]
        refused = {**held, **_reasons(alias, rest, _("only a running job can be requeued"))}
        _announce_jobs(alias, done)
    return OperationResult(frozenset(done), refused=refused)


def delete(job_ids: Iterable[int]) -> OperationResult:
    """Delete finished jobs with their runs, steps and logs. There is no way back."""
    ids = _whole_numbers(job_ids)
    alias = get_settings().DATABASE
    with transaction.atomic(using=alias):
        done = get_engine(alias).delete(ids)
        refused = _reasons(alias, _rest(ids, done), _("only a finished job can be deleted"))
    return OperationResult(frozenset(done), refused=refused)


def pause_queue(
    name: str,
    *,
    by: str = "",
    reason: str = "",
    until: datetime | None = None,
    only_open: bool = False,
) -> bool:
    """Pause a queue: nothing of it starts; return False when it was paused already.

    `by` and `reason` (at most 150 and 255 characters) are for people to read; at `until`, an
    aware datetime, it resumes by itself. A queue that is paused takes the newer ones of these,
    unless `only_open`. Raises InvalidQueue for a name that nobody uses, and ValueError for a naive
    datetime.
    """
    if until is not None and until.utcoffset() is None:
        raise ValueError("until is naive (no time zone). Use timezone.now() + timedelta(…).")
    alias = get_settings().DATABASE
    known = set(Queue.objects.using(alias).values_list("name", flat=True))
    _check_known(name, known)
    get_engine(alias).see_queues([name])
    now = clock.now()
    with transaction.atomic(using=alias):
        queue = _locked(alias, name).get()
        was_paused = is_paused(queue, now)
        if not (was_paused and only_open):
            Queue.objects.using(alias).filter(pk=queue.pk).update(
                paused_at=queue.paused_at if was_paused else now,
                paused_by=by[:150],
                paused_reason=reason[:255],
                paused_until=until,
            )
    return not was_paused


def resume_queue(name: str) -> bool:
    """Resume a paused queue; return False when it was not paused.

    Raises InvalidQueue for a name that nobody uses.
    """
    alias = get_settings().DATABASE
    known = set(Queue.objects.using(alias).values_list("name", flat=True))
    _check_known(name, known)
    with transaction.atomic(using=alias):
        queue = _locked(alias, name).filter(paused_at__isnull=False).first()
        if queue is None:
            return False
        rows = Queue.objects.using(alias).filter(pk=queue.pk)
        rows.update(paused_at=None, paused_by="", paused_reason="", paused_until=None)
        announce(connections[alias], (name,))
    return is_paused(queue, clock.now())


def set_latency_limit(name: str, seconds: int | None) -> bool:
    """Say how long a ready job may wait in a queue; return False when it was so already.

    `seconds`: at least 1; `None` for the default of 60. What waits longer is a problem for the
    verdict; nothing else changes. Raises InvalidQueue for a queue that was never seen, and
    ValueError for less than a second, or more than the 68 years that fit.
    """
    if seconds is not None and not 1 <= seconds <= LONGEST_LIMIT:
        raise ValueError(f"seconds must be 1 to {LONGEST_LIMIT:,}, got {seconds:,}")
    rows = Queue.objects.using(get_settings().DATABASE).filter(name=name)
    if not rows.exists():
        raise InvalidQueue(_('no queue "%(name)s" was seen') % {"name": name})
    others = rows.exclude(latency_limit=seconds) if seconds else rows.exclude(latency_limit=None)
    return others.update(latency_limit=seconds) > 0


def is_paused(queue: Queue, now: datetime) -> bool:
    """Say whether `queue` is paused at `now`."""
    if queue.paused_at is None:
        return False
    return queue.paused_until is None or queue.paused_until > now


def _locked(alias: str, name: str) -> "QuerySet[Queue]":
    """Return the row of a queue, to be locked: of two who press at once, the second waits."""
    no_key = connections[alias].features.has_select_for_no_key_update
    return Queue.objects.using(alias).filter(name=name).select_for_update(no_key=no_key)


def _stopping(alias: str, ids: list[int]) -> set[int]:
    """Return the jobs that have been asked to stop; locks all that run, as `ask_to_stop` does."""
    no_key = connections[alias].features.has_select_for_no_key_update
    running = Job.objects.using(alias).filter(pk__in=ids, state=State.RUNNING).order_by("pk")
    rows = running.select_for_update(no_key=no_key).values_list("pk", "cancel_requested_at")
    return {job_id for job_id, asked_at in rows if asked_at is not None}


def _make_ready(
    job_ids: Iterable[int],
    pool: Collection[State],
    otherwise: str,
    *,
    finished: bool | None = None,
) -> OperationResult:
    """Move jobs to READY; forget their unfinished steps, or all, unless `finished` is `None`."""
    ids = _whole_numbers(job_ids)
    alias = get_settings().DATABASE
    with transaction.atomic(using=alias):
        done, taken = _move_to_ready(alias, ids, _from(pool, State.READY))
        get_engine(alias).reopen(done)
        if finished is not None:
            get_engine(alias).forget_steps(done, finished=finished)
            let_cancel_anew(get_engine(alias), done, clock.now_or_none())
            get_engine(alias).reopen_flows(done, clock.now_or_none())
        refused = dict.fromkeys(taken, str(KEY_TAKEN))
        refused |= _reasons(alias, _rest(ids, done, taken), otherwise)
        _announce_jobs(alias, done)
    return OperationResult(frozenset(done), refused=refused)


def _move_to_ready(
    alias: str, ids: Collection[int], allowed: Collection[State]
) -> tuple[set[int], set[int]]:
    """Return the moved ids, and those whose unique key is taken; one key stops no other job."""
    engine, now = get_engine(alias), clock.now_or_none()
    try:
        with transaction.atomic(using=alias):
            return engine.move(ids, State.READY, allowed, now), set()
    except IntegrityError:
        if len(ids) == 1:
            return set(), set(ids)
    done: set[int] = set()
    taken: set[int] = set()
    half = len(ids) // 2
    for part in (list(ids)[:half], list(ids)[half:]):
        moved, refused = _move_to_ready(alias, part, allowed)
        done |= moved
        taken |= refused
    return done, taken


def _from(pool: Collection[State], to: State = State.CANCELLED) -> list[State]:
    return sorted(state for state in pool if may_move(state, to))


def _whole_numbers(job_ids: Iterable[int]) -> list[int]:
    return sorted({int(job_id) for job_id in job_ids})


def _rest(ids: Iterable[int], *handled: Collection[int]) -> list[int]:
    return [job_id for job_id in ids if not any(job_id in group for group in handled)]


def _rows(alias: str, ids: list[int], *columns: str) -> dict[int, dict[str, Any]]:
    rows: dict[int, dict[str, Any]] = {}
    for start in range(0, len(ids), BLOCK):
        block = Job.objects.using(alias).filter(pk__in=ids[start : start + BLOCK])
        rows.update({row["id"]: row for row in block.order_by().values("id", *columns)})
    return rows


def _reasons(alias: str, ids: list[int], otherwise: str) -> dict[int, str]:
    columns = (
        "state",
        "attempt",
        "started_at",
        "finished_at",
        "cancel_requested_at",
        "waiting_for",
    )
    rows = _rows(alias, ids, *columns)
    return {
        job_id: f"{_situation(rows[job_id])}; {otherwise}" if job_id in rows else str(NOT_FOUND)
        for job_id in ids
    }


def _situation(row: Mapping[str, Any]) -> str:
    state = row["state"]
    word = label(
        state,
        row["attempt"],
        cancel_requested=bool(row["cancel_requested_at"]),
        waits=bool(row["waiting_for"]),
    )
    since = row["finished_at"] if state in FINAL else None
    if state == State.RUNNING:
        since = row["cancel_requested_at"] or row["started_at"]
    text = _("it is %(state)s") % {"state": _(word)}
    return text + since_words(since) if since else text


def _held(alias: str, ids: list[int]) -> dict[int, str]:
    """Return why jobs under a lease that still holds are not to be taken."""
    jobs = {
        job_id: row["claim_id"]
        for job_id, row in _rows(alias, ids, "claim_id").items()
        if row["claim_id"] is not None
    }
    now = clock.now_or_none()
    valid = Claim.objects.using(alias).filter(expires_at__gt=Now() if now is None else now)
    claims = {claim.pk: claim for claim in valid.filter(pk__in=set(jobs.values()))}
    reasons = {}
    for job_id, claim_id in jobs.items():
        if claim := claims.get(claim_id):
            left = max(claim.expires_at - clock.now(), timedelta())
            reasons[job_id] = _(
                "worker %(worker)s still holds it, for another %(seconds)d s unless it extends its "
                "lease; to take it all the same, force it"
            ) % {"worker": claim.worker, "seconds": round(left.total_seconds())}
    return reasons


def _announce_jobs(alias: str, ids: Collection[int]) -> None:
    if ids:
        queues = {row["queue"] for row in _rows(alias, sorted(ids), "queue").values()}
        announce(connections[alias], sorted(queues))


def _check_known(name: str, seen: Collection[str]) -> None:
    declared = {definition.queue for definition in registry.definitions()}
    known = {"default", *seen, *declared, *get_settings().QUEUES}
    if name not in known:
        match = nearest(name, sorted(known))
        text = _('no queue "%(name)s" (known: %(known)s).')
        text %= {"name": name, "known": ", ".join(sorted(known))}
        hint = " " + _('Did you mean "%(match)s"?') % {"match": match} if match else ""
        raise InvalidQueue(f"{text}{hint}")
