import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from django_jobs import clock, operations
from django_jobs.models import Job, JobLog, JobProgress, JobStep, Queue
from django_jobs.states import State, StepState
from tests.conftest import NOON
from tests.factories import JobFactory, JobRunFactory, QueueFactory, WorkerFactory

ROOT = Path(__file__).resolve().parent.parent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def run(*arguments):
    """Return what `manage.py jobs` prints, its whitespace folded."""
    out = StringIO()
    call_command("jobs", *arguments, stdout=out)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_the_list_shows_the_newest_job_first_with_the_reason_of_a_failure():
    old = JobFactory(queue="mail")
    failed = JobFactory(failed=True, name="shop.jobs.deliver_webhook")
    assert run("list") == [
        "ID JOB STATE QUEUE ATTEMPT LAST CHANGE REMARK",
        f"#{failed.pk} deliver_webhook failed default 4/4 10 s ago ConnectionError: 503 from partner",
        f"#{old.pk} add ready mail 0/4 30 s ago",
    ]


def test_the_list_says_what_a_job_waits_for():
    JobFactory(waiting=True)
    [line] = run("list", "--state", "waiting")[1:]
    assert line.endswith("waits for order/paid")


def test_a_step_of_a_job_that_has_ended_waits_no_more():
    job = JobFactory(cancelled=True)
    for place, state in enumerate((StepState.WAITING, StepState.SLEEPING, StepState.DONE)):
        JobStep.objects.create(
            job_id=job.pk,
            key=state.value,
            position=place,
            state=state,
            wake_at=NOON + timedelta(hours=1 if place < 2 else -1),
            finished_at=NOON,
            claim_id=1,
        )
    assert [line for line in run("show", str(job.pk)) if line.startswith("step ")] == [
        f"step {StepState.WAITING}: was waiting until 2030-01-15 13:00:00 UTC",
        f"step {StepState.SLEEPING}: was to sleep until 2030-01-15 13:00:00 UTC",
        f"step {StepState.DONE}: slept until 2030-01-15 11:00:00 UTC",
    ]


def test_the_columns_of_the_list_are_aligned():
    JobFactory(name="shop.jobs.a_very_long_name")
    JobFactory()
    out = StringIO()
    call_command("jobs", "list", stdout=out)
    head, *rows = out.getvalue().splitlines()
    assert {row.index("ready") for row in rows} == {head.index("STATE")}


@pytest.mark.parametrize(
    "arguments",
    [["--state", "failed"], ["--queue", "mail"], ["--name", "webhook"], ["--limit", "1"]],
)
def test_the_list_can_be_narrowed(arguments):
    JobFactory()
    wanted = JobFactory(failed=True, queue="mail", name="shop.jobs.deliver_webhook")
    _, *rows = run("list", *arguments)
    assert [row.split()[0] for row in rows] == [f"#{wanted.pk}"]


def test_an_empty_list_says_so():
    assert run("list") == ["No such jobs."]


def test_a_list_of_many_jobs_needs_one_query(django_assert_num_queries):
    JobFactory.create_batch(5, failed=True)
    with django_assert_num_queries(1):
        run("list")


def test_a_job_is_shown_with_its_runs_its_error_and_its_result():
    job = JobFactory(successful=True, attempt=2, unique_key="k", lost_count=1)
    JobRunFactory(job=job, broken=True, attempt=1)
    lines = run("show", f"#{job.pk}")
    assert lines[:3] == [
        f"job #{job.pk} tests.jobs.add",
        "call add(1, 2)",
        "state successful, attempt 2 of 4",
    ]
    assert "finished 2030-01-15 11:59:50 UTC (10 s ago)" in lines
    assert "lost 1 of at most 3 workers died under it" in lines
    assert "key k" in lines
    assert "result 3" in lines
    assert "attempt 1: failed in 2 s, 2030-01-15 11:59:50 on web-1:4711" in lines
    assert "503 from partner" in lines
    assert 'File "shop/jobs.py", line 7, in send' in lines


