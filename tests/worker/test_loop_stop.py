"""The coordinator at a stop: what is handed back, and what that costs."""

from datetime import timedelta

import pytest

from django_jobs import enqueue, enqueue_many, operations
from django_jobs.context import Ask
from django_jobs.engines import get_engine
from django_jobs.models import Claim, Job, JobRun
from django_jobs.states import RunOutcome, State
from django_jobs.worker import loop
from tests.jobs import add
from tests.worker.making import states, until


def outcomes():
    return sorted(JobRun.objects.values_list("outcome", flat=True))


def test_what_has_not_started_is_handed_back_at_no_cost(bench, gate, gated):
    enqueue_many(gated, [()] * 2)
    one = bench(threads=2)
    one.drive(lambda: len(one.log.events) == 2)
    one.coordinator._appetite.ended(10)
    enqueue_many(add, [(1,)] * 3)
    one.coordinator.rhythm.wake()
    one.drive(lambda: states().count("RUNNING") == 5)
    one.coordinator.resting = True
    one.coordinator.hand_back()
    one.coordinator.turn()
    assert states() == ["READY"] * 3 + ["RUNNING"] * 2
    assert set(Job.objects.filter(state=State.READY).values_list("attempt", "lost_count")) == {
        (0, 0)
    }
    assert JobRun.objects.count() == 0
    gate.set()
    one.drive(lambda: one.coordinator.idle)
    assert states() == ["READY"] * 3 + ["SUCCESSFUL"] * 2


@pytest.fixture
def locked_rows(monkeypatch):
    """A set of job ids whose rows somebody keeps locked, as far as `release` can see."""
    locked = set()
    engine_class = type(get_engine("default"))
    release = engine_class.release

    def release_but_some(self, holds, **how):
        return release(self, [hold for hold in holds if hold.job_id not in locked], **how)

    monkeypatch.setattr(engine_class, "release", release_but_some)
    return locked


def test_a_locked_row_is_handed_back_later_although_its_claim_lives_on(
    bench, gate, gated, locked_rows, frozen_clock
):
    enqueue_many(gated, [()] * 2)
    waiting = enqueue(gated)
    locked_rows.add(waiting.id)
    one = bench(threads=2)
    one.coordinator._appetite.ended(10)
    one.drive(lambda: len(one.log.events) == 2)
    assert Claim.objects.count() == 1
    one.coordinator.hand_back()
    one.coordinator.turn()
    assert waiting.refresh().status is State.RUNNING
    locked_rows.clear()
    frozen_clock.advance(timedelta(seconds=loop.BUSY_PAUSE))
    one.coordinator.resting = True
    one.coordinator.turn()
    assert waiting.refresh().status is State.READY
    assert JobRun.objects.count() == 0
    assert len(one.holdings) == 2


def test_a_job_that_was_taken_away_before_its_start_is_not_kept(bench, gate, gated):
    enqueue_many(gated, [()] * 2)
    waiting = enqueue(gated)
    one = bench(threads=2)
    one.coordinator._appetite.ended(10)
    one.drive(lambda: len(one.log.events) == 2)
    operations.cancel([waiting.id], force=True)
    one.coordinator.hand_back()
    one.coordinator.resting = True
    one.coordinator.turn()
    assert len(one.holdings) == 2


def test_nothing_is_claimed_while_stopping(bench):
    enqueue(add, 1)
    one = bench()
    one.coordinator.resting = True
    one.coordinator.turn()
    assert states() == ["READY"]


def test_abandoning_hands_running_jobs_back_and_refuses_their_late_end(bench, gate, gated):
    enqueue(gated)
    one = bench()
    one.drive(lambda: one.log.events)
    one.coordinator.resting = True
    assert one.coordinator.abandon(5) == (1, 0)
    row = Job.objects.get()
    assert (row.state, row.attempt, row.lost_count) == (State.READY, 0, 0)
    assert outcomes() == ["released"]
    assert one.coordinator.idle
    gate.set()
    until(lambda: one.coordinator.arrivals.ended)
    one.coordinator.turn()
    assert states() == ["READY"]
    assert outcomes() == ["released"]


def test_abandoning_writes_no_run_for_a_job_that_never_started(bench, gate, gated):
    enqueue_many(gated, [()] * 2)
    one = bench(threads=2)
    one.drive(lambda: len(one.log.events) == 2)
    one.coordinator._appetite.ended(10)
    enqueue(add, 1)
    one.coordinator.rhythm.wake()
    one.drive(lambda: states().count("RUNNING") == 3)
    one.coordinator.resting = True
    one.coordinator.hand_back()
    assert one.coordinator.abandon(5) == (2, 0)
    assert states() == ["READY"] * 3
    assert outcomes() == ["released"] * 2


def test_abandoning_says_what_could_not_be_written(bench, gate, gated, monkeypatch):
    enqueue(gated)
    one = bench()
    one.drive(lambda: one.log.events)
    one.coordinator.resting = True

    def away(_question):
        raise loop.Unreachable

    with monkeypatch.context() as broken:
        broken.setattr(one.link, "ask", away)
        assert one.coordinator.abandon(0.05) == (1, 1)
    assert states() == ["RUNNING"]
    assert one.coordinator.abandon(5) == (0, 0)
    assert states() == ["READY"]


def test_an_interrupted_job_is_released_in_good_order(bench, gate, gated):
    enqueue(gated, obey=True)
    one = bench()
    one.drive(lambda: one.log.events)
    for item in one.holdings.helds():
        item.context.tell(Ask.SHUTDOWN)
    one.coordinator.resting = True
    gate.set()
    one.drive(lambda: one.coordinator.idle)
    row = Job.objects.get()
    assert (row.state, row.attempt) == (State.READY, 0)
    assert outcomes() == [RunOutcome.RELEASED]
