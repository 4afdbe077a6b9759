"""What there is beside the big tables, by the ORM: who works, what is planned, what belongs together."""

from collections import defaultdict
from datetime import datetime, timedelta

from django.contrib.auth.models import Group, User

from benchmarks.screens.amounts import KINDS, STEPS, SUBJECTS, TRIES, Amounts
from benchmarks.screens.filling import CLAIMS, DAY, TRACE
from benchmarks.screens.jobs import NAMES, PLACE, QUEUES
from django_jobs import clock
from django_jobs.models import (
    Batch,
    BatchJob,
    BulkOperation,
    Claim,
    Job,
    JobLog,
    JobProgress,
    JobRun,
    JobStep,
    MutedError,
    Queue,
    Release,
    Schedule,
    Tick,
    Worker,
)
from django_jobs.states import RunOutcome, State, StepState
from django_jobs.timetables.planning import TickOutcome

SCHEDULES = 200
TICKS = 100
"""Planned times of each."""

BATCHES = 1_000
MEMBERS = 20
OPERATIONS = 40
SILENT = 5
"""So many of the claims have run out."""

ERROR = "503 from partner"


def stand(amounts: Amounts) -> User:
    """Write all of it; return the user who looks."""
    now = clock.now()
    Queue.objects.bulk_create(Queue(name=name, latency_limit=600) for name in QUEUES)
    Queue.objects.filter(name="slow").update(paused_at=now, paused_by="ana", paused_reason="why")
    _working(now)
    _many_tries(amounts, now)
    _many_steps(amounts, now)
    _planned(amounts, now)
    _together(now)
    _known(amounts, now)
    Group.objects.bulk_create(Group(pk=key, name=f"row {key}") for key in range(1, SUBJECTS + 1))
    return User.objects.create_superuser("ana")


def _working(now: datetime) -> None:
    """Write workers, and the claims of the jobs that run; the first of them are silent."""
    held: dict[int, list[int]] = defaultdict(list)
    running = Job.objects.filter(state=State.RUNNING).values_list("claim_id", "pk")
    for claim_id, job_id in running:
        held[claim_id].append(job_id)
    long_ago, soon = now - timedelta(minutes=14), now + timedelta(days=1)
    workers = {number: f"web-{number}:4711" for number in range(CLAIMS)}
    Worker.objects.bulk_create(
        Worker(
            name=name,
            threads=10,
            version="v42",
            started_at=now - timedelta(days=1),
            beat_at=long_ago if number < SILENT else soon,
        )
        for number, name in workers.items()
    )
    Claim.objects.bulk_create(
        Claim(
            pk=number + 1,
            worker=name,
            expires_at=long_ago if number < SILENT else soon,
            job_ids=held[number + 1],
        )
        for number, name in workers.items()
    )
    ids = [job_id for job_ids in held.values() for job_id in job_ids]
    JobProgress.objects.bulk_create(
        JobProgress(job_id=job_id, done=40, total=100, note="row 40", updated_at=now)
        for job_id in ids
    )
    JobLog.objects.bulk_create(
        JobLog(job_id=job_id, claim_id=claim_id, at=now, line=f"INFO row {number} of 100 is done")
        for claim_id, job_ids in held.items()
        for job_id in job_ids
        for number in range(40)
    )


def _ended(job_id: int, state: State, now: datetime, **more: object) -> Job:
    return Job(
        pk=job_id,
        name=PLACE + NAMES[0],
        queue=QUEUES[1],
        kwargs={"order": job_id},
        state=state,
        run_at=now - timedelta(hours=3),
        enqueued_at=now - timedelta(hours=3),
        started_at=now - timedelta(minutes=2),
        finished_at=now - timedelta(minutes=1),
        **more,
    )


def _many_tries(amounts: Amounts, now: datetime) -> None:
    fingerprint = "facade0000000010"
    _ended(
        amounts.many_tries,
        State.FAILED,
        now,
        attempt=TRIES,
        max_attempts=TRIES,
        fingerprint=fingerprint,
    ).save()
    JobRun.objects.bulk_create(
        JobRun(
            job_id=amounts.many_tries,
            claim_id=number,
            attempt=number,
            outcome=RunOutcome.FAILED if number == TRIES else RunOutcome.RETRIED,
            started_at=now - timedelta(minutes=3 * (TRIES - number) + 2),
            finished_at=now - timedelta(minutes=3 * (TRIES - number) + 1),
            worker="web-7:4711",
            error_type="shop.clients.Unavailable",
            error=ERROR,
            error_text=ERROR,
            traceback=TRACE,
            fingerprint=fingerprint,
            log="INFO a line of the log\n" * 100,
        )
        for number in range(1, TRIES + 1)
    )


