"""A whole worker process, run in a thread of the test: start, work, the phases of a stop."""

import asyncio
import threading

import pytest
from django.db import connections

from django_jobs import JobContext, enqueue, enqueue_many, job, operations
from django_jobs.models import Claim, Job, JobRun, Worker
from django_jobs.states import State
from django_jobs.worker import process as process_module
from django_jobs.worker.exits import CLEAN, CRASHED, FORCED
from django_jobs.worker.loop import Coordinator
from django_jobs.worker.options import WorkerOptions
from django_jobs.worker.process import WorkerProcess, keep_connections
from tests.jobs import add, fail
from tests.worker.making import DEADLINE, states, until


class Running:
    """A worker process in a thread."""

    def __init__(self, options):
        self.process = WorkerProcess(options)
        self.code = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        self.code = self.process.run()

    def end(self):
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive(), "the worker does not end"
        return self.code

    def stop(self, times=1):
        for _ in range(times):
            self.process.request_stop()
        return self.end()


@pytest.fixture
def worker(own_connections):
    """Return a function that starts a worker; it is stopped in the end."""
    started = []

    def start(**options):
        values = {"threads": 2, "async_slots": 4, "grace": 20.0, **options}
        started.append(Running(WorkerOptions(**values)))
        return started[-1]

    yield start
    for one in started:
        one.stop(3)
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("job-")])


@pytest.fixture
def gated(gate):
    @job(name="tests.process.gated")
    def gated(context: JobContext, *, obey=False):
        while not gate.wait(0.01):
            if obey and context.should_stop():
                return "stopped"
        return "through"

    return gated


@pytest.fixture
def running():
    """Return a function that waits until so many jobs have really started."""

    def running(one, count):
        holdings = one.process._holdings
        until(lambda: sum(item.began is not None for item in holdings.helds()) == count)

    return running


def row():
    return Job.objects.get()


def test_a_burst_runs_what_is_there_and_ends(worker):
    enqueue_many(add, [(number,) for number in range(50)])
    assert worker(burst=True).end() == CLEAN
    assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCESSFUL}
    assert Claim.objects.count() == Worker.objects.count() == 0


def test_a_burst_runs_what_another_thread_makes_ready_just_before_its_last_look(
    worker, monkeypatch
):
    look, late = Coordinator.look_again, [1, 2]

    def look_a_moment_later(self):
        if late:
            enqueue(add, late.pop(), 1)
        return look(self)

    monkeypatch.setattr(Coordinator, "look_again", look_a_moment_later)
    assert worker(burst=True).end() == CLEAN
    assert states() == ["SUCCESSFUL"] * 2


def test_a_burst_does_not_wait_for_retries_that_are_not_due(worker):
    enqueue(fail)
    assert worker(burst=True).end() == CLEAN
    assert row().state == State.SCHEDULED


def test_a_worker_ends_after_so_many_jobs(worker):
    enqueue_many(add, [(number,) for number in range(5)])
    assert worker(max_jobs=3).end() == CLEAN
    assert Job.objects.filter(state=State.SUCCESSFUL).count() == 3


def test_an_idle_worker_stops_at_once_and_clean(worker):
    one = worker()
    until(Worker.objects.exists)
    assert one.stop() == CLEAN
    assert Worker.objects.count() == 0


def test_jobs_that_are_enqueued_while_it_runs_are_run(worker):
    one = worker()
    handle = enqueue(add, 1)
    until(lambda: handle.refresh().status is State.SUCCESSFUL)
    assert one.stop() == CLEAN


def test_scheduled_jobs_are_promoted_by_the_only_process(worker):
    handle = enqueue(add, 1)
    Job.objects.filter(pk=handle.id).update(state=State.SCHEDULED)
    worker()
    until(lambda: handle.refresh().status is State.SUCCESSFUL)


def test_a_stop_lets_running_jobs_finish_and_starts_no_other(worker, gate, gated, running):
    first = enqueue_many(gated, [(), ()])
    one = worker()
    running(one, 2)
    late = enqueue(gated)
    one.process.request_stop()
    until(lambda: all(item.context.ask for item in one.process._holdings.helds()))
    gate.set()
    assert one.end() == CLEAN
    assert {handle.refresh().status for handle in first} == {State.SUCCESSFUL}
    assert late.refresh().status is State.READY


def test_a_job_that_obeys_the_stop_is_handed_back_at_no_cost(worker, gate, gated, running):
    enqueue(gated, obey=True)
    one = worker()
    running(one, 1)
    assert one.stop() == CLEAN
    assert (row().state, row().attempt, row().lost_count) == (State.READY, 0, 0)
    assert JobRun.objects.get().outcome == "released"
    assert Claim.objects.count() == 0


