import html
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from django_jobs.engines.endings import NEVER
from django_jobs.models import Batch, BatchJob, Claim, Job, JobStep, Queue, Wait
from django_jobs.reports import summary
from django_jobs.reports.explaining import explain
from django_jobs.states import StepState
from tests.conftest import NOON
from tests.factories import JobFactory, QueueFactory, ScheduleFactory, TickFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

SERVED = "It is the next of its queue: a worker with a free place takes it."
READY = 'It is ready: it came into the queue "default" 30 s ago.'


def told(job):
    """Return the texts of all reasons."""
    return [reason.text for reason in explain(job.pk)]


def advised(job):
    return [reason.advice for reason in explain(job.pk) if reason.advice]


def test_a_ready_job_with_a_worker_is_the_next():
    WorkerFactory()
    job = JobFactory()
    assert told(job) == [READY, SERVED]
    assert advised(job) == []


def test_a_paused_queue_is_told_with_who_why_and_until_when():
    WorkerFactory()
    until = NOON + timedelta(hours=2)
    QueueFactory(paused=True, paused_reason="upgrade", paused_until=until)
    job = JobFactory()
    assert told(job) == [
        READY,
        (
            'The queue "default" was paused by ana 5 min ago: upgrade. '
            "It resumes 2030-01-15 14:00:00 UTC (in 2 h)."
        ),
    ]
    assert advised(job) == ["To go on with it: python manage.py jobs resume default"]


def test_a_pause_that_has_ended_is_no_reason():
    WorkerFactory()
    QueueFactory(paused=True, paused_until=NOON - timedelta(minutes=1))
    assert told(JobFactory()) == [READY, SERVED]


@pytest.mark.parametrize(
    ("worker", "reason"),
    [
        (None, "No worker is alive."),
        ({"beat_at": NOON - timedelta(minutes=5)}, "heard of 5 min ago."),
        ({"queues": ["mail"]}, '1 worker is alive, but none serves the queue "default".'),
    ],
)
def test_without_a_worker_for_its_queue_a_job_says_so(worker, reason):
    if worker:
        WorkerFactory(**worker)
    job = JobFactory()
    assert told(job)[-1].endswith(reason)
    assert "python manage.py runworker" in advised(job)[0]


def test_a_name_that_nothing_has_is_told():
    WorkerFactory()
    job = JobFactory(name="shop.jobs.old")
    assert told(job) == [READY, 'Nothing here is called "shop.jobs.old".']
    assert '@job(aliases=["shop.jobs.old"])' in advised(job)[0]


def test_a_job_that_workers_did_not_know_says_when_it_is_looked_at_again():
    WorkerFactory()
    job = JobFactory(
        scheduled=True,
        run_at=NOON + timedelta(seconds=30),
        unknown_since=NOON - timedelta(hours=0.5),
    )
    assert told(job) == [
        "It was handed back, and is looked at again 2030-01-15 12:00:30 UTC (in 30 s).",
        'Workers do not know the name "tests.jobs.add", first 30 min ago; after 1 h it fails.',
    ]


def test_a_scheduled_job_says_until_when():
    WorkerFactory()
    job = JobFactory(scheduled=True)
    assert told(job) == ["It is not due until 2030-01-15 13:00:00 UTC (in 1 h)."]
    assert advised(job) == [f"To run it at once: python manage.py jobs run-now {job.pk}"]


def test_what_would_stop_it_later_is_told_before_it_is_due():
    QueueFactory(paused=True)
    texts = told(JobFactory(scheduled=True))
    assert texts[1].startswith('The queue "default" was paused')
    assert texts[2] == "No worker is alive."


def test_a_retrying_job_says_what_failed_and_when_the_next_try_is():
    WorkerFactory()
    assert told(JobFactory(retrying=True)) == [
        (
            "Attempt 1 of 4 failed: ConnectionError: 503 from partner. "
            "Its next try is due 2030-01-15 12:00:15 UTC (in 15 s)."
        )
    ]


