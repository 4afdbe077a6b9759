"""What operators do to the call of a job: `change_call`, `hold_call`, `note_copy`."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django_jobs.engines.calls import HeldCall, NewCall
from django_jobs.engines.orm.rows import Rows
from django_jobs.serializers import load
from django_jobs.states import State

TOUCH = timedelta(microseconds=1)


class Calling(Rows):
    """The verbs about calls. Nobody is in a hurry here: all engines share them."""

    def change_call(
        self, job_id: int, call: NewCall, as_of: datetime, allowed_from: Iterable[State]
    ) -> State | None:
        """Write other arguments under the lock of the row, if it is still as it was seen."""
        allowed = set(allowed_from) - {State.RUNNING}
        with self.transaction():
            job = self.awaited(self.jobs.filter(pk=job_id, state__in=allowed)).first()
            if job is None or (job.finished_at or job.run_at) != as_of:
                return None
            args, kwargs = load(call.args), load(call.kwargs)
            original, run_at = job.original_args, job.run_at
            if _text([args, kwargs]) != _text([job.args, job.kwargs]):
                original = original or {"args": job.args, "kwargs": job.kwargs}
                run_at += TOUCH if job.finished_at is None else timedelta()
            self.jobs.filter(pk=job_id).update(
                args=args, kwargs=kwargs, about=call.about, original_args=original, run_at=run_at
            )
        return State(job.state)

    def hold_call(self, job_id: int) -> HeldCall | None:
        """Read a call and lock its row until the caller's transaction ends."""
        rows = self.awaited(self.jobs.filter(pk=job_id))
        found = rows.values_list(*HeldCall._fields).first()
        return None if found is None else HeldCall(*found)

    def note_copy(self, job_id: int, copy_id: int) -> None:
        """Write each number into the other's row."""
        self.jobs.filter(pk=job_id).update(copied_as=copy_id)
        self.jobs.filter(pk=copy_id).update(copy_of=job_id)


def _text(value: Any) -> str:
    """Return a JSON value as text in which 1, 1.0 and true are three things."""
    return json.dumps(value, sort_keys=True)
