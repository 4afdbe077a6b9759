"""The Engine seam: the verbs by which everything else changes a job, and what each promises.

An engine works on one connection and holds no truth of its own; the promises are tested by
one conformance suite that every engine must pass (tests/engines). Verbs take and return
lists. `now=None` means the database's own clock; tests pass an instant. What is made once per
job is a named tuple: a frozen dataclass takes five times as long.
"""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_jobs.engines.batches import BatchVerbs
from django_jobs.engines.bulk import BulkVerbs
from django_jobs.engines.calls import CallVerbs
from django_jobs.engines.events import EventVerbs, WaitFor
from django_jobs.engines.hearing import Listener
from django_jobs.engines.schedules import ScheduleVerbs
from django_jobs.engines.steps import StepVerbs
from django_jobs.engines.tallies import TallyVerbs
from django_jobs.engines.workers import WorkerVerbs
from django_jobs.states import Later, RunOutcome, State, Transition


class Hold(NamedTuple):
    """A job under a claim: the key of everything that a worker holds in memory."""

    job_id: int
    claim_id: int


class NewJob(NamedTuple):
    """A job that is about to be written; `args` and `kwargs` are JSON texts.

    `watched`: its end is to be an event. `cancels`: for `let_cancel`, once it has an id. `about`: the
    name of the row that it is about. `enqueued_by`: the text of its origin.
    """

    name: str
    queue: str
    args: str = "[]"
    kwargs: str = "{}"
    priority: int = 0
    later: Later | None = None
    max_attempts: int = 4
    max_lost: int = 3
    unique_key: str | None = None
    watched: bool = False
    cancels: tuple[WaitFor, ...] = ()
    about: str | None = None
    enqueued_by: str | None = None


class Only(NamedTuple):
    """Which jobs a claim may take: those called one of `names`, or, with `but`, all others."""

    names: tuple[str, ...]
    but: bool = False


class Inserted(NamedTuple):
    """The id of a job, and whether this insert wrote it or its unique key was taken."""

    job_id: int
    created: bool


class ClaimedJob(NamedTuple):
    """A job as a worker gets it; `args`, `kwargs`: JSON texts; `waited`: seconds since it was due."""

    id: int
    claim_id: int
    name: str
    queue: str
    priority: int
    args: str
    kwargs: str
    attempt: int
    max_attempts: int
    lost_count: int
    planned_at: datetime | None = None
    has_steps: bool = False
    waited: float = 0.0

    @property
    def hold(self) -> Hold:
        """The key under which the worker holds it."""
        return Hold(self.id, self.claim_id)


class Finish(NamedTuple):
    """The end of one run. Times are seconds before now, by the worker's monotonic clock."""

    hold: Hold
    transition: Transition
    began_ago: float | None
    ended_ago: float = 0.0
    log: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a batch of finishes.

    `applied` are written. `busy` rows are locked by somebody and still ours: try again.
    `fenced` were not ours any more; nothing was written but `fenced_at` on their run. `told`:
    there are events of these ends to be handed out.
    """

    applied: frozenset[Hold] = frozenset()
    busy: frozenset[Hold] = frozenset()
    fenced: frozenset[Hold] = frozenset()
    told: bool = False


class Answer(StrEnum):
    """What the database says about a claim that a worker wants to keep."""

    EXTENDED = "extended"
    BUSY = "busy"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Extension:
    """The answer for one claim. A held job that is not in `job_ids` is lost."""

    answer: Answer
    job_ids: frozenset[int] = frozenset()
    cancel_ids: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Rescued:
    """A job that was taken from a silent worker, and the state it is in now."""

    job_id: int
    claim_id: int
    queue: str
    state: State
    worker: str
    name: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many jobs were deleted, and the last id looked at (`None`: the end was reached)."""

    count: int
    last_id: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """Progress and new log lines of a running job. `done=None`: the progress is unchanged."""

    hold: Hold
    done: int | None = None
    total: int | None = None
    note: str = ""
    lines: tuple[tuple[datetime, str], ...] = field(default=())


