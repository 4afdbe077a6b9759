"""What a supervisor does with the jobs of a dead child."""

from datetime import timedelta

import pytest

from django_jobs import clock, enqueue_many
from django_jobs.engines.base import Hold
from django_jobs.models import Claim, Job, JobRun, Worker
from django_jobs.states import State
from django_jobs.worker.options import WorkerOptions
from django_jobs.worker.supervisor import REFUSAL_PAUSE, Supervisor, give_back
from tests.factories import WorkerFactory
from tests.jobs import add

DEAD = "web-1:7-abc"


@pytest.fixture
def claimed(engine, claim, frozen_clock):
    """Five jobs in the hands of a dead worker."""
    enqueue_many(add, [(number,) for number in range(5)])
    return claim(limit=5, worker=DEAD)


def test_only_jobs_that_had_started_are_charged(engine, claimed):
    started = {claimed[0].hold, claimed[3].hold}
    assert give_back(engine, DEAD, started)
    charged = {job_id for job_id, lost in Job.objects.values_list("pk", "lost_count") if lost}
    assert charged == {hold.job_id for hold in started}
    assert set(Job.objects.values_list("state", "attempt", "claim_id")) == {(State.READY, 0, None)}
    assert sorted(JobRun.objects.values_list("outcome", flat=True)) == ["lost", "lost"]
    assert Claim.objects.count() == 0


def test_a_start_that_was_noted_under_an_older_claim_charges_nobody(engine, claimed):
    assert give_back(engine, DEAD, {Hold(claimed[0].id, claimed[0].claim_id - 1)})
    assert not Job.objects.filter(lost_count__gt=0).exists()


def test_a_dead_worker_is_seen_no_more(engine, claimed, frozen_clock):
    for name in (DEAD, "web-1:8-abc"):
        WorkerFactory(name=name)
    give_back(engine, DEAD, set())
    assert [worker.name for worker in Worker.objects.all()] == ["web-1:8-abc"]
    assert Worker.everyone.get(name=DEAD).left_at == clock.now()


def test_the_jobs_of_the_living_are_left_alone(engine, claim, claimed):
    enqueue_many(add, [(9,)])
    (other,) = claim(worker="web-1:8-abc")
    assert give_back(engine, DEAD, set())
    assert Job.objects.get(pk=other.id).state == State.RUNNING
    assert Claim.objects.get().worker == "web-1:8-abc"


def test_a_job_that_died_too_often_fails_and_says_so(engine, claimed, caplog):
    Job.objects.update(lost_count=3)
    assert give_back(engine, DEAD, {claimed[0].hold})
    assert Job.objects.get(pk=claimed[0].id).state == State.FAILED
    assert Job.objects.filter(state=State.READY).count() == 4
    assert "lost too often" in caplog.text


def test_a_worker_that_held_nothing_leaves_nothing(engine, frozen_clock):
    assert give_back(engine, DEAD, set())
    assert clock.now_or_none() is not None


@pytest.mark.usefixtures("own_connections")
def test_a_process_that_the_system_refuses_is_started_later(frozen_clock, monkeypatch, caplog):
    supervisor = Supervisor(WorkerOptions(processes=1))
    (child,) = supervisor._children
    refusals = [OSError("Cannot allocate memory")]

    class Process:
        def __init__(self, **_):
            """Take what a process takes."""

        def start(self):
            if refusals:
                raise refusals.pop()

    monkeypatch.setattr(supervisor._context, "Process", Process)
    supervisor._start_due()
    assert child.process is None
    assert "Cannot allocate memory" in caplog.text
    supervisor._start_due()
    assert child.process is None
    frozen_clock.advance(timedelta(seconds=REFUSAL_PAUSE))
    supervisor._start_due()
    assert isinstance(child.process, Process)