def _many_steps(amounts: Amounts, now: datetime) -> None:
    _ended(amounts.many_steps, State.SUCCESSFUL, now, attempt=1, has_steps=True).save()
    JobRun.objects.create(
        job_id=amounts.many_steps,
        claim_id=1,
        attempt=1,
        outcome=RunOutcome.SUCCESSFUL,
        started_at=now - timedelta(minutes=2),
        finished_at=now - timedelta(minutes=1),
        worker="web-7:4711",
        result={"sent": STEPS},
    )
    JobStep.objects.bulk_create(
        JobStep(
            job_id=amounts.many_steps,
            key=f"send-to-{number}",
            position=number,
            state=StepState.DONE,
            result='{"status": 250}',
            attempts=1,
            started_at=now - timedelta(seconds=120 - number / 4),
            finished_at=now - timedelta(seconds=120 - (number + 1) / 4),
            claim_id=1,
        )
        for number in range(STEPS)
    )


def _planned(amounts: Amounts, now: datetime) -> None:
    Schedule.objects.bulk_create(
        Schedule(
            pk=number + 1,
            name=f"schedule {number}",
            job_name=PLACE + NAMES[number % len(NAMES)],
            cron=f"{number % 60} * * * *",
            created_at=now - timedelta(days=30),
            next_run_at=now + timedelta(minutes=1 + number % 60),
        )
        for number in range(SCHEDULES)
    )
    Tick.objects.bulk_create(
        Tick(
            schedule_id=number % SCHEDULES + 1,
            planned_at=now - timedelta(hours=1 + number // SCHEDULES),
            outcome=TickOutcome.ON_TIME,
            job_id=max(amounts.jobs - number, 1),
            job_state=State.SUCCESSFUL,
            made_at=now - timedelta(hours=1 + number // SCHEDULES),
        )
        for number in range(SCHEDULES * TICKS)
    )


def _together(now: datetime) -> None:
    Batch.objects.bulk_create(
        Batch(
            pk=number + 1,
            name=f"campaign {number}",
            total=MEMBERS,
            pending=0 if number % 10 else 5,
            successful=MEMBERS if number % 10 else MEMBERS - 5,
            created_at=now - timedelta(hours=number),
            finished_at=now if number % 10 else None,
        )
        for number in range(BATCHES)
    )
    BatchJob.objects.bulk_create(
        BatchJob(
            batch_id=number % BATCHES + 1,
            job_id=number + 1,
            name=PLACE + NAMES[number % len(NAMES)],
            state=State.SUCCESSFUL,
        )
        for number in range(BATCHES * MEMBERS)
    )


def _known(amounts: Amounts, now: datetime) -> None:
    """Write operations, the last of which goes on, versions, and errors that somebody muted."""
    BulkOperation.objects.bulk_create(
        BulkOperation(
            pk=number,
            key=f"key {number}",
            verb="retry",
            search="state:failed",
            as_of=now,
            high=amounts.jobs,
            expected=10_001,
            created_at=now - timedelta(hours=OPERATIONS - number),
            created_by="ana",
            last_id=amounts.jobs // 2,
            started_at=now - timedelta(minutes=5),
            finished_at=None if number == OPERATIONS else now,
            done=7_000,
            reasons={"it runs again": [12, 1]},
        )
        for number in range(1, OPERATIONS + 1)
    )
    Release.objects.bulk_create(
        Release(version=f"v{33 + number}", seen_at=now - timedelta(seconds=DAY * (9 - number)))
        for number in range(10)
    )
    MutedError.objects.bulk_create(
        MutedError(
            fingerprint=f"facade00000000{10 + number}",
            muted_at=now,
            muted_by="ana",
            muted_until=now + timedelta(days=1),
            count=100,
        )
        for number in range(KINDS - 3, KINDS)
    )
