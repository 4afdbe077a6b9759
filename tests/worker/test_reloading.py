"""`runworker --reload`: real processes in a project of their own, whose code changes."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from django.core.management import CommandError, call_command

from django_jobs import enqueue, job
from django_jobs.management.commands.runworker import Command
from django_jobs.models import Job, Worker
from django_jobs.states import State
from django_jobs.worker.options import WorkerOptions
from tests.worker.making import DEADLINE, until

pytestmark = pytest.mark.processes

SETTINGS = """
from tests.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "scratch"]
"""
JOBS = """
import threading
from django_jobs import job

@job
def greet() -> str:
    {}
"""
ENDLESS = "threading.Event().wait()"
ANSWER = 'return "{}"'


class Project:
    """A project in a folder of its own, and a worker that watches it."""

    def __init__(self, folder, environment):
        self.folder, self.output = folder, folder / "output"
        (folder / "scratch").mkdir()
        (folder / "scratch" / "__init__.py").touch()
        (folder / "scratch_settings.py").write_text(SETTINGS)
        self.environment = {
            **environment,
            "DJANGO_SETTINGS_MODULE": "scratch_settings",
            "PYTHONPATH": os.pathsep.join([str(folder), environment["PYTHONPATH"]]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.process = None

    def write(self, body):
        (self.folder / "scratch" / "jobs.py").write_text(JOBS.format(body))

    def start(self, *options):
        command = [sys.executable, "-m", "django", "runworker", "--reload", *options]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.fresh_workers(set())

    def fresh_workers(self, before):
        """Wait for workers that are not among `before`; return all names."""
        names = lambda: set(Worker.objects.values_list("name", flat=True))  # noqa: E731
        until(lambda: names() and not names() & before, self.text)
        return names()

    def text(self):
        return self.output.read_text(errors="replace")

    def until_said(self, *texts):
        until(lambda: all(text in self.text() for text in texts), self.text)

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def end(self):
        return self.process.wait(DEADLINE)


@pytest.fixture
def project(worker_environment, tmp_path):
    project = Project(tmp_path, worker_environment)
    yield project
    if project.process is not None:
        with suppress(ProcessLookupError):
            project.signal(signal.SIGKILL)
        project.process.wait(DEADLINE)


@pytest.fixture
def greet():
    """The job of the project, as far as this process has to know it."""

    @job(name="scratch.jobs.greet")
    def greet() -> str:
        return ""

    return greet


def result_of(handle, project):
    until(lambda: handle.refresh().status is State.SUCCESSFUL, project.text)
    return handle.result


@pytest.mark.parametrize("processes", ["1", "2"])
def test_changed_code_is_run_and_the_worker_stops_as_always(project, greet, processes):
    project.write(ANSWER.format("old"))
    workers = project.start("--processes", processes)
    assert result_of(enqueue(greet), project) == "old"
    project.write(ANSWER.format("brand-new"))
    project.fresh_workers(workers)
    assert result_of(enqueue(greet), project) == "brand-new"
    text = project.text()
    assert "reload on" in text
    assert "scratch/jobs.py changed; the worker starts anew." in text
    project.signal(signal.SIGTERM)
    assert project.end() == 0, project.text()
    assert Worker.objects.count() == 0
    assert "Traceback" not in project.text()


def test_code_that_cannot_be_imported_is_shown_and_its_next_change_waited_for(project, greet):
    project.write(ANSWER.format("old"))
    workers = project.start()
    project.write("def (")
    project.until_said("SyntaxError", "(exit code 1); it starts again when a file changes.")
    project.write(ANSWER.format("mended"))
    project.fresh_workers(workers)
    assert result_of(enqueue(greet), project) == "mended"
    project.signal(signal.SIGINT)
    assert project.end() == 0, project.text()


def test_a_worker_whose_code_is_broken_can_be_stopped(project):
    project.write(ANSWER.format("old"))
    project.start()
    project.write("def (")
    project.until_said("it starts again when a file changes.")
    project.signal(signal.SIGINT)
    assert project.end() == 0, project.text()


def test_a_running_job_is_handed_back_at_no_cost_and_runs_the_new_code(project, greet):
    project.write(ENDLESS)
    project.start()
    handle = enqueue(greet)
    project.until_said(f"greet #{handle.id} started")  # claimed alone would be handed back
    project.write(ANSWER.format("brand-new"))
    assert result_of(handle, project) == "brand-new"
    row = Job.objects.get()
    assert (row.attempt, row.lost_count) == (1, 0)
    assert list(row.runs.values_list("outcome", flat=True)) == ["released", "successful"]


def test_every_further_stop_is_passed_on(project, greet):
    project.write(ENDLESS)
    project.start()
    handle = enqueue(greet)
    project.until_said(f"greet #{handle.id} started")  # claimed alone would be handed back

    def press():  # two signals that are not taken between them are one
        return project.process.poll() is not None or os.kill(project.process.pid, signal.SIGINT)

    until(press, project.text)
    assert project.end() == 2, project.text()
    assert handle.refresh().status is State.READY


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_worker_stops_when_the_process_that_watches_is_gone(project, processes):
    project.write(ANSWER.format("old"))
    project.start("--processes", processes)
    project.process.kill()
    until(lambda: Worker.objects.count() == 0, project.text)
    project.until_said("The process that watches the code is gone; the worker stops.")


@pytest.mark.parametrize("options", [["--burst"], ["--max-jobs", "3"]])
def test_a_worker_that_ends_by_itself_is_not_watched(options):
    with pytest.raises(CommandError, match="--reload goes with neither") as caught:
        call_command("runworker", "--reload", *options, skip_checks=True)
    assert caught.value.returncode == 1


class Screen:
    """Standard output, on a terminal or not."""

    def __init__(self, *, terminal):
        self.isatty = lambda: terminal

    def write(self, _text):
        """Show nothing."""


@pytest.mark.parametrize(
    ("debug", "terminal", "wanted", "changes", "reloads"),
    [
        (True, True, None, {}, True),
        (False, True, None, {}, False),
        (True, False, None, {}, False),
        (True, True, False, {}, False),
        (False, False, True, {}, True),
        (True, True, None, {"burst": True}, False),
        (True, True, None, {"max_jobs": 1}, False),
    ],
)
def test_code_is_watched_in_development(settings, debug, terminal, wanted, changes, reloads):
    settings.DEBUG = debug
    command = Command(stdout=Screen(terminal=terminal))
    assert command._reloads(WorkerOptions(**changes), wanted=wanted) is reloads
