"""Flows: a job that waits for others, its children, and sees what became of them."""

import copy
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, overload

from django_jobs import clock
from django_jobs.batches.members import Members
from django_jobs.engines.base import Engine
from django_jobs.engines.endings import NEVER
from django_jobs.enqueueing import checked_job, insert_for, resolve
from django_jobs.exceptions import JobError
from django_jobs.handles import JobHandle
from django_jobs.states import IfFailed, Later

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django_jobs.definitions import JobDefinition

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Flow(Members, Generic[R]):
    """A job, the parent, that runs when the jobs enqueued in the `with` block have ended.

    `with Flow(publish, 7) as flow:` takes the parent and its arguments, as `enqueue` does; the
    block is one transaction, and so is the whole tree of flows in it. Attribute: `parent` (the
    handle of that job). A child that fails or is cancelled fails the parent at once, unless
    `using` says otherwise. Raises as `enqueue` does, and ValueError for a parent with a
    `unique_key` or `run_after`.
    """

    @overload
    def __init__(
        self: "Flow[T]",
        definition: "JobDefinition[P, Awaitable[T]]",
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None: ...
    @overload
    def __init__(
        self, definition: "JobDefinition[P, R]", /, *args: P.args, **kwargs: P.kwargs
    ) -> None: ...
    @overload
    def __init__(self, definition: str, /, *args: Any, **kwargs: Any) -> None: ...
    def __init__(self, definition: Any, /, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        job = checked_job(resolve(definition), args, kwargs)
        for option in ("unique_key", "later"):
            if getattr(job, option) is not None:
                word = "run_after" if option == "later" else option
                raise ValueError(
                    f"{job.name} is the parent of a flow: it takes no {word}, for it runs when its "
                    "children have ended. Nothing was enqueued."
                )
        self._job = job._replace(later=Later(instant=NEVER), watched=True)
        self._join: Callable[[Engine, JobHandle[Any]], None] | None = None
        self.parent: JobHandle[R] = JobHandle(job.name)

    def __repr__(self) -> str:
        number = "" if self._block.batch_id is None else f" #{self.parent.id}"
        return f"<Flow {self._job.name}{number}>"

    def using(self, *, if_failed: str = IfFailed.FAIL) -> Self:
        """Return a view of this flow; what is enqueued through it has this policy.

        `if_failed`, of a child that fails or is cancelled: "fail" (the parent fails at once),
        "ignore" (the child has ended, that is all) or "continue" (the parent runs at once; children
        that have not ended go on). Raises ValueError for anything else.
        """
        if if_failed not in set(IfFailed):
            known = ", ".join(f'"{each}"' for each in IfFailed)
            raise ValueError(f"if_failed is one of {known}, got {if_failed!r}.")
        view = copy.copy(self)
        view.policy = IfFailed(if_failed)
        return view

    @overload
    def flow(
        self, definition: "JobDefinition[P, Awaitable[T]]", /, *args: P.args, **kwargs: P.kwargs
    ) -> "Flow[T]": ...
    @overload
    def flow(
        self, definition: "JobDefinition[P, T]", /, *args: P.args, **kwargs: P.kwargs
    ) -> "Flow[T]": ...
    @overload
    def flow(self, definition: str, /, *args: Any, **kwargs: Any) -> "Flow[Any]": ...
    def flow(self, definition: Any, /, *args: Any, **kwargs: Any) -> "Flow[Any]":
        """Return a flow whose parent is a child of this one: `with flow.flow(…) as inner:`."""
        inner: Flow[Any] = Flow(definition, *args, **kwargs)
        inner._join = self._take_in
        return inner

    def _take_in(self, engine: Engine, parent: JobHandle[Any]) -> None:
        with self._adding():
            self._count_in(engine, [parent])

    def _open(self, engine: Engine) -> None:
        if self._block.batch_id is not None:
            raise JobError(f"{self} has had its block: a flow has one block. Make another Flow.")
        insert_for(engine, [self._job], [self.parent])
        assert self.parent.id is not None
        engine.let_wait(self.parent.id)
        if self._join is not None:
            self._join(engine, self.parent)
        now = clock.now_or_none()
        self._block.batch_id = engine.open_batch("", self.parent.id, now)
