"""Steps: `load_steps`, `save_step`, `forget_steps`."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Q

from django_jobs.engines.base import Hold
from django_jobs.engines.orm.rows import Rows
from django_jobs.engines.steps import Memo, StepRecord
from django_jobs.models import JobStep, Wait
from django_jobs.serializers import clean_text, load
from django_jobs.states import StepState

COLUMNS = (
    "position",
    "state",
    "result",
    "attempts",
    "error_type",
    "error",
    "wake_at",
    "started_at",
    "finished_at",
)


MEMO = ("state", "position", "result", "attempts", "error_type", "error", "wake_at")


class Stepping(Rows):
    """The verbs about steps."""

    def load_steps(self, job_id: int, now: datetime | None = None) -> dict[str, Memo]:
        """Return what is on record of all steps of a job, by key."""
        due = ExpressionWrapper(Q(wake_at__lte=self.instant(now)), BooleanField())
        rows = JobStep.objects.using(self.alias).filter(job_id=job_id).order_by()
        found = rows.annotate(due=due).values_list("key", *MEMO, "due")
        return {
            key: Memo._make((StepState(state), place, load(result), *rest, bool(is_due)))
            for key, state, place, result, *rest, is_due in found
        }

    def save_step(
        self, hold: Hold, step: StepRecord, *, first: bool, now: datetime | None = None
    ) -> datetime | None:
        """Write a step while the job runs under the claim."""
        now = self.at(now)
        key, *row = step_row(step, now)
        values = dict(zip(COLUMNS, row, strict=True))
        values["claim_id"] = hold.claim_id
        with self.transaction():
            ours = self.awaited(self.jobs.filter(pk=hold.job_id, claim_id=hold.claim_id))
            if not ours.values_list("pk", flat=True):
                return None
            steps = JobStep.objects.using(self.alias)
            if steps.filter(job_id=hold.job_id, key=key, state=StepState.DONE).exists():
                return None
            steps.update_or_create(job_id=hold.job_id, key=key, defaults=values)
            if first:
                forgiven = {"lost_count": 0} if step.state is StepState.DONE else {}
                self.jobs.filter(pk=hold.job_id).update(has_steps=True, **forgiven)
        return wake_at(step, now) or now

    def forget_steps(self, job_ids: Collection[int], *, finished: bool) -> None:
        """Delete steps of jobs that do not run."""
        steps = JobStep.objects.using(self.alias).filter(job_id__in=job_ids)
        if finished:
            Wait.objects.using(self.alias).filter(job_id__in=job_ids, cancels=False).delete()
        else:
            steps = steps.filter(state__in=[StepState.FAILED, StepState.RETRYING])
        steps.delete()


def step_row(step: StepRecord, now: datetime) -> list[Any]:
    """Return the key and the values of `COLUMNS` of a step."""
    return [
        step.key,
        step.position,
        step.state.value,
        step.result,
        step.attempts,
        clean_text(step.error_type)[:255],
        clean_text(step.error)[:255],
        wake_at(step, now),
        now - timedelta(seconds=step.began_ago),
        now,
    ]


def wake_at(step: StepRecord, now: datetime) -> datetime | None:
    """Return when a sleep is over, `None` for any other step."""
    if step.wake is None:
        return None
    return step.wake.instant or now + timedelta(seconds=step.wake.seconds)
