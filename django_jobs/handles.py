"""What `enqueue` gives back: a light handle on one job, to look, to wait, to read its result."""

import asyncio
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Generic, Self, TypeVar, cast

from asgiref.sync import sync_to_async
from django.apps import apps
from django.db import connections
from django.urls import NoReverseMatch, reverse

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.exceptions import JobError, JobFailed, JobNotFinished, WaitTimeout
from django_jobs.models import Job, JobRun
from django_jobs.retries import as_seconds
from django_jobs.states import FINAL, State

FIRST_PAUSE = 0.01
LONGEST_PAUSE = 1.0

R_co = TypeVar("R_co", covariant=True)

running_job: ContextVar[int | None] = ContextVar("django_jobs_running_job", default=None)
"""The id of the job that this thread or task is running, `None` outside a job."""


def admin_path(job_id: int) -> str:
    """Return the path of the job's page in the admin, "" where there is none."""
    if not apps.is_installed("django.contrib.admin"):
        return ""
    try:
        return reverse("admin:django_jobs_job_change", args=[job_id])
    except NoReverseMatch:
        return ""


class JobHandle(Generic[R_co]):
    """One enqueued job, as its caller holds it.

    Attributes: `id` (the job's number), `created` (False when a live job with the same unique
    key came back instead), `name` (the definition's name). `id` and `created` are `None` only
    for a jobs database of its own, until the caller's transaction on "default" commits.
    """

    __slots__ = ("_run", "_state", "created", "id", "name")

    def __init__(self, name: str, state: State | None = None) -> None:
        self.name = name
        self.id: int | None = None
        self.created: bool | None = None
        self._state = state
        self._run: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<JobHandle {self.name} #{self.id}>"

    def fill(self, job_id: int, *, created: bool) -> None:
        """Take the job's id, once it is written."""
        self.id, self.created = job_id, created
        if not created:
            self._state = None

    @property
    def status(self) -> State:
        """The state at the last look; `refresh()` looks again."""
        if self._state is None:
            self.refresh()
        return cast("State", self._state)

    @property
    def url(self) -> str:
        """The path of the job's page in the admin, empty where there is none."""
        return "" if self.id is None else admin_path(self.id)

    @property
    def result(self) -> R_co:
        """What the function returned. Looks again unless the job is known to have ended.

        Raises JobNotFinished while the job has not ended, JobFailed with the error when it
        failed or was cancelled.
        """
        if self._state not in FINAL:
            self.refresh()
        if self._state not in FINAL:
            raise JobNotFinished(
                f"{self._label} is {self.status.lower()}: no result yet. wait() waits for it."
            )
        run = self._run or {}
        if self._state is State.SUCCESSFUL:
            return cast("R_co", run.get("result"))
        if self._state is State.CANCELLED:
            raise JobFailed(f"{self._label} was cancelled.")
        raise JobFailed(f"{self._label} failed: {run.get('error_type')}: {run.get('error')}")

    def refresh(self) -> Self:
        """Look again. Raises JobError when the job is not written yet, or not there any more."""
        if self.id is None:
            raise JobError(
                f"{self.name} is not written yet: its database is not the caller's, so the job "
                'is written when the transaction on "default" commits.'
            )
        alias = get_settings().DATABASE
        job = Job.objects.using(alias).filter(pk=self.id).values("state").first()
        if job is None:
            raise JobError(f"{self._label} is gone: rolled back, or pruned after its retention.")
        self._state = State(job["state"])
        if self._state in FINAL:
            runs = JobRun.objects.using(alias).filter(job=self.id).order_by("-id")
            self._run = runs.values("result", "error_type", "error").first()
        return self

    async def arefresh(self) -> Self:
        """Do what `refresh` does, from async code."""
        await sync_to_async(self.refresh)()
        return self

    def wait(self, timeout: float | timedelta | None = None) -> Self:
        """Wait until the job has ended, at most `timeout` (seconds or a timedelta).

        Looks every 10 ms at first, then more and more seldom, up to once a second. Raises
        WaitTimeout, and JobError where waiting could never end: inside a transaction or a job.
        """
        self._refuse_endless_wait()
        for pause in self._pauses(timeout):
            if self.refresh().status in FINAL:
                break
            clock.sleep(pause)
        return self

    async def await_(self, timeout: float | timedelta | None = None) -> Self:  # noqa: ASYNC109 - the twin of wait()
        """Do what `wait` does, from async code, without holding a thread."""
        await sync_to_async(self._refuse_endless_wait)()
        for pause in self._pauses(timeout):
            if (await self.arefresh()).status in FINAL:
                break
            await asyncio.sleep(pause)
        return self

    @property
    def _label(self) -> str:
        return f"Job #{self.id} ({self.name})"

    def _refuse_endless_wait(self) -> None:
        if running_job.get() is not None:
            raise JobError(
                "wait() inside a job would hold this worker's slot while the other job needs "
                "one. Let the other job enqueue what comes after it."
            )
        connection = connections[get_settings().DATABASE]
        if self.id is None or connection.in_atomic_block or not connection.get_autocommit():
            raise JobError(
                "wait() would never end: the job becomes visible only when this transaction "
                "commits. In a test, run it with django_jobs.testing.run_jobs()."
            )

    def _pauses(self, timeout: float | timedelta | None) -> Iterator[float]:
        limit = float("inf") if timeout is None else as_seconds(timeout)
        deadline = clock.monotonic() + limit
        pause = FIRST_PAUSE
        while (left := deadline - clock.monotonic()) > 0:
            yield min(pause, left)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        yield 0.0
        raise WaitTimeout(
            f"{self._label} has not ended within {limit:g} s: it is {self.status.lower()}. "
            "A worker takes care of it all the same, if one is running."
        )
