"""A process dies under its jobs: they run again, and nobody else's pay for it."""

import signal
import statistics
import time

import pytest
from django.db import transaction

from django_jobs import enqueue, enqueue_many
from django_jobs.models import Claim, Job, JobRun
from django_jobs.states import RunOutcome, State
from tests.crash.conditions import say, seconds_since, until
from tests.crash.invariants import drained, unfinished
from tests.crash.jobs import eat_memory, effect, hold, kill_itself, leave, segfault
from tests.crash.processes import freeze, kill

KILLS = 3
NEIGHBOURS = 7


def states():
    return dict(Job.objects.values_list("pk", "state"))


def test_a_killed_childs_job_runs_again_at_once_in_a_live_process(workers, ledger, gate, profile):
    profile(LEASE=60.0)
    tree = workers("--processes", "2", "--threads", "2").ready(2)
    job = enqueue(hold, str(gate))
    gaps = []
    for number in range(1, KILLS + 1):
        begin = until(lambda n=number: ledger.begins(job.id)[n - 1 :], what=tree.text)[0]
        until(lambda: len(tree.beating()) == 2, what=tree.text)
        killed_at = time.monotonic()
        kill(begin.pid)
        again = until(lambda n=number: ledger.begins(job.id)[n:], what=tree.text)[0]
        gaps.append(again.at - killed_at)
    say(f"from kill to second start: {', '.join(f'{gap:.2f}' for gap in gaps)} s")
    gate.touch()
    until(drained, what=unfinished)
    assert statistics.median(gaps) < 5.0
    assert states() == {job.id: State.SUCCESSFUL}
    assert JobRun.objects.filter(outcome=RunOutcome.LOST).count() == KILLS
    assert tree.stop() == 0


def test_jobs_behind_a_long_one_are_left_to_a_free_process(workers, ledger, gate):
    tree = workers("--processes", "2", "--threads", "1").ready(2)
    enqueue_many(effect, [()] * 100)  # short jobs are claimed in advance
    enqueue(hold, str(gate))
    jobs = enqueue_many(effect, [()] * 300)
    ids = {job.id for job in jobs}
    until(lambda: ids <= {end.job_id for end in ledger.ends()}, what=tree.text)
    assert not gate.exists()
    gate.touch()
    until(drained, what=unfinished)
    assert not JobRun.objects.exclude(outcome=RunOutcome.SUCCESSFUL).exists()


def test_only_jobs_that_had_started_are_charged_for_a_childs_death(workers, ledger, gate, profile):
    profile(LEASE=60.0)
    tree = workers("--processes", "2", "--threads", "1").ready(2)
    quick = enqueue_many(effect, [(0.01,)] * 40)
    held = enqueue_many(hold, [(str(gate),)] * 2)
    waiting = enqueue_many(effect, [()] * 20)
    ids = {job.id for job in held}
    stuck = until(
        lambda: [begin for begin in ledger.running() if begin.job_id in ids], what=tree.text
    )
    first = stuck[0]
    ended = {end.job_id for end in ledger.ends()}
    until(lambda: {states()[job_id] for job_id in ended} <= {State.SUCCESSFUL}, what=unfinished)
    kill(first.pid)
    until(lambda: len(ledger.begins(first.job_id)) == 2, what=tree.text)
    gate.touch()
    until(drained, what=unfinished)
    lost = set(JobRun.objects.filter(outcome=RunOutcome.LOST).values_list("job_id", flat=True))
    assert lost == {first.job_id}
    assert set(states().values()) == {State.SUCCESSFUL}
    assert len(states()) == len(quick) + len(held) + len(waiting)


def test_a_job_whose_end_was_not_written_yet_is_charged_for_a_childs_death(
    workers, ledger, gate, profile
):
    profile(LEASE=60.0)
    tree = workers("--processes", "2", "--threads", "1").ready(2)
    job = enqueue(hold, str(gate))
    (begin,) = until(lambda: ledger.begins(job.id), what=tree.text)
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=job.id)  # nobody can write its end
        gate.touch()
        until(ledger.ends, what=tree.text)
        kill(begin.pid)
    until(drained, what=unfinished)
    runs = JobRun.objects.filter(job_id=job.id)
    assert [run.outcome for run in runs] == [RunOutcome.LOST, RunOutcome.SUCCESSFUL]


