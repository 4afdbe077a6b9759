"""`manage.py runworker`: options, what it waits for, what it prints, its exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from django_jobs import enqueue, enqueue_many
from django_jobs.management.commands import runworker
from django_jobs.models import Job, Worker
from django_jobs.states import State
from django_jobs.worker import startup
from tests.factories import ScheduleFactory
from tests.jobs import add, fail_for_good
from tests.worker.making import DEADLINE, until


@pytest.fixture
def run(worker_environment, tmp_path):
    """Return a function that starts `runworker` as a process of its own."""
    started = []

    def run(*options, **environment):
        command = [sys.executable, "-m", "django", "runworker", *options]
        process = subprocess.Popen(
            command,
            env={**worker_environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE)
        process.stdout.close()


def output(process):
    return process.communicate(timeout=DEADLINE * 2)[0]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_burst_runs_everything_and_exits_clean(run, processes):
    enqueue_many(add, [(number,) for number in range(20)])
    process = run("--burst", "--processes", processes, "--threads", "2")
    text = output(process)
    assert process.returncode == 0, text
    assert Job.objects.filter(state=State.SUCCESSFUL).count() == 20
    assert Worker.objects.count() == 0


def test_it_says_what_it_is_and_what_its_jobs_do(run):
    enqueue(add, 2, 3)
    enqueue(fail_for_good, "no way")
    lines = output(run("--burst", "--threads", "3", "--queues", "default,mail")).splitlines()
    assert lines[0].startswith("django_jobs ")
    assert "Django" in lines[0]
    assert "worker " in lines[0]
    assert lines[1].startswith("queues    default, mail")
    assert lines[2].startswith("threads   3")
    assert lines[3] == "schedules 0"
    assert lines[4].startswith("waiting   2  oldest ")
    assert lines[5].startswith("Ctrl-C finishes running jobs (30 s)")
    text = "\n".join(lines[6:])
    assert "event=successful" in text
    assert "event=failed" in text
    assert "no way" in text
    assert "Traceback" not in text


def test_in_a_german_project_it_says_the_same(run):
    # Half a minute short of the hour: however fast or slow the worker starts, it says 59 minutes.
    in_five_hours = timezone.now() + timedelta(hours=5, seconds=-30)
    ScheduleFactory(name="night", next_run_at=in_five_hours)
    enqueue(add, 2, 3)
    lines = output(run("--burst", TEST_LANGUAGE="de")).splitlines()
    assert re.fullmatch(r"schedules 1  next: night .* UTC \(in 4 h 59 min\)", lines[3])
    assert re.fullmatch(r"waiting   1  oldest [\d.]+ s", lines[4])
    assert "event=successful" in "\n".join(lines[6:])


def test_json_lines_are_json(run):
    enqueue(add, 2, 3)
    lines = output(run("--burst", "--log-format", "json")).splitlines()[6:]
    events = [json.loads(line) for line in lines]
    assert [event.get("event") for event in events] == ["started", "successful"]
    assert events[1]["job_name"] == "tests.jobs.add"


@pytest.mark.parametrize("processes", ["1", "2"])
def test_more_verbose_it_shows_tracebacks_in_all_its_processes(run, processes):
    enqueue(fail_for_good, "no way")
    text = output(run("--burst", "--verbosity", "2", "--processes", processes))
    assert "event=failed" in text
    assert text.count("Traceback (most recent call last)") == 1
    assert "in fail_for_good" in text


def test_a_traceback_in_json_is_a_part_of_its_line(run):
    enqueue(fail_for_good, "no way")
    lines = output(run("--burst", "-v", "2", "--log-format", "json")).splitlines()[6:]
    failed = json.loads(lines[-1])
    assert failed["event"] == "failed"
    assert "in fail_for_good" in failed["traceback"]


def test_a_form_of_lines_that_there_is_not_is_told(run):
    text = output(run("--burst", DJANGO_JOBS_LOG_FORMAT="xml"))
    assert "DJANGO_JOBS_LOG_FORMAT is 'xml'; it is one of text, keyvalue, json." in text


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_stops_it_clean(run, processes, number):
    process = run("--processes", processes)
    until(lambda: Worker.objects.count() == int(processes), "the workers")
    os.killpg(process.pid, number)
    text = output(process)
    assert process.returncode == 0, text
    assert "Traceback" not in text
    assert "died" not in text
    assert Worker.objects.count() == 0


def test_an_unknown_queue_is_refused(settings):
    settings.DJANGO_JOBS = {"QUEUES": ["default", "mail"]}
    with pytest.raises(CommandError, match='"mial" is not in QUEUES') as caught:
        call_command("runworker", "--queues", "mial", skip_checks=True)
    assert caught.value.returncode == 1


@pytest.mark.parametrize("option", ["--threads", "--async", "--processes", "--max-jobs"])
def test_numbers_must_be_positive(option):
    with pytest.raises(CommandError, match="must be at least 1, got 0"):
        call_command("runworker", option, "0")


def options(**given):
    values = {
        "queues": "",
        "threads": None,
        "async_slots": None,
        "processes": 1,
        "burst": False,
        "max_jobs": None,
        "grace": None,
    }
    return runworker.Command()._options({**values, **given})


def test_what_is_not_given_comes_from_the_settings(settings):
    settings.DJANGO_JOBS = {"THREADS": 7, "ASYNC": 9, "SHUTDOWN_GRACE": 3.0}
    chosen = options()
    assert (chosen.threads, chosen.async_slots, chosen.grace) == (7, 9, 3.0)
    assert chosen.claimed_queues is None


def test_what_is_given_wins(settings):
    settings.DJANGO_JOBS = {"THREADS": 7, "ASYNC": 9, "SHUTDOWN_GRACE": 3.0}
    chosen = options(threads=2, async_slots=1, grace=0.0, queues=" a, b,")
    assert (chosen.threads, chosen.async_slots, chosen.grace) == (2, 1, 0.0)
    assert chosen.claimed_queues == ("a", "b")


def test_a_worker_has_a_name_that_no_other_boot_has():
    one, other = options(), options()
    assert one.worker_name() != other.worker_name()
    assert one.worker_name(1) != one.worker_name(2)


class Waiting:
    """What was said while a start-up waited, on a clock of its own."""

    def __init__(self, clock):
        self.clock, self.said = clock, []

    def await_database(self, wait=60.0):
        return startup.await_database(
            "default", wait=wait, say=self.said.append, pause=self.clock.sleep
        )

    def await_tables(self, wait=60.0):
        return startup.await_tables(
            "default", wait=wait, say=self.said.append, pause=self.clock.sleep
        )


@pytest.fixture
def waiting(frozen_clock):
    return Waiting(frozen_clock)


class Refusing:
    """A connection that is refused so many times."""

    def __init__(self, times):
        self.left = times

    def ensure_connection(self):
        self.left -= 1
        if self.left >= 0:
            raise OperationalError("connection\nrefused")


@pytest.fixture
def refused(monkeypatch):
    """Return a function that lets so many connections be refused."""
    return lambda times: monkeypatch.setattr(startup, "connections", {"default": Refusing(times)})


def test_a_database_that_is_down_at_start_is_waited_for(waiting, refused):
    refused(5)
    assert waiting.await_database()
    assert waiting.said == [
        "The database does not answer (connection refused). Waiting for it …",
        "The database answers.",
    ]


def test_a_database_that_stays_down_is_given_up_after_few_lines(waiting, refused):
    refused(10_000)
    assert not waiting.await_database()
    assert len(waiting.said) == 3


def test_without_waiting_a_database_is_tried_once(waiting, refused):
    refused(1)
    assert not waiting.await_database(wait=0.0)


def test_a_database_that_answers_is_not_talked_about(waiting, refused):
    refused(0)
    assert waiting.await_database()
    assert waiting.said == []


@pytest.fixture
def missing(monkeypatch):
    def miss(times):
        answers = iter([["0001_initial", "0002_more"]] * times)
        monkeypatch.setattr(startup, "missing_migrations", lambda _alias: next(answers, []))

    return miss


def test_missing_tables_are_named_with_what_to_type(waiting, missing):
    missing(3)
    assert waiting.await_tables()
    assert waiting.said == [
        "Jobs tables are missing (2 migrations not applied: 0001_initial, 0002_more).",
        "Run: python manage.py migrate",
        "Waiting 60 s for them (--no-wait to exit at once) …",
    ]


def test_missing_tables_are_not_waited_for_on_request(waiting, missing):
    missing(1000)
    assert not waiting.await_tables(wait=0.0)
    assert len(waiting.said) == 2


@pytest.mark.django_db
def test_a_migrated_database_misses_nothing():
    assert startup.missing_migrations("default") == []


def test_before_migrate_it_exits_with_its_reason(run, tmp_path):
    from django.conf import settings

    if settings.ENGINE != "sqlite":
        pytest.skip("an empty database is a file that is not there")
    process = run("--no-wait", TEST_DATABASE_NAME=str(tmp_path / "empty.sqlite3"))
    text = output(process)
    assert process.returncode == 1
    expected = r"Jobs tables are missing \(\d+ migrations not applied: 0001_initial, 0002_sch"
    assert re.search(expected, text)
    assert "Run: python manage.py migrate" in text
    assert "Waiting" not in text