def test_a_traceback_that_repeats_itself_is_shown_once():
    job = JobFactory()
    for attempt in (1, 2, 3):
        JobRunFactory(job=job, broken=True, attempt=attempt)
    lines = run("show", str(job.pk))
    assert lines.count('File "shop/jobs.py", line 7, in send') == 1
    assert lines.count("(the same traceback)") == 2


def test_a_waiting_job_whose_name_nothing_has_says_so():
    job = JobFactory(name="shop.jobs.old_name")
    assert (
        'unknown nothing here has this name; renamed? @job(aliases=["shop.jobs.old_name"])'
        in run("show", str(job.pk))
    )


def test_a_shown_job_says_who_enqueued_it():
    job = JobFactory(enqueued_by="view=shop:checkout request=7f3a user=ana")
    assert "origin shop:checkout, request 7f3a, user ana" in run("show", str(job.pk))
    assert not [line for line in run("show", str(JobFactory().pk)) if line.startswith("origin")]


def test_a_shown_job_says_which_row_it_is_about():
    job = JobFactory(about="shop.order:991")
    assert "about shop.order:991" in run("show", str(job.pk))
    assert not [line for line in run("show", str(JobFactory().pk)) if line.startswith("about")]


def test_a_shown_job_says_with_which_arguments_it_was_enqueued_if_they_were_changed():
    first = {"args": [7, "4111"], "kwargs": {"api_key": "k-12"}}
    job = JobFactory(name="tests.jobs.charge", args=[8, "4112"], original_args=first)
    lines = run("show", str(job.pk))
    assert 'original charge(7, "•••", api_key="•••"); its arguments were changed' in lines
    assert "4111" not in "".join(lines)
    assert not [line for line in run("show", str(JobFactory().pk)) if line.startswith("original")]


def test_a_shown_job_keeps_its_secrets():
    job = JobFactory(name="tests.jobs.charge", args=[7, "4111"], kwargs={"api_key": "k-12"})
    text = "\n".join(run("show", str(job.pk)))
    assert 'charge(7, "•••", api_key="•••")' in text
    assert "4111" not in text
    assert "k-12" not in text


def test_a_running_job_shows_how_far_it_is_and_what_it_said():
    job = JobFactory(running=True)
    JobProgress.objects.create(job_id=job.pk, done=3, total=9, note="mailing", updated_at=NOON)
    JobLog.objects.create(job_id=job.pk, claim_id=job.claim_id, at=NOON, line="first")
    lines = run("show", str(job.pk))
    assert f"progress 3/9 of job #{job.pk} mailing" in lines
    assert "12:00:00 first" in lines


def test_a_scheduled_job_shows_when_it_will_run():
    job = JobFactory(scheduled=True)
    assert "run at 2030-01-15 13:00:00 UTC (in 1 h)" in run("show", str(job.pk))


def test_a_job_that_does_not_exist_is_an_error():
    with pytest.raises(CommandError, match="Job #999: there is no such job"):
        run("show", "999")


@pytest.mark.parametrize(
    ("command", "trait", "state", "words"),
    [
        (["retry"], "failed", State.READY, "1 job retried"),
        (["cancel"], "scheduled", State.CANCELLED, "1 job cancelled"),
        (["cancel", "--force"], "running", State.CANCELLED, "1 job cancelled"),
        (["cancel"], "running", State.RUNNING, "1 job asked to stop"),
        (["requeue", "--force"], "running", State.READY, "1 job requeued"),
        (["run-now"], "scheduled", State.READY, "1 job made ready"),
    ],
)
def test_an_action_is_done_and_told(command, trait, state, words):
    job = JobFactory(**{trait: True})
    [line] = run(command[0], str(job.pk), *command[1:])
    assert line.startswith(words)
    assert f"#{job.pk}" in line
    assert Job.objects.get().state == state


def test_an_action_that_was_refused_is_an_error_but_the_others_are_done():
    failed, ready = JobFactory(failed=True), JobFactory()
    with pytest.raises(CommandError) as caught:
        run("retry", str(failed.pk), str(ready.pk))
    assert str(caught.value) == (
        f"#{ready.pk} not retried: it is ready; only a finished job can be retried."
    )
    assert Job.objects.get(pk=failed.pk).state == State.READY