def test_a_due_job_is_made_ready_by_a_worker():
    WorkerFactory()
    [reason] = told(JobFactory(scheduled=True, run_at=NOON - timedelta(seconds=2)))
    assert reason.endswith("a worker makes it ready within seconds.")


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        ({"priority": 5}, True),
        ({"priority": -5}, False),
        ({"run_at": NOON - timedelta(hours=1)}, True),
        ({"run_at": NOON}, False),
        ({"queue": "mail", "priority": 5}, False),
        ({"scheduled": True, "priority": 5}, False),
    ],
)
def test_only_jobs_of_higher_place_in_its_queue_come_before_it(other, counts):
    WorkerFactory()
    JobFactory(**other)
    expected = "1 job of its queue comes before it." if counts else SERVED
    assert told(JobFactory()) == [READY, expected]


def test_of_jobs_of_one_instant_the_first_enqueued_comes_first():
    WorkerFactory()
    first, second = JobFactory(), JobFactory()
    assert told(first)[-1] == SERVED
    assert told(second)[-1] == "1 job of its queue comes before it."


def test_those_before_it_are_counted_to_the_cap(monkeypatch):
    monkeypatch.setattr(summary, "CAP", 2)
    WorkerFactory()
    JobFactory.create_batch(4, priority=5)
    assert told(JobFactory())[-1] == "2+ jobs of its queue come before it."


def waiting_step(job, key, state=StepState.WAITING, **fields):
    Job.objects.filter(pk=job.pk).update(has_steps=True)
    JobStep.objects.create(
        job_id=job.pk, key=key, position=1, state=state, finished_at=NOON, claim_id=1, **fields
    )


def wait(job, key, event, **fields):
    since = NOON - timedelta(minutes=3)
    Wait.objects.create(job_id=job.pk, key=key, event=event, since=since, **fields)


def test_a_job_that_waits_for_an_event_says_which_and_until_when():
    WorkerFactory()
    until = NOON + timedelta(days=1)
    job = JobFactory(waiting=True, run_at=until)
    waiting_step(job, "paid", wake_at=until)
    wait(job, "paid", "order/paid")
    assert told(job) == [
        (
            'Step "paid" waits for the event order/paid, until 2030-01-16 12:00:00 UTC (in 1 d); '
            "it began 3 min ago."
        ),
        "It goes on 2030-01-16 12:00:00 UTC (in 1 d) at the latest.",
    ]


def test_a_job_that_waits_for_another_names_it_and_its_state():
    WorkerFactory()
    child = JobFactory(running=True)
    job = JobFactory(waiting=True, run_at=NEVER)
    waiting_step(job, "sub")
    wait(job, "sub", "job/finished", child_id=child.pk)
    assert told(job) == [f'Step "sub" waits for the end of add #{child.pk}, which is running.']
    assert advised(job) == [f"Why that takes so long: python manage.py jobs why {child.pk}"]
    Job.objects.filter(pk=child.pk).delete()
    assert told(job) == [f'Step "sub" waits for the end of job #{child.pk}, which is gone.']


def test_a_sleeping_step_says_until_when():
    WorkerFactory()
    job = JobFactory(waiting=True, run_at=NEVER)
    waiting_step(job, "nap", StepState.SLEEPING, wake_at=NOON + timedelta(hours=1))
    assert told(job) == ['Step "nap" sleeps until 2030-01-15 13:00:00 UTC (in 1 h).']


def test_a_held_job_names_the_job_before_it():
    WorkerFactory()
    schedule = ScheduleFactory()
    before = JobFactory(running=True, schedule_id=schedule.pk)
    TickFactory(schedule=schedule, job_id=before.pk, planned_at=NOON - timedelta(hours=2))
    job = JobFactory(
        waiting=True, run_at=NEVER, waiting_for="the job before it", schedule_id=schedule.pk
    )
    TickFactory(schedule=schedule, job_id=job.pk, held=True)
    assert told(job) == [
        f"It waits for the end of #{before.pk}, the job before it of the same schedule."
    ]


