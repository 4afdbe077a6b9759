"""One consistent row per state of a job: `JobFactory(failed=True)` has its run, and so on."""

from datetime import timedelta

import factory
from factory.django import DjangoModelFactory

from django_jobs import clock
from django_jobs.models import Claim, Job, JobRun, Queue, Schedule, Tally, Tick, Worker
from django_jobs.states import RunOutcome, State
from django_jobs.tallies import COLUMNS
from django_jobs.timetables.planning import TickOutcome


def before(**span):
    """Return a declaration of an instant that lies `span` before now."""
    return factory.LazyFunction(lambda: clock.now() - timedelta(**span))


def after(**span):
    """Return a declaration of an instant that lies `span` after now."""
    return factory.LazyFunction(lambda: clock.now() + timedelta(**span))


class WorkerFactory(DjangoModelFactory):
    class Meta:
        model = Worker

    name = factory.Sequence(lambda number: f"web-1:{4000 + number}")
    threads = 4
    started_at = before(hours=1)
    beat_at = before(seconds=3)


class QueueFactory(DjangoModelFactory):
    class Meta:
        model = Queue
        django_get_or_create = ("name",)

    name = "default"

    class Params:
        paused = factory.Trait(paused_at=before(minutes=5), paused_by="ana")


class ClaimFactory(DjangoModelFactory):
    class Meta:
        model = Claim

    worker = "web-1:4711"
    expires_at = after(seconds=40)

    class Params:
        expired = factory.Trait(expires_at=before(seconds=5))


class JobRunFactory(DjangoModelFactory):
    class Meta:
        model = JobRun

    job = factory.SubFactory("tests.factories.JobFactory")
    claim_id = factory.Sequence(lambda number: 900_000 + number)
    attempt = 1
    outcome = RunOutcome.SUCCESSFUL
    started_at = before(seconds=12)
    finished_at = before(seconds=10)
    worker = "web-1:4711"

    class Params:
        broken = factory.Trait(
            outcome=RunOutcome.FAILED,
            error_type="ConnectionError",
            error="503 from partner",
            error_text="503 from partner\nsecond line",
            traceback='File "shop/jobs.py", line 7, in send',
        )


class ScheduleFactory(DjangoModelFactory):
    """A schedule that somebody made by hand: every hour, on the hour."""

    class Meta:
        model = Schedule

    name = factory.Sequence(lambda number: f"schedule-{number}")
    job_name = "tests.jobs.nothing"
    cron = "0 * * * *"
    created_at = before(days=1)
    next_run_at = after(hours=1)

    class Params:
        paused = factory.Trait(next_run_at=None, paused_at=before(minutes=5), paused_by="ana")
        disabled = factory.Trait(
            next_run_at=None, disabled_at=before(minutes=5), disabled_reason="Its job is gone."
        )


class TickFactory(DjangoModelFactory):
    class Meta:
        model = Tick

    schedule = factory.SubFactory(ScheduleFactory)
    planned_at = before(seconds=12)
    outcome = TickOutcome.ON_TIME
    job_id = factory.Sequence(lambda number: 800_000 + number)
    made_at = before(seconds=10)


class TallyFactory(DjangoModelFactory):
    """What ended `ago` minutes ago: one job that ended well after half a second."""

    class Meta:
        model = Tally
        skip_postgeneration_save = True

    class Params:
        ago = 5

    span = 1
    minute = factory.LazyAttribute(
        lambda row: (int(clock.now().timestamp()) // 60 - row.ago) // row.span * row.span
    )
    queue = "default"
    name = "tests.jobs.add"
    succeeded = 1
    wait_sum = factory.LazyAttribute(lambda row: 0.1 * row.succeeded)
    run_sum = factory.LazyAttribute(lambda row: 0.5 * row.succeeded)
    wait_4 = factory.SelfAttribute("succeeded")
    run_6 = factory.SelfAttribute("succeeded")

    @factory.post_generation
    def whole(self, *_, **__):
        """Add it to what is about all jobs together, as workers do."""
        key = {"span": self.span, "minute": self.minute, "queue": "", "name": ""}
        row, _ = Tally.objects.get_or_create(**key)
        for name in COLUMNS:
            if more := getattr(self, name):
                setattr(row, name, (getattr(row, name) or 0) + more)
        row.save()


class JobFactory(DjangoModelFactory):
    """A job; without a trait it is READY."""

    class Meta:
        model = Job
        skip_postgeneration_save = True

    name = "tests.jobs.add"
    queue = "default"
    args = factory.LazyFunction(lambda: [1, 2])
    state = State.READY
    run_at = before(seconds=30)
    enqueued_at = before(seconds=30)

    class Params:
        scheduled = factory.Trait(state=State.SCHEDULED, run_at=after(hours=1))
        retrying = factory.Trait(
            state=State.SCHEDULED,
            run_at=after(seconds=15),
            attempt=1,
            started_at=before(seconds=12),
        )
        waiting = factory.Trait(state=State.WAITING, run_at=after(days=1), waiting_for="order/paid")
        running = factory.Trait(
            state=State.RUNNING,
            attempt=1,
            started_at=before(seconds=12),
            claim_id=factory.LazyAttribute(lambda row: ClaimFactory(expired=row.silent).pk),
        )
        silent = False
        ended = factory.Trait(
            attempt=1, started_at=before(seconds=12), finished_at=before(seconds=10)
        )
        successful = factory.Trait(ended=True, state=State.SUCCESSFUL)
        failed = factory.Trait(ended=True, state=State.FAILED, attempt=4)
        cancelled = factory.Trait(ended=True, state=State.CANCELLED)

    @factory.post_generation
    def history(self, *_, **__):
        """Write what else must exist: the run of an ended job, the claim's list of a running one."""
        if self.state == State.RUNNING:
            Claim.objects.filter(pk=self.claim_id).update(job_ids=[self.pk])
        elif self.state == State.SUCCESSFUL:
            JobRunFactory(job=self, result=3)
        elif self.state == State.CANCELLED:
            JobRunFactory(job=self, outcome=RunOutcome.CANCELLED)
        elif self.state == State.FAILED:
            JobRunFactory(job=self, broken=True, attempt=self.attempt)
        elif self.state == State.SCHEDULED and self.attempt:
            JobRunFactory(job=self, broken=True, outcome=RunOutcome.RETRIED)
