from datetime import timedelta

import pytest

from django_jobs import enqueue_many
from django_jobs.models import Claim, Job, JobRun
from django_jobs.states import RunOutcome, State
from django_jobs.worker.exits import CLEAN, FORCED, IN_ORDER
from django_jobs.worker.options import WorkerOptions
from django_jobs.worker.supervisor import SETTLED_AFTER, Child, Supervisor, give_back
from tests.jobs import add

PID = 4711


class Errands:
    """A housekeeper that leaves its errands to the test."""

    def __init__(self):
        self.errands = []

    def run_soon(self, errand):
        self.errands.append(errand)


@pytest.fixture
def supervisor(own_connections):
    """A supervisor that was never started."""
    supervisor = Supervisor(WorkerOptions(processes=2, threads=1, async_slots=1, host="test"))
    supervisor._housekeeper = Errands()
    return supervisor


@pytest.fixture
def child():
    return Child(0, [0] * 4)


def states():
    return list(Job.objects.order_by("pk").values_list("state", "attempt", "lost_count"))


def test_only_the_started_jobs_of_a_dead_worker_are_charged(engine, claim):
    enqueue_many(add, [(1,), (2,)])
    first, _ = claim(worker="test:1")
    assert give_back(engine, "test:1", {first.hold}) is True
    assert states() == [(State.READY, 0, 1), (State.READY, 0, 0)]
    run = JobRun.objects.get()
    assert (run.job_id, run.outcome) == (first.id, RunOutcome.LOST)
    assert not Claim.objects.exists()


def test_the_jobs_of_a_live_worker_are_left_alone(engine, claim):
    enqueue_many(add, [(1,), (2,)])
    claim(limit=1, worker="test:1")
    claim(limit=1, worker="test:2")
    give_back(engine, "test:1", set())
    assert [state for state, _, _ in states()] == [State.READY, State.RUNNING]


def test_a_claim_that_is_written_after_the_childs_death_is_found_as_well(
    supervisor, child, engine, claim, frozen_clock
):
    supervisor._bury(child, PID, -9)
    (errand,) = supervisor._housekeeper.errands
    assert not errand(engine)
    enqueue_many(add, [(1,)])
    claim(worker=supervisor.options.worker_name(PID))
    frozen_clock.advance(timedelta(seconds=SETTLED_AFTER))
    assert errand(engine)
    assert states() == [(State.READY, 0, 0)]


@pytest.mark.parametrize("exit_code", [0, 1, 2, -9, -15])
def test_a_child_that_did_not_say_that_it_ends_is_replaced(supervisor, child, exit_code):
    supervisor._bury(child, PID, exit_code)
    assert not child.done
    assert supervisor._housekeeper.errands


@pytest.mark.parametrize("code", [CLEAN, FORCED])
def test_a_child_that_ends_in_good_order_is_replaced_unless_its_work_is_done(
    supervisor, child, code
):
    supervisor._bury(child, PID, IN_ORDER + code)
    assert not child.done
    supervisor.request_stop()
    supervisor._bury(child, PID, IN_ORDER + code)
    assert child.done
    assert supervisor._exit_code == code
    assert supervisor._housekeeper.errands == []
