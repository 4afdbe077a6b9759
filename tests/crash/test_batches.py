"""Workers killed at any moment of a batch and of a tree of flows: what comes after comes once."""

import random
import signal

from django_jobs import Batch, Flow
from django_jobs.models import Batch as Row
from django_jobs.models import BatchJob, Event, Job, JobRun
from django_jobs.states import RunOutcome, State
from tests.crash.conditions import say, until
from tests.crash.invariants import drained, unfinished
from tests.crash.jobs import DIE_IN_BATCH, effect, gather
from tests.crash.processes import kill

JOBS = 120
TREES = 5
LEAVES = 10
KILLS = 7


def write_batch(count):
    """Write a batch of short jobs, and a callback for each end in a queue of that name."""
    with Batch("crash") as batch:
        batch.enqueue_many(effect, [(0.01,)] * count)
        batch.on_success(effect.using(queue="success"))
        batch.on_failure(effect.using(queue="failure"))
        batch.on_finish(effect.using(queue="finish"))
    return batch


def write_tree():
    """Write a flow of flows; return the handle of its root."""
    with Flow(gather) as root:
        for _ in range(TREES):
            with root.flow(gather) as inner:
                inner.enqueue_many(effect, [(0.01,)] * LEAVES)
    return root.parent


def over():
    return drained() and not Row.objects.filter(finished_at=None).exists()


def story():
    return f"{unfinished()} {list(Row.objects.values())} {list(Event.objects.values('id', 'name'))}"


def callbacks():
    rows = Job.objects.filter(queue__in=["success", "failure", "finish"])
    return sorted(rows.values_list("queue", flat=True))


def test_callbacks_and_parents_come_once_however_often_workers_are_killed(workers, ledger, profile):
    profile(MAX_LOST=100)
    tree = workers("--processes", "2", "--threads", "2").ready(2)
    batch, root = write_batch(JOBS), write_tree()
    dice, kills = random.Random(7), 0
    while kills < KILLS and not over():
        begun = len(ledger.begins()) + dice.randrange(1, 30)
        until(lambda begun=begun: len(ledger.begins()) >= begun or over(), 60.0, what=story)
        kills += sum(kill(pid) for pid in tree.children()[:1])
    until(over, within=120.0, what=story)
    lost = JobRun.objects.filter(outcome=RunOutcome.LOST).count()
    say(f"{kills} kills, {lost} runs lost, {len(ledger.begins())} calls")
    assert kills > 3
    assert callbacks() == ["finish", "success"]
    batch.refresh()
    assert (batch.total, batch.pending, batch.successful) == (JOBS, 0, JOBS)
    assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCESSFUL}
    assert not BatchJob.objects.exclude(state=State.SUCCESSFUL).exists()
    parents = set(Row.objects.exclude(parent_id=None).values_list("parent_id", flat=True))
    done = JobRun.objects.filter(job__in=parents, outcome=RunOutcome.SUCCESSFUL)
    assert done.count() == len(parents) == TREES + 1
    for parent in parents:
        awaited = TREES if parent == root.id else LEAVES
        assert {entry.attempt for entry in ledger.begins(parent)} == {awaited}


def test_a_worker_that_dies_while_it_finishes_a_batch_has_called_nobody_back(workers, ledger):
    deadly = ledger.path.with_name(DIE_IN_BATCH)
    deadly.touch()
    dying = workers("--threads", "1").ready()
    write_batch(3)
    assert dying.exit_code() == -signal.SIGKILL
    assert callbacks() == []
    assert Row.objects.get().finished_at is None
    deadly.unlink()
    workers("--threads", "1")
    until(over, within=60.0, what=story)
    assert callbacks() == ["finish", "success"]
