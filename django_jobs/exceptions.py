"""Every public exception. The docstring says what it means; the message says what to do."""

from datetime import datetime, timedelta


class JobError(Exception):
    """The base of every error that this package raises about a job."""


class JobNotFound(JobError, LookupError):
    """No job of that name is declared."""


class NotAJob(JobError, TypeError):
    """The object is a plain function; it has no `@job` above it."""


class InvalidQueue(JobError, ValueError):
    """The queue is not among the project's `QUEUES`."""


class ScheduleNotFound(JobError, LookupError):
    """There is no schedule of that name."""


class ErrorNotFound(JobError, LookupError):
    """No failed job has that fingerprint."""


class WorkerNotFound(JobError, LookupError):
    """There is no worker of that name; it may have stopped in good order."""


class WorkerBusy(JobError):
    """The worker lives, or holds jobs: it cannot be forgotten."""


class BatchNotFound(JobError, LookupError):
    """There is no batch of that number; it may have been rolled back, or pruned."""


class BatchFinished(JobError):
    """All jobs of the batch have ended: nothing can be added to it any more."""


class ArgumentsTooLarge(JobError, ValueError):
    """The arguments of a job take more room than `MAX_ARGUMENTS` allows."""


class ResultTooLarge(JobError, ValueError):
    """The result of a job takes more room than `MAX_RESULT` allows."""


class ResultNotStorable(JobError, TypeError):
    """The job returned something that JSON cannot hold."""


class InvalidSchedule(JobError, ValueError):
    """A schedule's cron text, span, time zone, limits or arguments cannot be what was meant.

    `field` is the name of the option that is wrong: "cron", "every", "timezone", "name", "args",
    "kwargs", "starts_at", "ends_at", "missed_within" or "jitter"; forms show the message beside it.
    """

    def __init__(self, message: str, field: str = "cron") -> None:
        self.field = field
        super().__init__(message)


class InvalidEvent(JobError, ValueError):
    """An event, or what is said of one, cannot be what was meant; nothing was sent."""


class InvalidStep(JobError, ValueError):
    """A step cannot be there, or not under that name."""


class StepFailed(JobError):
    """A step of a job has used up its attempts, now or in an earlier run.

    Attributes: `step` (its key), `error_type` (class of its newest exception) and `error` (the
    first line of that one's message). A job may catch it, and do something else instead.
    """

    def __init__(self, step: str, error_type: str, error: str) -> None:
        self.step, self.error_type, self.error = step, error_type, error
        super().__init__(step, error_type, error)

    def __str__(self) -> str:
        return f'step "{self.step}" failed for good: {self.error_type}: {self.error}'


class WaitTimeout(JobError, TimeoutError):
    """`wait()` ended before the job did."""


class JobFailed(JobError):
    """The job whose result was asked for has failed or was cancelled."""


class JobNotFinished(JobError):
    """The job whose result was asked for has not ended yet."""


class NonRetriable(Exception):
    """Raise it in a job: the job fails now, whatever attempts are left."""


class RetryAfter(Exception):
    """Raise it in a job: this attempt failed, run again at `when`.

    `when` is a number of seconds, a timedelta or an aware datetime; the wait is held
    between 1 second and 24 hours. The attempt counts. Raises ValueError for a naive datetime.
    """

    def __init__(self, when: float | timedelta | datetime, message: str = "") -> None:
        self.when = _aware(when)
        super().__init__(message or f"Retry after {when}")


class Snooze(Exception):
    """Raise it in a job: not now, run again at `when`; no attempt is used.

    `when` is a number of seconds, a timedelta or an aware datetime. Raises ValueError for a
    naive datetime.
    """

    def __init__(self, when: float | timedelta | datetime) -> None:
        self.when = _aware(when)
        super().__init__(f"Snoozed: {when}")


class Cancel(Exception):
    """Raise it in a job: the job is cancelled and never retried by itself."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        super().__init__(reason or "Cancelled by the job itself")


def _aware(when: float | timedelta | datetime) -> float | timedelta | datetime:
    if isinstance(when, datetime) and when.tzinfo is None:
        raise ValueError(f"{when!r} is naive (no time zone). Use timezone.now() + timedelta(…).")
    return when
