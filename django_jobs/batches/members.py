"""Adding jobs to what is open: the part that a batch and a flow have in common."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, overload

from django.core.exceptions import SynchronousOnlyOperation

from django_jobs import clock
from django_jobs.batches.blocks import outermost
from django_jobs.batches.settling import conclude
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.engines.base import Engine, NewJob
from django_jobs.engines.batches import Member
from django_jobs.enqueueing import (
    Call,
    checked_job,
    checked_jobs,
    insert,
    is_elsewhere,
    resolve,
)
from django_jobs.exceptions import JobError
from django_jobs.handles import JobHandle
from django_jobs.states import IfFailed

if TYPE_CHECKING:
    from django_jobs.definitions import JobDefinition

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Block:
    """A transaction in which members are added, and what it began with."""

    def __init__(self) -> None:
        self.batch_id: int | None = None
        self.newest = 0
        self.entered: AbstractContextManager[Engine] | None = None


class Members(ABC):
    """What jobs can be added to, inside its `with` block."""

    policy = IfFailed.FAIL

    def __init__(self) -> None:
        self._block = Block()

    def __enter__(self) -> Self:
        if self._block.entered is not None:
            raise JobError(f"{self}: its block is open already.")
        entered = self._transaction()
        try:
            entered.__enter__()
        except SynchronousOnlyOperation as error:
            raise JobError(
                f"{self}: its block is a transaction, which cannot span an await: write it in a "
                "sync function, and call that: await sync_to_async(make)(…). Nothing was enqueued."
            ) from error
        self._block.entered = entered
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        entered, self._block.entered = self._block.entered, None
        if entered is not None:
            entered.__exit__(kind, error, trace)

    @overload
    def enqueue(
        self, definition: "JobDefinition[P, Awaitable[T]]", /, *args: P.args, **kwargs: P.kwargs
    ) -> JobHandle[T]: ...
    @overload
    def enqueue(
        self, definition: "JobDefinition[P, R]", /, *args: P.args, **kwargs: P.kwargs
    ) -> JobHandle[R]: ...
    @overload
    def enqueue(self, definition: str, /, *args: Any, **kwargs: Any) -> JobHandle[Any]: ...
    def enqueue(self, definition: Any, /, *args: Any, **kwargs: Any) -> JobHandle[Any]:
        """Write a job and count it in; takes what `enqueue` takes, and raises as it does.

        A live job with the same unique key, which comes back with `created=False`, is counted in,
        too. Raises BatchFinished, and JobError outside of a block.
        """
        return self._add([checked_job(resolve(definition), args, kwargs)])[0]

    @overload
    def enqueue_many(
        self, definition: "JobDefinition[..., Awaitable[T]]", calls: Iterable[Call], /
    ) -> list[JobHandle[T]]: ...
    @overload
    def enqueue_many(
        self, definition: "JobDefinition[..., R]", calls: Iterable[Call], /
    ) -> list[JobHandle[R]]: ...
    @overload
    def enqueue_many(self, definition: str, calls: Iterable[Call], /) -> list[JobHandle[Any]]: ...
    def enqueue_many(self, definition: Any, calls: Iterable[Call], /) -> list[JobHandle[Any]]:
        """Write one job per call, all or none, and count them in; as `enqueue_many` does."""
        jobs = checked_jobs(resolve(definition), calls)
        return self._add(jobs) if jobs else []

    def _add(self, jobs: Sequence[NewJob]) -> list[JobHandle[Any]]:
        watched = [job._replace(watched=True) for job in jobs]
        with self._adding() as engine:
            handles = insert(engine, watched)
            self._count_in(engine, handles)
        return handles

    def _count_in(self, engine: Engine, handles: Iterable[JobHandle[Any]]) -> None:
        assert self._block.batch_id is not None
        members = [
            Member(handle.id or 0, handle.name, self.policy, fresh=bool(handle.created))
            for handle in handles
        ]
        engine.add_members(self._block.batch_id, members)

    def _adding(self) -> AbstractContextManager[Engine]:
        """Join the open block."""
        if self._block.entered is None:
            raise JobError(f"{self}: add jobs inside its with block. Nothing was enqueued.")
        return joined()

    @contextmanager
    def _transaction(self) -> Generator[Engine]:
        """Open, let the caller add, count what was added: all of it or nothing.

        Inside a block on the same batch, of whichever object, that one counts: each job once.
        """
        engine, before = _engine(str(self)), self._block.batch_id
        try:
            with engine.undoable():
                self._open(engine)
                assert self._block.batch_id is not None
                with outermost(engine.connection, self._block.batch_id) as counts:
                    yield engine
                if counts:
                    self._close(engine)
        except BaseException:
            self._block.batch_id = before
            raise

    @abstractmethod
    def _open(self, engine: Engine) -> None:
        """Begin what members are added to, and note its number and where it stands."""

    def _close(self, engine: Engine) -> None:
        """Count what was added; what has no job that is to be waited for is finished at once."""
        assert self._block.batch_id is not None
        standing = engine.count_members(self._block.batch_id, self._block.newest)
        conclude(engine, [standing], {}, clock.now_or_none())


@contextmanager
def joined() -> Iterator[Engine]:
    """Give the engine; the transaction is open, and somebody else's."""
    yield get_engine(get_settings().DATABASE)


def _engine(what: str) -> Engine:
    alias = get_settings().DATABASE
    if is_elsewhere(alias):
        raise JobError(
            f'{what}: jobs are in "{alias}" and a transaction is open on "default", so that they '
            "could run before it commits. Begin after it: transaction.on_commit(…). Nothing was "
            "enqueued."
        )
    return get_engine(alias)