class Engine(
    ScheduleVerbs,
    StepVerbs,
    EventVerbs,
    BatchVerbs,
    CallVerbs,
    TallyVerbs,
    BulkVerbs,
    WorkerVerbs,
):
    """All database work of the package, for one kind of database, on one connection."""

    STOP_ASKED = "!stop"
    """What `notify` says instead of a queue's name when running jobs were asked to stop."""

    WISHES = "!wishes"
    """What `notify` says when somebody wants something of a worker: all give a sign of life."""

    EVENTS = "!events"
    """What `notify` and `promote` say when there are events to be handed out."""

    WRITTEN = "!written"
    """What a listener says that hears of every commit, and not what it was about."""

    ANY_QUEUE = "*"
    """What `notify` says when every worker should look, whatever queues it serves."""

    WINDOW = 1000
    """How far a claim of some names only looks for them."""

    breather: float = 0.0
    """Seconds that a draining worker pauses between transactions, for other writers' sake."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    @staticmethod
    def own_options(options: dict[str, Any], purpose: str, lease: float) -> dict[str, Any]:
        """Return `options` of a connection, changed as a worker's own connection wants them."""
        del purpose, lease
        return options

    @abstractmethod
    def at(self, now: datetime | None) -> datetime:
        """Return `now`, or else the instant by the clock that decides here."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Open a transaction, or join the caller's; a write transaction from its start."""

    def undoable(self) -> AbstractContextManager[Any]:
        """Open a transaction; inside the caller's a savepoint: if it fails, the caller may go on."""
        inside = self.connection.in_atomic_block
        return transaction.atomic(using=self.connection.alias) if inside else self.transaction()

    def hasty(self, seconds: float) -> AbstractContextManager[None]:
        """Open a transaction in which no statement takes longer; the default knows no limit.

        Inside the caller's transaction there is none either: to break a limit would break that.
        """
        del seconds
        return nullcontext()

    def is_too_slow(self, error: DatabaseError) -> bool:
        """Say whether a statement was ended by that limit."""
        del error
        return False

    @abstractmethod
    def insert(self, jobs: Sequence[NewJob], now: datetime | None = None) -> list[Inserted]:
        """Write `jobs` on the caller's connection, in order; a taken unique key inserts nothing.

        A job is READY when it has no `later` or its instant is past, else SCHEDULED. The jobs
        are visible to workers when the caller's transaction commits, and never if it does not.
        """

    @abstractmethod
    def claim(  # noqa: PLR0913 - most of them by name only
        self,
        queues: Collection[str] | None,
        limit: int,
        worker: str,
        lease: float,
        *,
        solo: bool = True,
        only: Only | None = None,
        now: datetime | None = None,
    ) -> list[ClaimedJob]:
        """Take at most `limit` ready jobs of `queues` (`None`: all) under one new claim.

        No job is given to two claims. Order: bigger priority, then `run_at`, then id, queues
        of equal priority in turn. Paused queues give nothing. A job whose worker died before
        (`lost_count > 0`) comes alone, and only when `solo` is true. Claim ids only rise.
        `only` looks among the first `WINDOW` jobs of each queue and priority, so that it costs
        no more with a million others in front.
        """

    @abstractmethod
    def finish(
        self,
        finishes: Sequence[Finish],
        worker: str,
        now: datetime | None = None,
        *,
        patient: bool = True,
    ) -> Finished:
        """Write how runs ended: job row and JobRun together, only where the claim still holds.

        A request to cancel turns every ending that is not final into CANCELLED. A repeated
        finish counts as applied. A late one is fenced and marks the run (`fenced_at`).
        A suspension writes no JobRun. May wait some seconds for rows that others have locked,
        unless `patient` is false: then they are busy at once.
        """

    @abstractmethod
    def extend(
        self, claim_ids: Sequence[int], lease: float, now: datetime | None = None
    ) -> dict[int, Extension]:
        """Push the deadline of `claim_ids`. Never waits, never creates a row."""

    @abstractmethod
    def release(
        self,
        holds: Sequence[Hold],
        *,
        delay: float = 0.0,
        unknown: bool = False,
        patient: bool = True,
        now: datetime | None = None,
    ) -> set[Hold]:
        """Hand back jobs that never started, at no cost and without a JobRun.

        They are READY, or SCHEDULED when `delay` seconds are given; CANCELLED when they were
        asked to stop. `unknown` records since when no worker knows the job's name. Returns what
        was handed back: not what somebody else has taken away or keeps locked. `patient` as above.
        """

    @abstractmethod
    def still_held(self, holds: Iterable[Hold]) -> set[Hold]:
        """Return those of `holds` whose job still runs under the claim."""

    @abstractmethod
    def close(self, claim_ids: Sequence[int]) -> int:
        """Delete those of `claim_ids` under which no job runs any more; return how many."""

    @abstractmethod
    def sweep(self, limit: int, now: datetime | None = None) -> int:
        """Delete expired claims under which no job runs any more; return how many."""

    @abstractmethod
    def promote(self, limit: int, now: datetime | None = None) -> set[str]:
        """Make due SCHEDULED and WAITING jobs READY; return their queues.

        Among them is `EVENTS` when events are to be handed out: one look serves both.
        """

    @abstractmethod
    def rescue(self, limit: int, now: datetime | None = None) -> list[Rescued]:
        """Take the jobs of expired claims from their silent workers, without ever waiting.

        Each gets a JobRun `lost`, its attempt back and one more loss; it is READY again, or
        FAILED after `max_lost` losses, or CANCELLED when it was asked to stop. `limit` counts
        claims per page; pages go on while they are full.
        """

    @abstractmethod
    def expire(self, worker: str, now: datetime | None = None) -> list[Hold]:
        """Let the claims of a worker that is known to be dead expire now; return what it held."""

    @abstractmethod
    def prune(
        self,
        successful_before: datetime,
        failed_before: datetime,
        limit: int,
        after: int = 0,
    ) -> Pruned:
        """Delete old finished jobs with all their rows, among the `limit` next ids `after`."""

    @abstractmethod
    def move(
        self,
        job_ids: Collection[int],
        to: State,
        allowed_from: Iterable[State],
        now: datetime | None = None,
    ) -> set[int]:
        """Do an operator's move of jobs that do not run; return the ids that were moved.

        To READY from a final state is a retry: attempts and losses start at 0, history stays.
        Raises IntegrityError when a retried job's unique key is taken by now.
        """

    @abstractmethod
    def ask_to_stop(self, job_ids: Collection[int], now: datetime | None = None) -> set[int]:
        """Record a request to cancel on running jobs; return the ids that were running."""

    @abstractmethod
    def take(
        self,
        job_ids: Collection[int],
        to: State,
        outcome: RunOutcome,
        now: datetime | None = None,
    ) -> set[int]:
        """Take running jobs from their worker by force; return the ids that were taken.

        Their JobRun gets `outcome`; to CANCELLED, or to READY with the attempt given back.
        """

    @abstractmethod
    def report(self, reports: Sequence[Report], now: datetime | None = None) -> None:
        """Write progress and log lines of jobs that still run under the named claim."""

    @abstractmethod
    def see_queues(self, names: Collection[str]) -> None:
        """Make sure that a Queue row exists for each of `names`."""

    def notify(self, queues: Collection[str]) -> None:
        """Tell listening workers that these queues have work. The default tells nobody."""
        del queues

    def listener(self) -> Listener | None:
        """Return a listener on a connection of its own, `None` where there is no such thing."""
        return None