def test_a_queue_is_paused_and_resumed():
    assert run("pause", "default", "--reason", "upgrade") == [
        'Queue "default" is paused. Running jobs go on.'
    ]
    assert Queue.objects.get().paused_reason == "upgrade"
    assert run("pause", "default") == ['Queue "default" was paused already. Running jobs go on.']
    assert run("resume", "default") == ['Queue "default" goes on.']
    assert run("resume", "default") == ['Queue "default" was not paused.']


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("2030-01-15T12:45", timedelta(minutes=45)),
        ("2030-01-15T12:45+00:00", timedelta(minutes=45)),
    ],
)
def test_a_pause_can_end_by_itself(text, later):
    run("pause", "default", "--until", text)
    assert Queue.objects.get().paused_until == NOON + later


@pytest.mark.parametrize("text", ["soon", "2030-02-31T12:00"])
def test_a_time_that_cannot_be_read_is_an_error(text):
    with pytest.raises(CommandError, match="neither a time nor a span such as 30m or 2h"):
        run("pause", "default", "--until", text)


def test_a_misspelt_queue_is_an_error():
    with pytest.raises(CommandError, match='Did you mean "default"'):
        run("pause", "defualt")


def test_the_declared_jobs_are_listed():
    lines = run("definitions")
    [line] = [line for line in lines if line.startswith("tests.jobs.send ")]
    assert line.startswith("tests.jobs.send mail 3 20 s /")
    assert "jobs.py:" in line
    assert "django_jobs.trial" not in "".join(lines)


def test_the_status_shows_counts_queues_and_workers():
    JobFactory(queue="mail")
    QueueFactory(name="reports", paused=True)
    WorkerFactory(name="web-1:1", queues=["mail"])
    lines = run("status")
    assert "ready 1" in lines
    assert "mail 1 30 s ago" in lines
    assert "reports 0 paused" in lines
    assert "web-1:1 mail 3 s ago alive" in lines


def test_without_a_worker_the_status_says_how_to_start_one():
    assert run("status")[-1] == "No workers. Start one: python manage.py runworker"


def test_a_database_that_does_not_answer_is_told_without_a_traceback(monkeypatch):
    def broken(_ids, **_):
        raise DatabaseError("no such table: django_jobs_job\nLINE 1: …")

    monkeypatch.setattr(operations, "retry", broken)
    with pytest.raises(CommandError) as caught:
        run("retry", "1")
    assert str(caught.value) == (
        "The jobs database answers: no such table: django_jobs_job. If tables are missing, run: "
        "python manage.py migrate"
    )


def test_a_database_that_cannot_be_reached_is_told_as_that(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "jobs", "status"],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "DATABASE_URL": f"sqlite:///{tmp_path}/missing/shop.sqlite3",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "CommandError: The jobs database does not answer: unable to open database file. "
        "Is it running?"
    )


@pytest.mark.parametrize("arguments", [[], ["retry"], ["retry", "x"], ["list", "--state", "odd"]])
def test_wrong_arguments_are_an_error(arguments):
    with pytest.raises(CommandError):
        run(*arguments)


@pytest.mark.django_db
def test_show_lists_the_steps_and_a_retry_can_forget_them():
    job = JobFactory(failed=True, has_steps=True)
    fields = {"job_id": job.pk, "finished_at": clock.now(), "claim_id": 1}
    JobStep.objects.create(key="fetch", position=1, state="done", attempts=1, **fields)
    JobStep.objects.create(
        key="pay",
        position=2,
        state="failed",
        attempts=4,
        error_type="OSError",
        error="no",
        **fields,
    )
    lines = run("show", str(job.pk))
    assert "step fetch: done after 1 call" in lines
    assert "step pay: failed after 4 calls: OSError: no" in lines
    run("retry", str(job.pk))
    assert [step.key for step in JobStep.objects.all()] == ["fetch"]
    Job.objects.update(state="FAILED", finished_at=clock.now())
    run("retry", str(job.pk), "--from-start")
    assert not JobStep.objects.exists()
