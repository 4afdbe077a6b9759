"""A shop on one of its days: fills every screen with what could be so, for tests and pictures."""

from dataclasses import dataclass
from datetime import timedelta

from django_jobs import clock, muting
from django_jobs.models import (
    Batch,
    BulkOperation,
    Event,
    Job,
    JobLog,
    JobProgress,
    JobRun,
    JobStep,
    Queue,
    Schedule,
)
from django_jobs.states import RunOutcome, State, StepState
from django_jobs.timetables.planning import TickOutcome
from tests.browser.figures import figures
from tests.factories import (
    ClaimFactory,
    JobFactory,
    JobRunFactory,
    QueueFactory,
    ScheduleFactory,
    TickFactory,
    WorkerFactory,
)

SHOP = "example_project.shop.jobs."
SEND, DELIVER, IMPORT = f"{SHOP}send_part", f"{SHOP}deliver", f"{SHOP}import_customers"
REPORT, NIGHTLY = f"{SHOP}prepare_report", f"{SHOP}nightly_report"
ORDER = "example_project.shop.orders.jobs.follow_order"

CLOSED = ("smtplib.SMTPServerDisconnected", "Connection unexpectedly closed")
NO_PARTNER = ("example_project.shop.webhooks.sending.NotNow", "503 from hooks.partner.example")
NO_REPORT = (
    "example_project.shop.models.CustomerReport.DoesNotExist",
    "CustomerReport matching query does not exist.",
)
TRACEBACK = """Traceback (most recent call last):
  File "/usr/lib/python3.13/site-packages/django_jobs/steps/calling.py", line 88, in call
    return function(*args)
  File "/srv/shop/jobs.py", line 93, in _send_to
    message_id = mail.send(campaign, customer, context.idempotency_key)
  File "/srv/shop/mail.py", line 41, in send
    message.send()
  File "/usr/lib/python3.13/site-packages/django/core/mail/message.py", line 351, in send
    return self.get_connection(fail_silently).send_messages([self])
  File "/usr/lib/python3.13/smtplib.py", line 405, in getreply
    raise SMTPServerDisconnected("Connection unexpectedly closed")
smtplib.SMTPServerDisconnected: Connection unexpectedly closed"""
LOG = """11:58:31 INFO campaign 7, part 3: 25 customers
11:58:31 INFO 16 have their mail already
11:58:43 WARNING customer 1017: the provider closed the connection"""


@dataclass(frozen=True)
class Scene:
    """The numbers of the rows that have pages of their own."""

    failed: int
    running: int
    schedule: int
    operation: int
    queue: int


def fill(*, trouble):
    """Write the shop's day; `trouble`: with all that can be wrong, else all is clear."""
    _workers(trouble=trouble)
    for name in ("default", "import", "mail", "order", "report", "webhook"):
        QueueFactory(name=name)
    figures(trouble=trouble)
    if trouble:
        _trouble()
    _failures(trouble=trouble)
    _later()
    _ended()
    running = _running()
    _events_and_batches()
    schedule = _schedules()
    failed = _failed_with_steps(before(minutes=2) if trouble else before(hours=7))
    operation = _operation(running)
    return Scene(
        failed.pk, running.pk, schedule.pk, operation.pk, Queue.objects.get(name="mail").pk
    )


def before(**span):
    """Return the instant that lies so long before now."""
    return clock.now() - timedelta(**span)


def _workers(*, trouble):
    quick, slow = ["default", "mail", "order", "webhook"], ["import", "report"]
    up = {"version": "2030.3", "started_at": before(hours=1.6)}
    WorkerFactory(name="web-1:4102", queues=quick, **up)
    WorkerFactory(name="web-2:4117", queues=quick, **up)
    WorkerFactory(name="batch-1:920", queues=slow, threads=2, **up)
    if trouble:
        old = {"version": "2030.2", "started_at": before(hours=70), "beat_at": before(minutes=14)}
        WorkerFactory(name="web-3:4122", queues=quick, **old)
        old |= {"beat_at": before(hours=1.6), "left_at": before(hours=1.6)}
        WorkerFactory(name="batch-1:871", queues=slow, threads=2, **old)


