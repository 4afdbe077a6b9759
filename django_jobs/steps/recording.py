"""What every step does: find what is on record of it, write what became of it, leave the function.

The verbs that people call stand in the modules beside this one.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from django.db import InterfaceError, OperationalError

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.base import Engine, Hold
from django_jobs.engines.steps import Memo, StepRecord
from django_jobs.exceptions import StepFailed
from django_jobs.serializers import dump_result
from django_jobs.states import (
    ErrorRecord,
    Interrupted,
    Later,
    Outcome,
    Raised,
    StepState,
    Suspended,
)
from django_jobs.steps.places import Interruption, Place, Places, current_attempt

if TYPE_CHECKING:
    import asyncio

PAUSE = 0.2

T = TypeVar("T")

Judge = Callable[[BaseException, int], tuple[ErrorRecord, Later | None]]
"""(exception, how often the step was called) → its record, and when to try again, if at all."""


class Recorder:
    """The steps of one job and their records. Without a job (`hold`) steps simply run.

    For the worker: `places`, and `interruption`, once a step has interrupted the job. `lost`: a
    worker has died under the job; the first step that is done makes up for that.
    """

    def __init__(  # noqa: PLR0913 - all but two by name only
        self,
        job: str,
        hold: Hold | None = None,
        *,
        has_steps: bool = False,
        lost: bool = False,
        judge: Judge | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.places = Places(job)
        self.interruption: Interruption | None = None
        self._job = job
        self._hold = hold
        self._has_steps = has_steps
        self._lost = lost
        self._judge = judge
        self._should_stop = should_stop
        self._log = log
        self._known: dict[str, Memo] | None = None if has_steps else {}
        self._told_of_order = False
        self._over = False
        self._together = 0
        self._had: set[int] = set()
        self._under_way: set[asyncio.Task[Any]] = set()

    @property
    def attempt(self) -> int:
        """The number of this call of the step's function, 1 at the first; 0 outside of steps."""
        return current_attempt.get()

    def end(self) -> None:
        """Refuse every further step: the run is over, and with it our right to the job."""
        self._over = True

    @property
    def _engine(self) -> Engine:
        return get_engine(get_settings().DATABASE)

    def _enter(self, name: str) -> Place:
        """Return the step that the function has come to, or leave the function here."""
        assert self._hold is not None
        if self.interruption is not None and not self._together:  # somebody caught it
            raise self.interruption
        if self._over:
            raise Interruption(Interrupted())
        self.places.check(name)
        if self._should_stop():
            self._interrupt(None)
        if self._known is None:
            self._known = self._patiently(self._load)
        key = self.places.next(name)
        memo = self._known.get(key)
        # Side by side, a branch that has got on shifts the numbers of those behind it.
        if memo is not None and memo.position != self.places.count and not self._together:
            self._tell_of_order(key, memo.position)
        if memo is not None and memo.state is StepState.FAILED:
            raise StepFailed(key, memo.error_type, memo.error)
        return Place(key, self.places.count, memo)

    def _done(self, place: Place, result: Any, began: float) -> StepRecord:
        limit = get_settings().MAX_RESULT
        text = dump_result(f'Step "{place.key}" of {self._job}', result, limit)
        return StepRecord(
            place.key,
            place.position,
            StepState.DONE,
            result=text,
            attempts=place.attempts + 1,
            began_ago=clock.monotonic() - began,
        )

    def _fail(self, place: Place, error: Exception, began: float) -> NoReturn:
        assert self._judge is not None
        attempts = place.attempts + 1
        described, again = self._judge(error, attempts)
        record = StepRecord(
            place.key,
            place.position,
            StepState.FAILED if again is None else StepState.RETRYING,
            attempts=attempts,
            error_type=described.type,
            error=described.message,
            began_ago=clock.monotonic() - began,
        )
        try:
            self._save(record)
        except Interruption:
            problem = f"{described.type}: {described.message}".rstrip(": ")
            self._log(f'Step "{place.key}" raised {problem}, after it was done or the job lost.')
            raise
        if again is None:
            raise StepFailed(place.key, described.type, described.message) from error
        step = f'step "{place.key}", attempt {attempts}'
        self._interrupt(Raised(described, again, charged=False, step=step), error)

    def _load(self) -> dict[str, Memo]:
        assert self._hold is not None
        return self._engine.load_steps(self._hold.job_id, clock.now_or_none())

    def _save(self, record: StepRecord) -> datetime:
        """Write what became of a step.

        What it did outside is done, and would be done again. Repeating the write does no harm.
        """
        saved = self._patiently(lambda: self._write(record))
        self._note(record)
        return saved

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Return `ask()`, however long its database is away, up to a lease."""
        until = clock.monotonic() + get_settings().LEASE
        while True:
            try:
                return ask()
            except (OperationalError, InterfaceError):
                connection = self._engine.connection
                if connection.in_atomic_block or clock.monotonic() > until:
                    raise
                with suppress(Exception):
                    connection.close()
                clock.sleep(PAUSE)

    def _write(self, record: StepRecord) -> datetime:
        """Write what became of a step; leave the function when the job is not ours any more."""
        assert self._hold is not None
        first = not self._has_steps or (self._lost and record.state is StepState.DONE)
        now = clock.now_or_none()
        saved = self._engine.save_step(self._hold, record, first=first, now=now)
        if saved is None:
            self._interrupt(Interrupted())
        return saved

    def _note(self, record: StepRecord) -> None:
        """Note that a step is on record; not before that can no longer be undone."""
        self._has_steps = True
        self._lost = self._lost and record.state is not StepState.DONE

    def _interrupt(self, outcome: Outcome | None, cause: BaseException | None = None) -> NoReturn:
        interruption = Interruption(outcome)
        if self.interruption is None or _wait(outcome) < _wait(self.interruption.outcome):
            self.interruption = interruption  # of several side by side the soonest
        raise interruption from cause

    def _tell_of_order(self, key: str, before: int) -> None:
        if not self._told_of_order:
            self._told_of_order = True
            self._log(
                f'Step "{key}" was number {before} and is number {self.places.count} now: the code '
                "has changed since. Steps are found by their names, and finished ones stay finished."
            )


def _wait(outcome: Outcome | None) -> float:
    """Return in how many seconds a job goes on that is interrupted so."""
    if isinstance(outcome, Suspended) and outcome.until is None:
        return inf
    later: Later | None = getattr(outcome, "again", None) or getattr(outcome, "until", None)
    if later is None:
        return 0.0
    return (later.instant - clock.now()).total_seconds() if later.instant else later.seconds
