"""What this process holds in memory: claimed jobs, keyed by (job, claim), and their claims.

The one place that answers "is this still mine?" without asking the database. Shared by the
coordinator, the executors and the housekeeper; every method takes the lock for an instant.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from django_jobs import clock
from django_jobs.context import Ask, JobContext
from django_jobs.engines.base import Answer, ClaimedJob, Extension, Hold


@dataclass(slots=True)
class Held:
    """A claimed job in the hands of this process."""

    claimed: ClaimedJob
    context: JobContext
    began: float | None = None
    deadline: float | None = None
    hold: Hold = field(init=False)
    taken: float = field(init=False)

    def __post_init__(self) -> None:
        self.hold = self.claimed.hold
        self.taken = clock.monotonic()

    @property
    def waited(self) -> float | None:
        """Seconds from when it was due to its begin, those in this process's hands included."""
        if self.began is None:
            return None
        return max(self.claimed.waited, 0.0) + self.began - self.taken


@dataclass(slots=True)
class _ClaimInHand:
    safe_until: float
    holds: set[Hold] = field(default_factory=set)


class Holdings:
    """All jobs of this process that are claimed and not yet acknowledged as ended."""

    def __init__(self, lease: float) -> None:
        self._safe_for = lease * 0.8
        self._lock = threading.Lock()
        self._jobs: dict[Hold, Held] = {}
        self._claims: dict[int, _ClaimInHand] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, helds: Iterable[Held], asked_at: float) -> None:
        """Take jobs in hand that were claimed by a statement sent at `asked_at` (monotonic)."""
        with self._lock:
            for held in helds:
                self._jobs[held.hold] = held
                claim = self._claims.setdefault(
                    held.hold.claim_id, _ClaimInHand(asked_at + self._safe_for)
                )
                claim.holds.add(held.hold)

    def drop(self, holds: Iterable[Hold]) -> list[int]:
        """Let go of jobs whose end is written; return the claims that are empty now."""
        empty = []
        with self._lock:
            for hold in holds:
                self._jobs.pop(hold, None)
                claim = self._claims.get(hold.claim_id)
                if claim is None:
                    continue
                claim.holds.discard(hold)
                if not claim.holds:
                    del self._claims[hold.claim_id]
                    empty.append(hold.claim_id)
        return empty

    def would_empty(self, holds: Iterable[Hold]) -> list[int]:
        """Return the claims that dropping `holds` would leave empty."""
        going: dict[int, set[Hold]] = {}
        for hold in holds:
            going.setdefault(hold.claim_id, set()).add(hold)
        with self._lock:
            return [
                claim_id
                for claim_id, leaving in going.items()
                if claim_id in self._claims and self._claims[claim_id].holds <= leaving
            ]

    def is_safe(self, hold: Hold) -> bool:
        """Say whether the job may still be started: held, and its lease surely not run out."""
        # Without the lock: one look into a dict and one into a set, each of them atomic.
        claim = self._claims.get(hold.claim_id)
        return claim is not None and hold in claim.holds and clock.monotonic() < claim.safe_until

    def claim_ids(self) -> list[int]:
        """Return the claims to extend: those with a job that is not known to be lost."""
        with self._lock:
            return sorted(
                claim_id
                for claim_id, claim in self._claims.items()
                if any(self._jobs[hold].context.ask is not Ask.LOST for hold in claim.holds)
            )

    def helds(self) -> list[Held]:
        """Return everything in hand."""
        with self._lock:
            return list(self._jobs.values())

    def apply(self, extensions: dict[int, Extension], asked_at: float) -> set[int]:
        """Act on the answers to an extension sent at `asked_at`; return the busy claims.

        Jobs that the database no longer lists are told that they are lost, others that they
        were asked to stop. Answers about claims that were closed meanwhile mean nothing.
        """
        told: list[tuple[Held, Ask]] = []
        busy: set[int] = set()
        with self._lock:
            for claim_id, extension in extensions.items():
                claim = self._claims.get(claim_id)
                if claim is None:
                    continue
                if extension.answer is Answer.BUSY:
                    busy.add(claim_id)
                    continue
                if extension.answer is Answer.EXTENDED:
                    claim.safe_until = asked_at + self._safe_for
                told += self._tidings(claim, extension)
        for held, ask in told:
            held.context.tell(ask)
        return busy

    def doubtful(self) -> list[Held]:
        """Return the jobs whose lease may have run out because no extension got through."""
        now = clock.monotonic()
        with self._lock:
            late = [claim for claim in self._claims.values() if claim.safe_until <= now]
            return [self._jobs[hold] for claim in late for hold in claim.holds]

    def _tidings(self, claim: _ClaimInHand, extension: Extension) -> list[tuple[Held, Ask]]:
        told = []
        for hold in claim.holds:
            if extension.answer is Answer.MISSING or hold.job_id not in extension.job_ids:
                told.append((self._jobs[hold], Ask.LOST))
            elif hold.job_id in extension.cancel_ids:
                told.append((self._jobs[hold], Ask.CANCEL))
        return told