def _ended():
    """Write what went well, the newest last."""
    for ago in range(36, 0, -2):
        name, queue, args = (
            (DELIVER, "webhook", [4000 - ago]),
            (SEND, "mail", [6, 40 - ago]),
            (ORDER, "order", [{"name": "order/placed", "data": {"pk": 990 - ago}}]),
        )[ago // 2 % 3]
        due, end = before(minutes=ago, seconds=4), before(minutes=ago)
        times = {"run_at": due, "enqueued_at": due, "finished_at": end}
        started = before(minutes=ago, seconds=3)
        job = JobFactory(
            successful=True, name=name, queue=queue, args=args, started_at=started, **times
        )
        of_run = {"started_at": started, "finished_at": end, "worker": "web-1:4102"}
        JobRun.objects.filter(job=job).update(**of_run)
    JobFactory(cancelled=True, name=REPORT, queue="report", args=[311])


def _fail(number, name, queue, error, *, since, every, fingerprint):
    """Write failures of one kind, the oldest first, `every` so often `since` then."""
    for place in range(number):
        at = since + place * every
        job = JobFactory(
            failed=True,
            name=name,
            queue=queue,
            args=[7, place + 4] if name == SEND else [3100 + place],
            fingerprint=fingerprint,
            run_at=at - timedelta(minutes=3),
            enqueued_at=at - timedelta(minutes=3),
            started_at=at - timedelta(seconds=11),
            finished_at=at,
        )
        _explain(job, error, started_at=job.started_at, finished_at=at)


def _explain(job, error, **times):
    kind, text = error
    values = {"error_type": kind, "error": text, "error_text": text, "worker": "web-2:4117"}
    JobRun.objects.filter(job=job).update(**values, **times)


def _failures(*, trouble):
    minutes = timedelta(minutes=1)
    since = before(hours=30)
    kind = {"fingerprint": "5d0c2a1b7e9f3344", "since": since, "every": 9 * minutes}
    _fail(4, REPORT, "report", NO_REPORT, **kind)
    muting.mute("5d0c2a1b7e9f3344", by="ben", until=clock.now() + timedelta(hours=20))
    since = before(minutes=115) if trouble else before(hours=9)
    kind = {"fingerprint": "a83f10c94b6d2e57", "since": since, "every": 8.7 * minutes}
    _fail(13, DELIVER, "webhook", NO_PARTNER, **kind)
    if trouble:
        kind = {"since": before(minutes=29), "every": 0.7 * minutes}
        _fail(38, SEND, "mail", CLOSED, fingerprint="1f3a77c0d2e85b90", **kind)


def _failed_with_steps(at):
    """Write a job that has failed four times, in one of its steps."""
    times = {"run_at": at - timedelta(minutes=4), "enqueued_at": at - timedelta(minutes=4)}
    job = JobFactory(
        failed=True,
        name=SEND,
        queue="mail",
        args=[7, 3],
        fingerprint="1f3a77c0d2e85b90",
        about="shop.campaign:7",
        enqueued_by="view=shop:campaign-send request=7f3ac1 user=ana",
        started_at=at - timedelta(seconds=12),
        finished_at=at,
        has_steps=True,
        **times,
    )
    JobRun.objects.filter(job=job).delete()
    for attempt, ago in enumerate((235, 170, 80, 12), start=1):
        last = attempt == 4
        JobRunFactory(
            job=job,
            broken=True,
            outcome=RunOutcome.FAILED if last else RunOutcome.RETRIED,
            attempt=attempt,
            started_at=at - timedelta(seconds=ago),
            finished_at=at - timedelta(seconds=ago - (12 if last else 9)),
            worker="web-2:4117" if last else "web-1:4102",
            error_type=CLOSED[0],
            error=CLOSED[1],
            error_text=CLOSED[1],
            traceback=TRACEBACK,
            log=LOG if last else "",
        )
    _steps(job, at)
    return job


def _steps(job, at):
    first = at - timedelta(seconds=234)
    rows = [("fetch-recipients", 0.4, 0.0, StepState.DONE, "[1001, 1002, …]")]
    rows += [
        (f"send-to-{1001 + n}", 0.8 + n % 3, 1.0 + 2.5 * n, StepState.DONE, f'"msg-{n}"')
        for n in range(4)
    ]
    rows.append(("send-to-1017", 11.0, 223.0, StepState.FAILED, None))
    for position, (key, took, after, state, result) in enumerate(rows, start=1):
        start = first + timedelta(seconds=after)
        failed = state is StepState.FAILED
        JobStep.objects.create(
            job_id=job.pk,
            key=key,
            position=position,
            state=state,
            result=result if result is None or result[0] == '"' else "[1001, 1002, 1003, 1004]",
            attempts=4 if failed else 1,
            error_type=CLOSED[0] if failed else "",
            error=CLOSED[1] if failed else "",
            started_at=start,
            finished_at=start + timedelta(seconds=took),
            claim_id=1,
        )


def _running():
    """Write the jobs that run; return the one that says how far it is."""
    for worker, name, queue, args in (
        ("web-1:4102", SEND, "mail", [7, 41]),
        ("web-2:4117", ORDER, "order", [{"name": "order/placed", "data": {"pk": 991}}]),
        ("web-2:4117", SEND, "mail", [7, 42]),
    ):
        claim = ClaimFactory(worker=worker)
        JobFactory(running=True, name=name, queue=queue, args=args, claim_id=claim.pk)
    claim = ClaimFactory(worker="batch-1:920")
    began = before(minutes=2, seconds=40)
    job = JobFactory(
        running=True,
        name=IMPORT,
        queue="import",
        args=[52],
        claim_id=claim.pk,
        run_at=began,
        enqueued_at=began,
        started_at=began,
    )
    note = {"done": 3400, "total": 12_000, "note": "rows read"}
    JobProgress.objects.create(job_id=job.pk, updated_at=before(seconds=1), **note)
    for ago, line in (
        (160, "INFO file of 12,000 rows, UTF-8, separated by semicolons"),
        (91, "WARNING row 1,804: no e-mail address, left out"),
        (12, "INFO 3,400 rows read, 3,371 customers written"),
    ):
        at = before(seconds=ago)
        JobLog.objects.create(job_id=job.pk, claim_id=claim.pk, at=at, line=line)
    return job


def _later():
    """Write what is to run: at once, soon, or when something happens."""
    JobFactory.create_batch(3, name=DELIVER, queue="webhook", args=[4000], run_at=before(seconds=2))
    JobFactory.create_batch(2, scheduled=True, name=REPORT, queue="report", args=[318])
    JobFactory.create_batch(4, retrying=True, name=DELIVER, queue="webhook", args=[3998])
    JobFactory.create_batch(9, waiting=True, name=ORDER, queue="order", waiting_for="order/paid")
    for job in Job.objects.filter(state=State.SCHEDULED, attempt=1):
        _explain(job, NO_PARTNER)


def _trouble():
    """Write what mends itself when a button is pressed."""
    late = before(minutes=6)
    due = {"run_at": late, "enqueued_at": late}
    for part in range(50, 91):
        JobFactory(name=SEND, queue="mail", args=[7, part], **due)
    paused = {"paused_by": "ana", "paused_reason": "db upgrade"}
    Queue.objects.filter(name="report").update(paused_at=before(minutes=42), **paused)
    JobFactory.create_batch(7, name=REPORT, queue="report", args=[320])
    lost = ClaimFactory(worker="web-3:4122", expires_at=before(minutes=13))
    at = before(minutes=15)
    times = {"run_at": at, "enqueued_at": at, "started_at": at}
    JobFactory(running=True, name=ORDER, queue="order", claim_id=lost.pk, **times)
    hangs = ClaimFactory(worker="web-1:4102")
    args = {"name": DELIVER, "queue": "webhook", "args": [3997]}
    at = before(minutes=4)
    times = {"run_at": at, "enqueued_at": at, "started_at": at}
    JobFactory(running=True, **args, claim_id=hangs.pk, **times)


def _schedules():
    """Write plans of all kinds; return the one with a past."""
    code = {"source": "code", "job_name": NIGHTLY, "timezone": "Europe/Berlin"}
    nightly = ScheduleFactory(
        name="nightly report",
        cron="0 2 * * *",
        next_run_at=before() + timedelta(hours=13),
        created_at=before(days=40),
        last_planned_at=before(hours=11),
        declared={"cron": "0 1 * * *"},
        overrides=["cron"],
        **code,
    )
    for days in range(14, 0, -1):
        at = before(hours=24 * days - 13)
        state = State.FAILED if days == 5 else State.SUCCESSFUL
        outcome = TickOutcome.CAUGHT_UP if days == 9 else TickOutcome.ON_TIME
        made = at + timedelta(minutes=25 if days == 9 else 0, seconds=1)
        values = {"planned_at": at, "outcome": outcome, "job_state": state, "made_at": made}
        TickFactory(schedule=nightly, **values)
    hour = timedelta(hours=1)
    soon = {"cron": "", "every": hour, "next_run_at": before(minutes=-21)}
    ScheduleFactory(name="recount", job_name=f"{SHOP}recount", **soon)
    ScheduleFactory(name="sync partners", paused=True, paused_reason="their audit")
    gone = "No job is called “shop.feeds.pull” any more."
    ScheduleFactory(name="pull feeds", job_name="shop.feeds.pull", disabled=True)
    Schedule.objects.filter(name="pull feeds").update(disabled_reason=gone)
    return nightly


def _events_and_batches():
    for number, name in enumerate(("order/placed", "order/paid", "order/placed", "stock/low")):
        Event.objects.create(
            name=name,
            data='{"pk": 991, "cents": 4200}',
            key=f"order-{991 + number}",
            sent_at=before(minutes=9 - 2 * number),
            handed_out_at=before(minutes=9 - 2 * number),
            started=[1] if name == "order/placed" else [],
            woken=int(name == "order/paid"),
        )
    counts = {"total": 40, "successful": 31, "failed": 2, "pending": 7}
    Batch.objects.create(name="campaign 7", created_at=before(minutes=31), **counts)
    counts = {"total": 12, "successful": 12, "finished_at": before(hours=2)}
    Batch.objects.create(name="album 3", created_at=before(hours=3), **counts)


def _operation(running):
    newest = Job.objects.order_by("-pk").first()
    return BulkOperation.objects.create(
        key="pictures",
        verb="retry",
        search="job:send_part state:failed",
        as_of=before(minutes=1),
        high=newest.pk,
        expected=9400,
        created_at=before(minutes=1),
        created_by="ana",
        started_at=before(seconds=50),
        last_id=newest.pk // 2,
        done=6120,
        refused=3,
        reasons={"it runs already": [3, running.pk]},
    )
