"""Batches: jobs that are counted together, and the jobs that come after them."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, Self, cast, overload

from asgiref.sync import sync_to_async

from django_jobs import clock
from django_jobs.announcements import tell_of_events
from django_jobs.batches.members import Members, joined
from django_jobs.batches.settling import FAILURE, FINISH, SUCCESS
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.base import Engine
from django_jobs.engines.batches import Callback
from django_jobs.enqueueing import Call, checked_job, resolve
from django_jobs.exceptions import BatchFinished, BatchNotFound, JobError
from django_jobs.handles import JobHandle
from django_jobs.models import Batch as Row
from django_jobs.serializers import clean_text
from django_jobs.states import IDLE, State

if TYPE_CHECKING:
    from django_jobs.definitions import JobDefinition

PAGE = 1000
LONGEST_NAME = 255

P = ParamSpec("P")


class Batch(Members):
    """Jobs that belong together; when all have ended, the jobs declared for that are enqueued.

    `with Batch("album 7") as batch:` makes one; the block is one transaction. `name` is for people,
    at most 255 characters. Attributes: `id` (its number, inside the block and from then on), and,
    as of the last look, `name`, `total`, `pending`, `successful`, `failed`, `cancelled` (numbers of
    jobs), `created_at` and `finished_at` (aware; `None`: not finished). A job counts once, with its
    first end; a deleted one counts as cancelled.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._name = clean_text(str(name))[:LONGEST_NAME]
        self._row: Row | None = None

    def __repr__(self) -> str:
        number = "" if self.id is None else f" #{self.id}"
        return f'<Batch{number} "{self._name}">'

    @classmethod
    def get(cls, batch_id: int) -> Self:
        """Return the batch of that number, to look at it or to add to it; raises BatchNotFound.

        What is added outside of a `with` block is a transaction of its own, or joins the caller's.
        """
        batch = cls()
        batch._block.batch_id = batch_id
        return batch.refresh()

    @property
    def id(self) -> int | None:
        """Its number; `None` until its block is entered."""
        return self._block.batch_id

    @property
    def name(self) -> str:
        """What it is called."""
        return self._name

    @property
    def total(self) -> int:
        """Jobs in it."""
        return self._seen.total

    @property
    def pending(self) -> int:
        """Jobs that have not ended."""
        return self._seen.pending

    @property
    def successful(self) -> int:
        """Jobs that ended well."""
        return self._seen.successful

    @property
    def failed(self) -> int:
        """Jobs that failed."""
        return self._seen.failed

    @property
    def cancelled(self) -> int:
        """Jobs that were cancelled or deleted."""
        return self._seen.cancelled

    @property
    def created_at(self) -> datetime:
        """When it was written."""
        return self._seen.created_at

    @property
    def finished_at(self) -> datetime | None:
        """When all had ended, `None` while some have not."""
        return self._seen.finished_at

    def refresh(self) -> Self:
        """Look again; raises BatchNotFound when it is not there (any more)."""
        rows = Row.objects.using(get_settings().DATABASE)
        self._row = None if self.id is None else rows.filter(pk=self.id, parent_id=None).first()
        if self._row is None:
            raise BatchNotFound(f"there is no batch #{self.id}: rolled back, or pruned.")
        self._name = self._row.name
        return self

    @overload
    def on_success(
        self, definition: "JobDefinition[P, Any]", /, *args: P.args, **kwargs: P.kwargs
    ) -> None: ...
    @overload
    def on_success(self, definition: str, /, *args: Any, **kwargs: Any) -> None: ...
    def on_success(self, definition: Any, /, *args: Any, **kwargs: Any) -> None:
        """Enqueue this job when all jobs have ended, and all of them well.

        It is enqueued once. Takes what `enqueue` takes, and raises as it does, at once; a
        `run_after` counts from the batch's end. Raises ValueError for a `unique_key`: another job
        could keep it from being enqueued. Raises BatchFinished.
        """
        self._call(SUCCESS, definition, args, kwargs)

    @overload
    def on_failure(
        self, definition: "JobDefinition[P, Any]", /, *args: P.args, **kwargs: P.kwargs
    ) -> None: ...
    @overload
    def on_failure(self, definition: str, /, *args: Any, **kwargs: Any) -> None: ...
    def on_failure(self, definition: Any, /, *args: Any, **kwargs: Any) -> None:
        """Enqueue this job when all have ended, and one has failed or was cancelled; as above."""
        self._call(FAILURE, definition, args, kwargs)

    @overload
    def on_finish(
        self, definition: "JobDefinition[P, Any]", /, *args: P.args, **kwargs: P.kwargs
    ) -> None: ...
    @overload
    def on_finish(self, definition: str, /, *args: Any, **kwargs: Any) -> None: ...
    def on_finish(self, definition: Any, /, *args: Any, **kwargs: Any) -> None:
        """Enqueue this job when all have ended, however they ended; as above."""
        self._call(FINISH, definition, args, kwargs)

    def cancel(self) -> int:
        """Cancel its jobs that have not begun; return how many. Those that run go on."""
        self._check_written()
        engine, count = get_engine(get_settings().DATABASE), 0
        while ids := engine.idle_members(cast("int", self.id), PAGE):
            moved = engine.move(ids, State.CANCELLED, sorted(IDLE), clock.now_or_none())
            count += len(moved)
            if not moved:
                break
        if count:
            tell_of_events(engine.connection)
        self._row = None
        return count

    async def aenqueue(self, definition: Any, /, *args: Any, **kwargs: Any) -> JobHandle[Any]:
        """Do what `enqueue` does, from async code, outside of a block."""
        handle: JobHandle[Any] = await sync_to_async(self.enqueue)(definition, *args, **kwargs)
        return handle

    async def aenqueue_many(
        self, definition: Any, calls: Iterable[Call], /
    ) -> list[JobHandle[Any]]:
        """Do what `enqueue_many` does, from async code, outside of a block."""
        return await sync_to_async(self.enqueue_many)(definition, calls)

    @classmethod
    async def aget(cls, batch_id: int) -> Self:
        """Do what `get` does, from async code."""
        return await sync_to_async(cls.get)(batch_id)

    async def arefresh(self) -> Self:
        """Do what `refresh` does, from async code."""
        return await sync_to_async(self.refresh)()

    async def acancel(self) -> int:
        """Do what `cancel` does, from async code."""
        return await sync_to_async(self.cancel)()

    def _call(self, on: str, definition: Any, args: tuple[Any, ...], kwargs: Any) -> None:
        job = checked_job(resolve(definition), args, kwargs)
        if job.unique_key is not None:
            raise ValueError(
                f"{job.name} comes after a batch, once: it takes no unique_key, by which another "
                "job could stand for it. Nothing was enqueued."
            )
        with self._adding() as engine:
            engine.add_callback(cast("int", self.id), Callback(on, job))

    def _adding(self) -> AbstractContextManager[Engine]:
        """Join the open block, or be one: of what is written already."""
        if self._block.entered is not None:
            return joined()
        self._check_written()
        return self._transaction()

    def _open(self, engine: Engine) -> None:
        self._row = None
        if self.id is None:
            self._block.newest = 0
            self._block.batch_id = engine.open_batch(self._name, now=clock.now_or_none())
            return
        newest = engine.hold_batch(self.id)
        if newest is None:
            finished = f"since {self.refresh().finished_at:%Y-%m-%d %H:%M:%S} UTC"
            raise BatchFinished(
                f'Batch #{self.id} "{self._name}" is finished {finished}. Nothing was enqueued; '
                "start another one."
            )
        self._block.newest = newest

    def _close(self, engine: Engine) -> None:
        super()._close(engine)
        self._row = None

    def _check_written(self) -> None:
        if self.id is None:
            raise JobError("A batch begins with its block: with Batch(…) as batch: …")

    @property
    def _seen(self) -> Row:
        if self._row is None:
            self._check_written()
            self.refresh()
        return cast("Row", self._row)
