"""What is said of a problem: how bad it is, in what words, and what mends it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


class Operation(StrEnum):
    """What mends a problem."""

    RESUME = "resume"
    """The queue that is the target."""
    REQUEUE = "requeue"
    """The jobs of the worker that is the target."""
    RETRY = "retry"
    """The failed jobs whose fingerprint is the target."""
    CANCEL = "cancel"
    """The running job whose number is the target: it is asked to stop."""
    FORCE = "force"
    """The same, but it is taken from its worker: it has been asked, and goes on."""
    GO_ON = "go-on"
    """The quiet worker that is the target, with all processes of its start."""


@dataclass(frozen=True, slots=True)
class Fix:
    """One press: an operation, what it is done to, to how many jobs, and some of these."""

    operation: Operation
    target: str
    count: int = 0
    job_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, since when and how much; `advice`: what to type where no press mends it.

    `queue`: the queue that it is about, if it is about one; `schedule_id`: the same of a schedule;
    `is_of_workers`: it is about what workers are told to do.
    """

    rule: str
    level: Level
    text: str
    advice: str = ""
    fix: Fix | None = None
    queue: str = ""
    schedule_id: int | None = None
    is_of_workers: bool = False
