"""The database goes away and comes back; the workers stay, and say little about it."""

import time

import pytest
from django.db import connections

from django_jobs import enqueue
from django_jobs.models import Job
from django_jobs.states import State
from tests.crash.conditions import say, seconds_since, until
from tests.crash.invariants import drained, unfinished
from tests.crash.jobs import effect, hold

pytestmark = pytest.mark.postgresql

OUTAGE = 8.0
LINES = 3


def about_jobs(line):
    return "job_id=" in line


def test_an_outage_is_survived_with_three_lines_at_most(workers, ledger, gate, profile, own_server):
    profile(LEASE=60.0)
    tree = workers("--processes", "2").ready(2)
    running = enqueue(hold, str(gate))
    until(ledger.running, what=tree.text)
    before = len(tree.lines())
    connections["default"].close()
    halted_at = time.monotonic()
    own_server.halt()
    gate.touch()  # the end of this job has to wait for the database
    until(lambda: seconds_since(halted_at) >= OUTAGE)
    own_server.resume()
    job = enqueue(effect)
    until(drained, what=lambda: f"{unfinished()}\n{tree.text()}")
    until(lambda: "Database is back" in tree.text(), what=tree.text)
    assert tree.stop() == 0
    lines = [line for line in tree.lines()[before:] if not about_jobs(line)]
    say("\n".join(lines))
    assert 1 <= len(lines) <= LINES
    states = dict(Job.objects.values_list("pk", "state"))
    assert states == {running.id: State.SUCCESSFUL, job.id: State.SUCCESSFUL}
    assert len(ledger.begins(running.id)) == len(ledger.begins(job.id)) == 1


def test_a_worker_waits_for_a_database_that_is_away_when_it_starts(workers, ledger, own_server):
    connections["default"].close()
    own_server.halt()
    tree = workers()
    until(lambda: "does not answer" in tree.text(), what=tree.text)
    own_server.resume()
    job = enqueue(effect)
    until(lambda: ledger.ends(job.id), what=tree.text)
    assert tree.stop() == 0
