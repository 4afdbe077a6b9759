"""Real worker processes: started, signalled, and looked for in the system's process table."""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from django.db import OperationalError, transaction

from django_jobs.models import Worker
from tests.crash.conditions import PATIENCE, until

RUNWORKER = ("-m", "django", "runworker")
PROCESSES = Path("/proc")
PR_SET_PDEATHSIG = 1


class Process(NamedTuple):
    """A line of the process table."""

    pid: int
    parent: int
    session: int
    arguments: str


class WorkerTree:
    """One `runworker`, or what Python is told, with everything it starts: a session of its own."""

    def __init__(self, environment, output, *options, told=RUNWORKER):
        self.output = output
        with output.open("wb") as file:
            self.popen = subprocess.Popen(
                [sys.executable, *told, *options],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_the_tests,  # noqa: PLW1509 - the tests have one thread
            )
        self.pid = self.popen.pid

    def text(self):
        """Return what the processes have printed."""
        return self.output.read_text(errors="replace")

    def lines(self):
        """Return what the processes have printed, line by line."""
        return self.text().splitlines()

    def running(self):
        """Return the pids of all live processes of this tree, orphans included."""
        return [process.pid for process in process_table() if process.session == self.pid]

    def children(self):
        """Return the pids of the live worker processes under the supervisor."""
        return [
            process.pid
            for process in process_table()
            if process.parent == self.pid and "spawn_main" in process.arguments
        ]

    def ready(self, processes=1):
        """Wait until that many worker processes of this tree have said that they live."""

        def ready():
            return self.has_ended or len(self.beating()) >= processes

        until(ready, within=PATIENCE * processes, what=self.text)
        assert not self.has_ended, self.text()
        return self

    @property
    def has_ended(self):
        """Whether the first process is over."""
        return self.popen.poll() is not None

    def beating(self):
        """Return the pids of the live worker processes that have said so in the database."""
        named = map(worker_pid, Worker.objects.values_list("name", flat=True))
        found = filter(None, (_process(PROCESSES / str(pid)) for pid in named))
        return sorted(process.pid for process in found if process.session == self.pid)

    def signal(self, number):
        """Send a signal to the first process."""
        self.popen.send_signal(number)

    def kill_all(self):
        """Kill the whole tree at once."""
        for pid in self.running():
            kill(pid, signal.SIGKILL)
        self.popen.wait()

    def exit_code(self, within=30.0):
        """Wait for the first process; return its exit code."""
        until(lambda: self.has_ended, within, what=self.text)
        return self.popen.returncode

    def stop(self, within=30.0):
        """End in good order; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.exit_code(within)


def worker_pid(name):
    """Return the process id in a worker's name."""
    return int(name.partition(":")[2].partition("-")[0])


def kill(pid, number=signal.SIGKILL):
    """Send a signal; say whether the process was still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def freeze(pid):
    """Stop a process until SIGCONT, but not while it keeps everybody from writing.

    On SQLite a process that is stopped inside a transaction holds the only lock there is.
    """
    while True:
        kill(pid, signal.SIGSTOP)
        until(lambda: _states_of_threads(pid) <= {"T"}, what=f"process {pid} does not stop")
        if _can_write():
            return
        kill(pid, signal.SIGCONT)
        until(_can_write, what=f"process {pid} keeps the lock")


def process_table():
    """Return the processes of this machine that are not dead."""
    found = [_process(folder) for folder in PROCESSES.iterdir() if folder.name.isdigit()]
    return [process for process in found if process]


def _can_write():
    try:
        with transaction.atomic():
            Worker.objects.filter(name="").delete()
    except OperationalError:
        return False
    return True


def _die_with_the_tests():
    """Ask the system to kill this process when the one that runs the tests is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _states_of_threads(pid):
    stats = [folder / "stat" for folder in (PROCESSES / str(pid) / "task").iterdir()]
    return {stat.read_text().rpartition(")")[2].split()[0] for stat in stats}


def _process(folder):
    try:
        status = (folder / "stat").read_text().rpartition(")")[2].split()
        arguments = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent, _, session = status[:4]
    return (
        None if state in "ZX" else Process(int(folder.name), int(parent), int(session), arguments)
    )
