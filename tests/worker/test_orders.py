"""Workers that are told to be quiet or to stop: in one process, and as processes of one start."""

import threading

import pytest
from django.db import connection

from django_jobs import JobContext, enqueue, job, staffing
from django_jobs.models import Claim, Job, Worker
from django_jobs.states import State, Wish
from django_jobs.worker.exits import CLEAN
from django_jobs.worker.options import WorkerOptions
from django_jobs.worker.orders import Orders
from django_jobs.worker.process import WorkerProcess
from tests.jobs import add
from tests.worker.making import DEADLINE, until


def test_processes_of_one_start_share_what_one_of_them_hears():
    cell = [0]
    one, other = Orders(cell), Orders(cell)
    one.hear(Wish.QUIET)
    assert other.wish is Wish.QUIET
    other.hear(Wish.QUIET)
    one.hear(Wish.NONE)
    assert other.wish is Wish.NONE


def test_what_a_newborn_reads_twice_does_not_bind_the_others_again():
    cell = [0]
    old = Orders(cell)
    old.hear(Wish.QUIET)
    newborn = Orders(cell)
    old.hear(Wish.NONE)
    newborn.hear(Wish.QUIET)
    assert old.wish is Wish.NONE
    newborn.hear(Wish.NONE)
    newborn.hear(Wish.QUIET)
    assert old.wish is Wish.QUIET


def test_a_stop_stays():
    orders = Orders()
    orders.hear(Wish.STOP)
    orders.hear(Wish.NONE)
    assert orders.wish is Wish.STOP


class Running:
    """A worker process in a thread."""

    def __init__(self):
        self.process = WorkerProcess(WorkerOptions(threads=1, async_slots=1, grace=20.0))
        self.code = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        until(Worker.objects.exists, "its row")

    def _run(self):
        self.code = self.process.run()

    def hear(self):
        """Let it give a sign of life, as it does every 15 seconds."""
        self.process._housekeeper.beat_soon()

    def end(self):
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive(), "the worker does not end"
        return self.code


@pytest.fixture
def worker(own_connections):
    one = Running()
    yield one
    for _ in range(3):
        one.process.request_stop()
    one.end()
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("job-")])


@pytest.fixture
def gated(gate):
    @job(name="tests.orders.gated")
    def gated(context: JobContext):
        gate.wait(DEADLINE)
        return context.should_stop()

    return gated


def state_of(handle):
    return handle.refresh().status


def test_a_quiet_worker_claims_nothing_until_it_is_to_go_on(worker):
    staffing.quiet(worker.process.name)
    worker.hear()
    until(lambda: worker.process._coordinator.resting)
    handle = enqueue(add, 1)
    seen = Worker.objects.get().beat_at
    worker.hear()
    until(lambda: Worker.objects.get().beat_at > seen, "another sign of life")
    assert state_of(handle) is State.READY
    assert not Claim.objects.exists()
    staffing.go_on(worker.process.name)
    worker.hear()
    until(lambda: state_of(handle) is State.SUCCESSFUL)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="elsewhere it is told")
def test_a_worker_sees_what_somebody_has_written_without_a_sign_of_life(worker):
    until(lambda: worker.process._ear.hears)
    seen = Worker.objects.get().beat_at
    staffing.quiet(worker.process.name)
    until(lambda: worker.process._coordinator.resting)
    staffing.go_on(worker.process.name)
    until(lambda: not worker.process._coordinator.resting)
    staffing.stop(worker.process.name)
    if (
        Worker.objects.get().beat_at == seen
    ):  # else the machine was so slow that the time for one came
        assert worker.end() == CLEAN


def test_a_quiet_worker_ends_what_it_has_begun_and_hands_back_the_rest(worker, gate, gated):
    first = enqueue(gated)
    rest = [enqueue(gated) for _ in range(3)]
    until(lambda: [held.began for held in worker.process._holdings.helds() if held.began])
    staffing.quiet(worker.process.name)
    worker.hear()
    until(lambda: worker.process._coordinator.resting)
    until(lambda: Job.objects.filter(state=State.RUNNING).count() == 1)
    assert {state_of(handle) for handle in rest} == {State.READY}
    gate.set()
    until(lambda: state_of(first) is State.SUCCESSFUL)
    assert {state_of(handle) for handle in rest} == {State.READY}


def test_a_worker_that_is_to_stop_ends_clean_after_its_job_which_is_not_hurried(
    worker, gate, gated
):
    handle = enqueue(gated)
    until(lambda: [held.began for held in worker.process._holdings.helds() if held.began])
    staffing.stop(worker.process.name)
    worker.hear()
    until(lambda: worker.process._coordinator.resting)
    late = enqueue(add, 1)
    assert worker.thread.is_alive()
    gate.set()
    assert worker.end() == CLEAN
    handle.refresh()
    assert (handle.status, handle.result) == (State.SUCCESSFUL, False)
    assert state_of(late) is State.READY
    assert not Worker.objects.exists()