def test_the_parent_of_a_flow_counts_the_children_it_waits_for():
    WorkerFactory()
    parent = JobFactory(waiting=True, run_at=NEVER, waiting_for="its children")
    flow = Batch.objects.create(parent_id=parent.pk, total=3, pending=2, created_at=NOON)
    first, last = JobFactory(), JobFactory()
    for job, state in ((parent, ""), (JobFactory(), "SUCCESSFUL"), (first, ""), (last, "")):
        BatchJob.objects.create(batch_id=flow.pk, job_id=job.pk, name=job.name, state=state)
    assert told(parent) == [
        f"It waits for its children: 2 of 3 have not ended, #{first.pk}, #{last.pk}."
    ]
    assert advised(parent) == [f"Why that takes so long: python manage.py jobs why {first.pk}"]


def test_who_waits_without_a_living_worker_is_not_woken():
    assert told(JobFactory(waiting=True, run_at=NEVER)) == [
        "It waits for order/paid.",
        "No worker is alive: nobody would wake it.",
    ]


def test_a_running_job_says_where():
    assert told(JobFactory(running=True)) == ["It is running: worker web-1:4711 took it 12 s ago."]


def test_a_job_that_was_asked_to_stop_says_so():
    job = JobFactory(running=True, cancel_requested_at=NOON - timedelta(seconds=5))
    assert told(job)[1].startswith("It was asked to stop 5 s ago")
    assert advised(job)[0].endswith(f"jobs cancel --force {job.pk}")


def test_a_job_on_a_silent_worker_is_taken_back():
    job = JobFactory(running=True, silent=True)
    assert told(job) == [
        "It is held by a worker that is silent, web-1:4711: its lease ended 5 s ago.",
        "No worker is alive: nobody takes it back.",
    ]
    WorkerFactory()
    assert told(job)[1] == "A living worker takes it back within seconds."
    assert advised(job) == [f"To do so now: python manage.py jobs requeue {job.pk}"]
    Claim.objects.all().delete()
    assert told(job)[0] == "It is held by a worker that is silent, no longer on record."


@pytest.mark.parametrize(
    ("trait", "text"),
    [
        ("successful", "It is over: it was successful 10 s ago."),
        ("cancelled", "It is over: it was cancelled 10 s ago."),
        (
            "failed",
            (
                "It is over: it failed 10 s ago. "
                "Attempt 4 of 4 failed: ConnectionError: 503 from partner."
            ),
        ),
    ],
)
def test_an_ended_job_says_how_and_when(trait, text):
    assert told(JobFactory(**{trait: True})) == [text]


def test_a_job_that_is_not_there_says_so():
    [reason] = explain(999)
    assert reason.text == "Job #999: there is no such job; it may have been pruned."


@pytest.mark.parametrize(
    "trait", ["scheduled", "retrying", "waiting", "running", "failed", "ready"]
)
def test_few_queries_answer_however_many_jobs_there_are(django_assert_max_num_queries, trait):
    JobFactory.create_batch(20)
    job = JobFactory(**({} if trait == "ready" else {trait: True}))
    QueueFactory(paused=True)
    with django_assert_max_num_queries(5):
        explain(job.pk)


def test_the_command_prints_reasons_and_advice():
    job = JobFactory()
    out = StringIO()
    call_command("jobs", "why", f"#{job.pk}", stdout=out)
    assert out.getvalue().splitlines() == [
        f"add #{job.pk}: ready",
        f"- {READY}",
        "- No worker is alive.",
        "  Start one: python manage.py runworker",
    ]
    with pytest.raises(CommandError, match="Job #999: there is no such job"):
        call_command("jobs", "why", "999")


def test_the_page_of_a_job_answers_until_it_has_ended(admin_client):
    QueueFactory(paused=True)
    Queue.objects.update(paused_reason="<b>upgrade</b>")
    job, failed = JobFactory(), JobFactory(failed=True)

    def page(row):
        address = reverse("admin:django_jobs_job_change", args=[row.pk])
        return html.unescape(admin_client.get(address).content.decode())

    response = admin_client.get(reverse("admin:django_jobs_job_change", args=[job.pk]))
    assert "&lt;b&gt;upgrade" in response.content.decode()
    assert "Why is it not running?" in page(job)
    assert "Why is it not running?" not in page(failed)
