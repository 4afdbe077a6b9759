"""Real worker processes that are told to be quiet or to stop: alone, and under a supervisor."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from django_jobs import enqueue, staffing
from django_jobs.models import Worker
from django_jobs.states import State
from tests.jobs import add, wait_for_file
from tests.worker.making import until

pytestmark = pytest.mark.processes

PATIENCE = 60.0
RESTING = "claims no more jobs until"
ENDING = "exits when its running ones have ended"


class Started:
    """A `runworker` whose lines go to a file."""

    def __init__(self, environment, path, processes):
        self.path, self.processes = path, processes
        command = [sys.executable, "-m", "django", "runworker", "--threads", "1"]
        with path.open("w") as out:
            self.process = subprocess.Popen(
                [*command, "--processes", str(processes)],
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(lambda: Worker.objects.count() == processes, "the workers")

    @property
    def name(self):
        return Worker.objects.values_list("name", flat=True)[0]

    def says(self, text, times=None):
        """Wait until each process has said it; a sign of life comes every 15 seconds."""
        pause, times = threading.Event(), times or self.processes
        for _ in range(int(PATIENCE / 0.05)):
            if self.path.read_text().count(text) >= times:
                return
            pause.wait(0.05)
        raise AssertionError(f"waited {PATIENCE:g} s for {text!r} in {self.path.read_text()}")

    def end(self):
        return self.process.wait(PATIENCE)


@pytest.fixture
def start(worker_environment, tmp_path):
    started = []

    def start(processes):
        started.append(Started(worker_environment, tmp_path / "lines", processes))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait(PATIENCE)


@pytest.mark.parametrize("processes", [1, 2])
def test_told_to_stop_it_ends_clean_after_its_job_and_nobody_takes_its_place(
    start, tmp_path, processes
):
    worker = start(processes)
    gate = tmp_path / "gate"
    running = enqueue(wait_for_file, str(gate))
    until(lambda: running.refresh().status is State.RUNNING)
    assert staffing.stop(worker.name)
    worker.says(ENDING)
    late = enqueue(add, 1)
    assert worker.process.poll() is None
    gate.touch()
    assert worker.end() == 0, worker.path.read_text()
    assert running.refresh().status is State.SUCCESSFUL
    assert late.refresh().status is State.READY
    assert Worker.objects.count() == 0
    assert "died" not in worker.path.read_text()


@pytest.mark.postgresql
@pytest.mark.parametrize("processes", [1, 2])
def test_told_to_be_quiet_it_claims_nothing_until_it_is_to_go_on(start, processes):
    worker = start(processes)
    assert staffing.quiet(worker.name)
    worker.says(RESTING)
    handle = enqueue(add, 1)
    if processes > 1:  # the successor of a child that died is quiet, too
        os.kill(int(worker.name.partition(":")[2].partition("-")[0]), signal.SIGKILL)
        worker.says(RESTING, times=processes + 1)
    until(lambda: Worker.objects.filter(wish="quiet").count() == processes)
    assert handle.refresh().status is State.READY
    assert staffing.go_on(worker.name)
    until(lambda: handle.refresh().status is State.SUCCESSFUL)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.end() == 0
