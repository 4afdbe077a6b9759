"""What a running job knows about itself, and what it may say: progress, log lines, "shall I stop?".

A context lives in memory. It touches no database, but for `step`, `children()` and `about`: the
worker's own threads collect what a job reports and write it, so that a job never waits for its own
progress bar.
"""

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from uuid import uuid4

from asgiref.sync import sync_to_async
from django.db.models import Model

from django_jobs import clock
from django_jobs.about import row_about
from django_jobs.batches import Child, children_of
from django_jobs.masking import mask_text
from django_jobs.serializers import clean_text
from django_jobs.steps import Interruption, Steps, current_step

LOG_LINES = 1000
LOG_BYTES = 64 * 1024
LINE_LENGTH = 2000
BIGGEST = 2**63 - 1


Progress = tuple[int, int | None, str]
"""Units done, units in all if known, a note."""

Lines = tuple[tuple[datetime, str], ...]
"""Log lines and when they were written."""


class Ask(IntEnum):
    """Why a job is asked to stop; a bigger reason outranks a smaller one."""

    SHUTDOWN = 1
    """The worker shuts down: end when it suits you."""
    INTERRUPT = 2
    """The worker's grace is over: end now, the job runs again elsewhere."""
    TIMEOUT = 3
    CANCEL = 4
    LOST = 5