def test_after_the_grace_async_jobs_are_interrupted_and_handed_back(worker, running):
    @job(name="tests.process.endless")
    async def endless():
        await asyncio.Event().wait()

    enqueue(endless)
    one = worker(grace=0.0)
    running(one, 1)
    assert one.stop() == CLEAN
    assert (row().state, row().attempt) == (State.READY, 0)


def test_a_second_stop_ends_the_grace(worker, running):
    @job(name="tests.process.endless")
    async def endless():
        await asyncio.Event().wait()

    enqueue(endless)
    one = worker(grace=1000.0)
    running(one, 1)
    assert one.stop(2) == CLEAN
    assert row().state == State.READY


def test_a_third_stop_hands_deaf_jobs_back_by_force(worker, gate, gated, running, caplog):
    enqueue(gated)
    one = worker(grace=1000.0)
    running(one, 1)
    assert one.stop(3) == FORCED
    assert "Stopping: 1 running job may take 1000 s more; a second signal" in caplog.text
    assert "Interrupting 1 running job, which may take 5 s to let go." in caplog.text
    assert (row().state, row().attempt, row().lost_count) == (State.READY, 0, 0)
    assert "Handed back by force, to run again: 1 running job." in caplog.text
    assert Claim.objects.count() == 0


def test_a_deaf_job_is_handed_back_when_grace_and_last_call_are_over(
    worker, gate, gated, running, monkeypatch
):
    monkeypatch.setattr(process_module, "LAST_CALL", 0.1)
    enqueue(gated)
    one = worker(grace=0.1)
    running(one, 1)
    assert one.stop() == FORCED
    assert row().state == State.READY


def test_signals_of_a_group_count_once(own_connections):
    one = WorkerProcess(WorkerOptions(threads=1, async_slots=1))
    for _ in range(5):
        one.request_stop(1)
    assert one._stop_count == 1
    one.request_stop()
    one.request_stop(1)
    assert one._stop_count == 2


def test_a_request_to_cancel_reaches_a_running_job(worker, gate, gated, running, settings):
    settings.DJANGO_JOBS = {"LEASE": 2.0}
    handle = enqueue(gated, obey=True)
    running(worker(), 1)
    operations.cancel([handle.id])
    until(lambda: handle.refresh().status is State.CANCELLED)


def test_an_async_job_that_blocks_its_loop_keeps_its_lease(worker, gate, settings):
    settings.DJANGO_JOBS = {"LEASE": 1.0}

    @job(name="tests.process.block")
    async def block():
        gate.wait(20)

    handle = enqueue(block)
    worker()
    until(Claim.objects.exists)
    first = Claim.objects.get().expires_at
    until(lambda: (Claim.objects.get().expires_at - first).total_seconds() > 1.0)
    gate.set()
    until(lambda: handle.refresh().status is State.SUCCESSFUL)


def test_a_broken_part_ends_the_process_with_a_code_of_its_own(worker, caplog):
    one = worker()
    one.process._coordinator.arrivals.on_crashed(RuntimeError("no threads"))
    assert one.end() == CRASHED
    assert "broke and ends" in caplog.text


def test_a_broken_housekeeper_ends_the_process_too(worker, caplog):
    one = worker()

    def errand(_engine):
        raise RuntimeError("no house")

    one.process._housekeeper.run_soon(errand)
    assert one.end() == CRASHED


def test_an_orphan_stops(own_connections, caplog):
    one = WorkerProcess(WorkerOptions(threads=1, async_slots=1), alone=False, orphaned=lambda: True)
    codes = []
    thread = threading.Thread(target=lambda: codes.append(one.run()), daemon=True)
    thread.start()
    thread.join(DEADLINE)
    assert codes == [CLEAN]
    assert "The supervisor of" in caplog.text


def test_no_thread_is_left_behind(worker):
    before = set(threading.enumerate())
    enqueue(add, 1)
    assert worker(burst=True).end() == CLEAN
    until(lambda: set(threading.enumerate()) <= before)


@pytest.mark.postgresql
def test_no_session_is_left_behind(worker):
    def sessions():
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            return cursor.fetchone()[0]

    before = sessions()
    enqueue_many(add, [(number,) for number in range(20)])
    assert worker(burst=True).end() == CLEAN
    until(lambda: sessions() == before)


@pytest.mark.parametrize(
    ("given", "kept", "checked"),
    [
        ({"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}, None, True),
        ({"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": False}, 60, True),
        ({"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}, None, True),
        ({"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False, "OPTIONS": {"pool": True}}, 0, False),
    ],
)
def test_connections_outlive_jobs_and_are_checked(monkeypatch, given, kept, checked):
    monkeypatch.setattr(connections, "settings", {"default": dict(given)})
    keep_connections()
    values = connections.settings["default"]
    assert (values["CONN_MAX_AGE"], values["CONN_HEALTH_CHECKS"]) == (kept, checked)