@pytest.mark.parametrize(
    ("poison", "arguments"),
    [(leave, [0]), (kill_itself, []), (segfault, [])],
    ids=["exit", "kill", "segfault"],
)
def test_a_poison_job_fails_after_max_lost_and_its_neighbours_succeed(
    workers, ledger, profile, poison, arguments
):
    profile(LEASE=60.0, MAX_LOST=2)
    tree = workers("--processes", "2", "--threads", "4")
    before = enqueue_many(effect, [(0.05,)] * (NEIGHBOURS // 2))
    bad = enqueue(poison, *arguments)
    after = enqueue_many(effect, [(0.05,)] * (NEIGHBOURS - len(before)))
    until(drained, what=unfinished)
    assert states().pop(bad.id) == State.FAILED
    assert {states()[one.id] for one in (*before, *after)} == {State.SUCCESSFUL}
    assert len(ledger.begins(bad.id)) == 3
    runs = JobRun.objects.filter(job_id=bad.id)
    assert [run.outcome for run in runs] == [RunOutcome.LOST] * 3
    assert "more often than max_lost" in runs[2].error_text
    until(lambda: len(tree.beating()) == 2, what=tree.text)


def test_a_job_that_needs_too_much_memory_fails_alone(workers, ledger):
    tree = workers("--threads", "4")
    bad = enqueue(eat_memory)
    good = enqueue_many(effect, [(0.05,)] * NEIGHBOURS)
    until(drained, what=unfinished)
    assert states().pop(bad.id) == State.FAILED
    assert JobRun.objects.get(job_id=bad.id).error_type == "MemoryError"
    assert {states()[one.id] for one in good} == {State.SUCCESSFUL}
    assert tree.stop() == 0


def test_the_jobs_of_a_killed_worker_run_elsewhere_when_their_lease_is_over(
    workers, ledger, gate, lease
):
    doomed = workers("--processes", "2", "--threads", "1").ready(2)
    jobs = enqueue_many(hold, [(str(gate),)] * 2)
    until(lambda: len(ledger.running()) == 2, what=doomed.text)
    heir = workers("--threads", "2").ready()
    doomed.kill_all()
    killed_at = time.monotonic()
    until(lambda: len(ledger.begins()) > len(jobs), what=heir.text)
    say(f"from the worker's death to a second start: {seconds_since(killed_at):.2f} s")
    gate.touch()
    until(drained, what=unfinished)
    until(lambda: not Claim.objects.exists(), what=unfinished)
    assert set(states().values()) == {State.SUCCESSFUL}
    assert JobRun.objects.filter(outcome=RunOutcome.LOST).count() == 2
    assert doomed.running() == []


def test_late_writes_of_a_stopped_process_are_refused_and_marked(workers, ledger, gate, lease):
    sleeper = workers("--threads", "2").ready()
    jobs = enqueue_many(hold, [(str(gate),)] * 2)
    until(lambda: len(ledger.running()) == 2, what=sleeper.text)
    other = workers("--threads", "2").ready()
    freeze(sleeper.pid)
    until(lambda: JobRun.objects.filter(outcome=RunOutcome.LOST).count() == 2, what=other.text)
    gate.touch()
    until(drained, what=unfinished)
    sleeper.signal(signal.SIGCONT)
    until(lambda: JobRun.objects.exclude(fenced_at=None).count() == 2, what=sleeper.text)
    marked = JobRun.objects.exclude(fenced_at=None)
    assert {(run.job_id, run.outcome) for run in marked} == {
        (job.id, RunOutcome.LOST) for job in jobs
    }
    assert JobRun.objects.filter(outcome=RunOutcome.SUCCESSFUL).count() == 2
    assert sleeper.stop() == other.stop() == 0
    assert "refused" not in sleeper.text()