class JobContext:
    """The first argument of a job that asks for it by annotation.

    Attributes: `job_id` (int, `None` outside a worker), `name` (the definition's name),
    `queue`, `attempt` (1 at the first run), `max_attempts` and `planned_at` (the planned time of
    the schedule that the job stands for, aware, in UTC; `None` for every other job). For the
    worker: `worker` (its name), `make_steps` (how to make `step`), `find_secrets` (how to find
    the texts to mask), `obeyed` (the reason that `should_stop()` gave), `settled` (the run has
    ended) and `error` (what it raised).
    """

    def __init__(
        self,
        name: str,
        *,
        job_id: int | None = None,
        queue: str = "default",
        attempt: int = 1,
        max_attempts: int = 1,
        planned_at: datetime | None = None,
    ) -> None:
        self.name = name
        self.job_id = job_id
        self.queue = queue
        self.attempt = attempt
        self.max_attempts = max_attempts
        self.planned_at = planned_at
        self.worker = ""
        self.make_steps: Callable[[JobContext], Steps] = _unrecorded
        self.find_secrets: Callable[[], frozenset[str]] = frozenset
        self.obeyed: Ask | None = None
        self.settled = False
        self.error: BaseException | None = None
        self._ask: Ask | None = None
        self._listeners: list[Callable[[Ask], None]] = []
        self._lock = threading.Lock()
        self._steps: Steps | None = None
        self._over = False
        self._progress: Progress | None = None
        self._unwritten: deque[tuple[datetime, str]] = deque()
        self._tail: deque[str] = deque()
        self._tail_bytes = 0

    @property
    def step(self) -> Steps:
        """The durable steps of the job."""
        # Made when it is first asked for: most jobs have no steps, and a context with steps is a
        # circle, which only the garbage collector gets rid of.
        with self._lock:
            if self._steps is None:
                self._steps = self.make_steps(self)
                if self._over:
                    self._steps.end()
            return self._steps

    @property
    def interruption(self) -> Interruption | None:
        """What left the job's function at a step, `None` when nothing did (for the worker)."""
        return None if self._steps is None else self._steps.interruption

    def end_steps(self) -> Steps | None:
        """Refuse every further step, and return those there were (for the worker)."""
        with self._lock:
            self._over = True
            if self._steps is not None:
                self._steps.end()
            return self._steps

    @property
    def idempotency_key(self) -> str:
        """A text that is the same at every attempt of the step (or of the job, outside of steps).

        Give it to others, such as a mail provider, who then do twice nothing that was asked twice.
        No two jobs of a database have the same one. Outside a worker each call has its own.
        """
        job = self._call if self.job_id is None else self.job_id
        step = current_step.get()
        return f"{job}:{step}" if step else str(job)

    @classmethod
    def detached(cls, name: str) -> "JobContext":
        """Return a context for calling a job as a plain function, outside a worker."""
        return cls(name)

    @cached_property
    def _call(self) -> str:
        return f"{self.name}-{uuid4().hex}"

    @cached_property
    def secrets(self) -> frozenset[str]:
        """The texts to mask. Found when they are first needed: most jobs never need them."""
        return self.find_secrets()

    @cached_property
    def about(self) -> Model | None:
        """The row that the job is about, read when it is first asked for, then kept.

        `None` for a job about nothing, for a row that is gone, and outside a worker.
        """
        return None if self.job_id is None else row_about(self.job_id)

    async def aabout(self) -> Model | None:
        """Return what `about` is, in an async job."""
        return await sync_to_async(lambda: self.about)()

    def children(self) -> list[Child]:
        """Return the children of a flow whose parent this job is, in the order they were added.

        Each has `job_id`, `name`, `state`, `result` and `error`. Empty for every other job, and
        outside a worker.
        """
        return [] if self.job_id is None else children_of(self.job_id)

    async def achildren(self) -> list[Child]:
        """Do what `children` does in an async job."""
        return await sync_to_async(self.children)()

    def should_stop(self) -> bool:
        """Say whether the job ought to end now; ask it between two units of work.

        True when somebody cancelled the job, its time limit has passed, the worker is shutting
        down, or the worker has lost the job. A job that was told so and then returns counts as
        stopped, not as finished: cancelled, timed out, or handed back to run again.
        """
        if self._ask is None:
            return False
        self.obeyed = self._ask
        return True

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Report that `done` units of work, of `total` if known, are behind the job.

        `note` (at most 255 characters) says what it is doing. Costs nothing much: the newest
        value is written at most once a second. Raises ValueError for numbers beyond 64 bits.
        """
        if any(abs(number) > BIGGEST for number in (done, total or 0)):
            raise ValueError(f"progress {done} of {total} is beyond 64 bits.")
        text = clean_text(mask_text(str(note), self.secrets))[:255]
        with self._lock:
            self._progress = (int(done), None if total is None else int(total), text)

    def log(self, message: object) -> None:
        """Keep a line about this run: shown while it runs, stored with its JobRun.

        Lines over 2,000 characters are cut; the last 1,000 lines or 64 KiB are kept. Sensitive
        arguments are masked.
        """
        line = clean_text(mask_text(str(message), self.secrets))[:LINE_LENGTH]
        at = clock.now()
        with self._lock:
            self._unwritten.append((at, line))
            if len(self._unwritten) > LOG_LINES:
                self._unwritten.popleft()
            self._keep(f"{at:%H:%M:%S} {line}")

    def tell(self, ask: Ask) -> None:
        """Ask the job to stop (the worker's side)."""
        with self._lock:
            if self._ask is not None and self._ask >= ask:
                return
            self._ask = ask
            listeners = list(self._listeners)
        for listener in listeners:
            listener(ask)

    def on_tell(self, listener: Callable[[Ask], None]) -> None:
        """Call `listener` when the job is asked to stop; at once when it already was."""
        with self._lock:
            self._listeners.append(listener)
            ask = self._ask
        if ask is not None:
            listener(ask)

    def settle(self) -> None:
        """Note that the run has ended: nobody needs to hear more (for the worker)."""
        self.settled = True
        with self._lock:
            self._listeners.clear()

    @property
    def ask(self) -> Ask | None:
        """Why the job is asked to stop, `None` when it is not."""
        return self._ask

    def take_progress(self) -> Progress | None:
        """Return the progress that was not written yet, and forget it."""
        with self._lock:
            progress, self._progress = self._progress, None
            return progress

    def take_news(self) -> tuple[Progress | None, Lines]:
        """Return the progress and the log lines that were not written yet, and forget them."""
        with self._lock:
            progress, self._progress = self._progress, None
            lines = tuple(self._unwritten)
            self._unwritten.clear()
            return progress, lines

    def put_back(self, progress: Progress | None, lines: Lines) -> None:
        """Take back news that could not be written."""
        with self._lock:
            self._progress = self._progress or progress
            self._unwritten.extendleft(reversed(lines))

    @property
    def has_news(self) -> bool:
        """Whether there is anything to write."""
        return self._progress is not None or bool(self._unwritten)

    @property
    def log_tail(self) -> str:
        """The last lines of the log as one text."""
        with self._lock:
            return "\n".join(self._tail)

    def _keep(self, line: str) -> None:
        self._tail.append(line)
        self._tail_bytes += len(line.encode()) + 1
        while self._tail_bytes > LOG_BYTES or len(self._tail) > LOG_LINES:
            self._tail_bytes -= len(self._tail.popleft().encode()) + 1


def _unrecorded(context: JobContext) -> Steps:
    return Steps(context.name)
