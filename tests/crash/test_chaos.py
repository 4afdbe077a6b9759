"""Everything goes wrong at once, again and again; then it stops, and nothing may be missing."""

import os
import random
import signal
import time

import pytest
from django.conf import settings as django_settings
from django.db import connections

from django_jobs import enqueue_many
from django_jobs.models import Claim, JobRun
from django_jobs.states import RunOutcome
from tests.crash.conditions import say, seconds_since, until
from tests.crash.invariants import check_invariants, drained, unfinished
from tests.crash.jobs import effect
from tests.crash.processes import freeze, kill

SEED = "TEST_CHAOS_SEED"
JOBS = 200
WORKERS = 3
DRAIN_WITHIN = 60.0
OPTIONS = ("--processes", "2", "--threads", "2")


class Chaos:
    """Workers, and what can happen to them. Remembers who was killed and what was enqueued."""

    def __init__(self, start, ledger, seed, server=None):
        self.random = random.Random(seed)
        self.enqueued = []
        self._start, self._ledger, self._server = start, ledger, server
        self._killed = set()
        self._trees = [start(*OPTIONS) for _ in range(WORKERS)]
        for tree in self._trees:
            tree.ready(2)

    @property
    def survivors(self):
        """The worker processes that lived on."""
        return {entry.pid for entry in self._ledger.entries()} - self._killed

    def faults(self):
        """Return what is going to happen, in an order that depends on the seed."""
        faults = [self.kill_child] * 4 + [self.kill_worker, self.oversleep]
        faults += [self.crash_server] if self._server else []
        self.random.shuffle(faults)
        return faults

    def enqueue(self, count):
        """Enqueue jobs of 20 to 200 ms and wait until one of them has begun."""
        calls = [(self.random.uniform(0.02, 0.2),) for _ in range(count)]
        ids = {job.id for job in enqueue_many(effect, calls)}
        self.enqueued += ids
        until(lambda: ids & {entry.job_id for entry in self._ledger.begins()}, what=self.text)

    def kill_child(self):
        """Kill a process that has a job in hand, if any has."""
        victim = self._busy_or_any()
        self._killed.add(victim)
        kill(victim)

    def kill_worker(self):
        """Kill a supervisor with all its children, and start another one."""
        tree = self.random.choice(self._trees)
        self._killed |= set(tree.running())
        tree.kill_all()
        self._trees.remove(tree)
        self._trees.append(self._start(*OPTIONS))

    def oversleep(self):
        """Stop a process in the midst of a job until the job was taken from it; let it go on."""
        pid = until(self._stopped_in_a_job, what=self.text)
        until(lambda: self._losses(pid), what=self.text)
        kill(pid, signal.SIGCONT)
        until(lambda: self._losses(pid).exclude(fenced_at=None), what=self.text)

    def crash_server(self):
        """Let the database crash, and start it again."""
        connections["default"].close()
        self._server.halt()
        self._server.resume()

    def end(self):
        """Stop all workers in good order."""
        for tree in self._trees:
            assert tree.stop() == 0, tree.text()
            until(lambda t=tree: t.running() == [], what=tree.text)

    def text(self):
        """Return what the workers that still run have printed."""
        return "\n".join(tree.text() for tree in self._trees)

    def _busy_or_any(self):
        living = [pid for tree in self._trees for pid in tree.children()]
        busy = {entry.pid for entry in self._ledger.running()} & set(living)
        return self.random.choice(sorted(busy) or living)

    def _stopped_in_a_job(self):
        pid = self._busy_or_any()
        freeze(pid)
        if any(entry.pid == pid for entry in self._ledger.running()):
            return pid
        kill(pid, signal.SIGCONT)
        return None

    def _losses(self, pid):
        return JobRun.objects.filter(worker__contains=f":{pid}-", outcome=RunOutcome.LOST)


@pytest.fixture
def server(request):
    """Return a PostgreSQL server to crash; nothing on another database."""
    if django_settings.ENGINE == "postgresql":
        return request.getfixturevalue("own_server")
    return None


def test_nothing_is_lost_whatever_is_killed_stopped_or_crashed(workers, ledger, profile, server):
    profile(MAX_LOST=10)
    seed = int(os.environ.get(SEED, random.randrange(1_000_000)))
    say(f"{SEED}={seed}")
    chaos = Chaos(workers, ledger, seed, server)
    faults = chaos.faults()
    for number, fault in enumerate(faults):
        chaos.enqueue(JOBS * (number + 1) // len(faults) - len(chaos.enqueued))
        say(f"{len(ledger.ends())} done, {fault.__name__}")
        fault()
    assert len(chaos.enqueued) == JOBS
    quiet_at = time.monotonic()
    until(drained, within=DRAIN_WITHIN, what=lambda: f"{unfinished()}\n{chaos.text()}")
    until(lambda: not Claim.objects.exists(), within=DRAIN_WITHIN, what=unfinished)
    say(f"drained {seconds_since(quiet_at):.1f} s after the last fault")
    chaos.end()
    check_invariants(ledger, chaos)
    runs = JobRun.objects.filter(outcome=RunOutcome.LOST)
    say(f"{runs.count()} lost, {runs.exclude(fenced_at=None).count()} of them reported late")
    assert "Traceback" not in chaos.text()
