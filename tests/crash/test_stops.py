"""A worker is told to stop, in all the ways there are: what runs ends or is handed back."""

import signal
import time

import pytest

from django_jobs import enqueue, enqueue_many
from django_jobs.models import Claim, Job, JobRun
from django_jobs.states import RunOutcome, State
from tests.crash.conditions import say, seconds_since, until
from tests.crash.invariants import drained, unfinished
from tests.crash.jobs import cling, drowse, effect, heed, hold
from tests.crash.processes import freeze

FORCED = 2
LONG = "600"
FAMILIES = pytest.mark.parametrize("family", [1, 2], ids=["alone", "supervised"])


def options(family):
    return ("--processes", str(family)) if family > 1 else ()


def assert_handed_back(*jobs, runs=1):
    for job in Job.objects.filter(pk__in=[job.id for job in jobs]):
        assert (job.state, job.attempt, job.lost_count) == (State.READY, 0, 0)
        outcomes = JobRun.objects.filter(job_id=job.pk).values_list("outcome", flat=True)
        assert list(outcomes) == [RunOutcome.RELEASED] * runs
    assert not Claim.objects.exists()


def test_an_idle_worker_ends_at_once_when_it_is_told_to(workers):
    tree = workers("--grace", LONG).ready()
    asked_at = time.monotonic()
    assert tree.stop() == 0
    say(f"idle worker ended after {seconds_since(asked_at):.2f} s")
    until(lambda: tree.running() == [], what=tree.text)
    assert "died" not in tree.text()


def test_a_stopping_worker_lets_short_jobs_end_and_claims_nothing_more(workers, ledger, gate):
    tree = workers("--threads", "1", "--grace", LONG).ready()
    job = enqueue(hold, str(gate))
    until(ledger.running, what=tree.text)
    tree.signal(signal.SIGTERM)
    later = enqueue(effect)
    gate.touch()
    assert tree.exit_code() == 0
    assert Job.objects.get(pk=job.id).state == State.SUCCESSFUL
    assert Job.objects.get(pk=later.id).state == State.READY
    assert ledger.begins(later.id) == []


def test_a_job_that_outlasts_the_grace_is_handed_back_at_no_cost(workers, ledger, gate):
    tree = workers("--threads", "1", "--grace", "0.2").ready()
    job = enqueue(hold, str(gate))
    until(ledger.running, what=tree.text)
    assert tree.stop() == FORCED
    assert_handed_back(job)
    gate.touch()
    workers("--burst").exit_code()
    assert Job.objects.get(pk=job.id).state == State.SUCCESSFUL


def test_a_job_that_heeds_the_stop_is_handed_back_in_good_order(workers, ledger):
    tree = workers("--grace", LONG).ready()
    job = enqueue(heed)
    until(ledger.running, what=tree.text)
    assert tree.stop() == 0
    assert_handed_back(job)


@FAMILIES
def test_a_second_stop_interrupts_what_the_first_one_did_not_end(workers, ledger, family):
    tree = workers(*options(family), "--grace", LONG).ready(family)
    asleep, awake = enqueue(drowse), enqueue(heed)
    until(lambda: len(ledger.running()) == 2, what=tree.text)
    tree.signal(signal.SIGTERM)
    until(lambda: ledger.ends(awake.id), what=tree.text)
    assert ledger.ends(asleep.id) == []
    assert tree.stop() == 0
    assert_handed_back(asleep, awake)


@FAMILIES
def test_asking_again_and_again_ends_a_worker_whatever_its_jobs_do(workers, ledger, gate, family):
    tree = workers(*options(family), "--threads", "1", "--grace", LONG).ready(family)
    job = enqueue(cling, str(gate))
    until(ledger.running, what=tree.text)

    def ended():
        tree.signal(signal.SIGTERM)
        return tree.has_ended

    until(ended, what=tree.text)
    assert tree.popen.returncode == FORCED
    assert_handed_back(job)
    until(lambda: tree.running() == [], what=tree.text)


def test_a_child_that_hangs_at_the_stop_is_killed_and_its_job_given_back(
    workers, ledger, gate, profile
):
    profile(LEASE=60.0)
    tree = workers("--processes", "2", "--threads", "1", "--grace", "0").ready(2)
    job = enqueue(hold, str(gate))
    (begin,) = until(ledger.running, what=tree.text)
    freeze(begin.pid)
    assert tree.stop() == FORCED
    until(lambda: tree.running() == [], what=tree.text)
    job = Job.objects.get(pk=job.id)
    assert (job.state, job.attempt, job.lost_count) == (State.READY, 0, 1)


def test_children_stop_when_their_supervisor_was_killed(workers, ledger, gate):
    tree = workers("--processes", "2", "--threads", "1", "--grace", "0.2").ready(2)
    job = enqueue(hold, str(gate))
    until(ledger.running, what=tree.text)
    killed_at = time.monotonic()
    tree.signal(signal.SIGKILL)
    tree.exit_code()
    until(lambda: tree.text().count("is gone; it stops") == 2, what=tree.text)
    say(f"children noticed after {seconds_since(killed_at):.2f} s")
    later = enqueue(effect)
    until(lambda: tree.running() == [], what=tree.text)
    say(f"no process left after {seconds_since(killed_at):.2f} s")
    assert ledger.begins(later.id) == []
    assert_handed_back(job)


@FAMILIES
def test_a_stop_during_the_start_is_never_lost(workers, family):
    delays = [0.1, 0.4, 0.7, 1.0, 1.3, 1.8]
    started_at = time.monotonic()
    trees = [workers(*options(family), "--grace", LONG) for _ in delays]
    for delay, tree in zip(delays, trees, strict=True):
        until(lambda d=delay: seconds_since(started_at) >= d)
        tree.signal(signal.SIGTERM)
    for tree in trees:
        # Before Python has read the command, the signal just ends it.
        assert tree.exit_code() in {0, -signal.SIGTERM}, tree.text()
        until(lambda t=tree: t.running() == [], what=tree.text)
        assert "died" not in tree.text()


def test_a_stop_while_the_first_jobs_are_claimed_leaves_none_behind(workers, ledger):
    jobs = enqueue_many(effect, [(0.01,)] * 300)
    tree = workers("--processes", "2", "--threads", "2")
    until(ledger.begins, what=tree.text)
    assert tree.stop() == 0
    ended = set(ledger.ends())
    assert len(ended) == len(ledger.begins())
    states = dict(Job.objects.values_list("pk", "state"))
    done = {job_id for job_id, state in states.items() if state == State.SUCCESSFUL}
    assert done == {entry.job_id for entry in ended}
    assert set(states.values()) <= {State.SUCCESSFUL, State.READY}
    assert set(Job.objects.filter(state=State.READY).values_list("attempt", flat=True)) <= {0}
    assert not Claim.objects.exists()
    assert workers("--burst").exit_code() == 0
    until(drained, what=unfinished)
    assert sorted(entry.job_id for entry in ledger.ends()) == sorted(job.id for job in jobs)
