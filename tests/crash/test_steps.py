"""Workers killed at any moment of jobs that consist of steps: finished steps never run again."""

import random
import time
from collections import Counter

from django_jobs import enqueue, enqueue_many
from django_jobs.models import Job, JobRun, JobStep
from django_jobs.states import RunOutcome, State
from tests.crash.conditions import say, seconds_since, until
from tests.crash.invariants import (
    bookings,
    check_finished_steps_stay_finished,
    drained,
    unfinished,
)
from tests.crash.jobs import settle, stroll, stumble, walk
from tests.crash.processes import kill

JOBS = 30
STEPS = 20
KILLS = 8
ATOMIC_JOBS = 120


def test_finished_steps_never_run_again_however_often_workers_are_killed(workers, ledger, profile):
    profile(MAX_LOST=100)
    tree = workers("--processes", "2", "--threads", "2").ready(2)
    ids = {handle.id for handle in enqueue_many(walk, [(STEPS,)] * JOBS)}
    dice, kills = random.Random(7), 0
    while kills < KILLS and not drained():
        _await_calls(ledger, len(ledger.begins()) + dice.randrange(1, 12))
        kills += sum(kill(pid) for pid in tree.children()[:1])
    until(drained, within=120.0, what=unfinished)
    say(f"{kills} kills, {len(ledger.begins())} calls of {JOBS * STEPS // 2} steps")
    assert kills > 3
    assert dict(Job.objects.values_list("pk", "state")) == dict.fromkeys(ids, State.SUCCESSFUL)
    assert JobStep.objects.filter(state="done").count() == JOBS * STEPS
    check_finished_steps_stay_finished(ledger)
    booked = bookings()
    assert set(booked.values()) == {1}
    assert len(booked) == JOBS * STEPS // 2


def test_an_atomic_job_happens_once_however_often_workers_are_killed(workers, ledger, profile):
    profile(MAX_LOST=100)
    tree = workers("--processes", "2", "--threads", "2").ready(2)
    ids = {handle.id for handle in enqueue_many(settle, [()] * ATOMIC_JOBS)}
    dice, kills = random.Random(11), 0
    while kills < KILLS and not drained():
        _await_calls(ledger, len(ledger.begins()) + dice.randrange(1, 12))
        kills += sum(kill(pid) for pid in tree.children()[:1])
    until(drained, within=120.0, what=unfinished)
    say(f"{kills} kills, {len(ledger.begins())} calls of {ATOMIC_JOBS} jobs and successors")
    assert kills > 3
    assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCESSFUL}
    assert Job.objects.exclude(pk__in=ids).count() == ATOMIC_JOBS
    assert JobRun.objects.filter(job__in=ids, outcome="successful").count() == ATOMIC_JOBS
    assert bookings() == Counter(f"{pk}/0" for pk in ids)


def test_a_job_of_many_steps_is_handed_back_at_a_stop_and_goes_on_elsewhere(workers, ledger):
    tree = workers("--threads", "1", "--grace", "600").ready()
    job = enqueue(stroll, 200)
    _await_calls(ledger, 10)
    asked_at = time.monotonic()
    assert tree.stop() == 0
    done = len(ledger.begins())
    say(f"handed back {seconds_since(asked_at):.2f} s after the stop, after {done} steps")
    assert done < 200
    row = Job.objects.get(pk=job.id)
    assert (row.state, row.attempt, row.lost_count) == (State.READY, 0, 0)
    assert [run.outcome for run in JobRun.objects.all()] == [RunOutcome.RELEASED]
    assert workers("--burst").exit_code() == 0
    assert Job.objects.get(pk=job.id).state == State.SUCCESSFUL
    assert [entry.attempt for entry in ledger.begins()] == list(range(200))


def test_a_job_that_gets_on_is_not_given_up_for_the_sum_of_its_losses(workers, ledger, profile):
    profile(MAX_LOST=1)
    workers("--processes", "2", "--threads", "1").ready(2)
    enqueue(stumble, 4)
    until(drained, within=60.0, what=unfinished)
    row = Job.objects.get()
    assert (row.state, row.lost_count) == (State.SUCCESSFUL, 0)
    assert JobRun.objects.filter(outcome=RunOutcome.LOST).count() == 4
    assert [entry.attempt for entry in ledger.begins()] == [0, 0, 1, 1, 2, 2, 3, 3]


def _await_calls(ledger, number):
    until(lambda: len(ledger.begins()) >= number or drained(), what=unfinished)
