"""The coordinator: claims, hands out, collects, writes."""

import asyncio
from contextlib import closing
from datetime import timedelta

import pytest
from django.db import DataError, OperationalError

from django_jobs import (
    Cancel,
    JobContext,
    Snooze,
    enqueue,
    enqueue_many,
    job,
    operations,
    send_event,
)
from django_jobs.context import Ask
from django_jobs.engines import get_engine
from django_jobs.engines.base import Finished
from django_jobs.models import Claim, Event, Job, JobProgress, JobRun
from django_jobs.states import State
from django_jobs.worker import loop
from django_jobs.worker.journal import End, Start
from django_jobs.worker.pools import Board
from tests.engines.rivals import Rival
from tests.worker.making import states, until


@job(name="tests.loop.echo")
def echo(text=""):
    return text


@job(name="tests.loop.fail", max_attempts=2, backoff=lambda *_: 0)
def fail():
    raise ValueError("no")


@pytest.fixture(autouse=True)
def _declared():
    from django_jobs import registry

    for definition in (echo, fail):
        registry.register(definition)


def outcomes():
    return sorted(JobRun.objects.values_list("outcome", flat=True))


def test_a_job_runs_and_its_end_is_written(bench):
    handle = enqueue(echo, "hi")
    one = bench()
    one.drain()
    assert handle.refresh().status is State.SUCCESSFUL
    assert handle.result == "hi"
    run = JobRun.objects.get()
    assert run.worker == one.coordinator.name
    assert run.started_at <= run.finished_at
    assert Claim.objects.count() == 0
    assert [type(event) for event in one.log.events] == [Start, End]


def test_many_jobs_are_claimed_in_batches_and_none_stays(bench):
    enqueue_many(echo, [(str(number),) for number in range(300)])
    bench().drain()
    assert states() == ["SUCCESSFUL"] * 300
    assert Claim.objects.count() == 0


def test_async_jobs_run_beside_the_others(bench):
    @job(name="tests.loop.double")
    async def double(number):
        return 2 * number

    handles = enqueue_many(double, [(number,) for number in range(20)])
    enqueue_many(echo, [("x",)] * 20)
    bench().drain()
    assert [handle.result for handle in handles] == [2 * number for number in range(20)]
    assert states() == ["SUCCESSFUL"] * 40


def test_a_cancellation_that_comes_after_the_end_of_an_async_job_takes_nothing_away(bench):
    @job(name="tests.late")
    async def cancelled_late():
        await Job.objects.acount()  # so that its connection has to be closed
        asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
        return 1

    enqueue(cancelled_late)
    bench().drain()
    assert Job.objects.get().state == State.SUCCESSFUL


def test_a_failed_attempt_is_scheduled_again(bench):
    enqueue(fail)
    one = bench()
    one.drain()
    assert (states(), outcomes()) == (["SCHEDULED"], ["retried"])
    assert one.coordinator.look_again()
    one.drain()
    assert (states(), outcomes()) == (["FAILED"], ["failed", "retried"])


def test_every_ending_finds_its_state(bench):
    def ending(name, act):
        enqueue(job(name=f"tests.loop.{name}")(act))

    def snooze():
        raise Snooze(timedelta(hours=1))

    def cancel():
        raise Cancel("sold out")

    ending("snooze", snooze)
    ending("cancel", cancel)
    ending("bad_result", lambda: {1, 2})
    bench().drain()
    assert states() == ["CANCELLED", "FAILED", "SCHEDULED"]
    assert outcomes() == ["cancelled", "failed", "snoozed"]


def test_no_more_is_claimed_than_slow_jobs_can_use(bench, gate, gated):
    enqueue_many(gated, [()] * 10)
    one = bench(threads=2)
    one.drive(lambda: states().count("RUNNING") == 2)
    for _ in range(3):
        one.coordinator.rhythm.wake()
        one.coordinator.turn()
    assert states().count("RUNNING") == 2
    gate.set()
    one.drain()


def test_a_job_counts_as_started_until_its_end_is_written(bench, monkeypatch):
    def away(*_, **__):
        raise OperationalError("away")

    handle, one = enqueue(echo), bench()
    with monkeypatch.context() as outage:
        outage.setattr(type(get_engine("default")), "finish", away)
        one.drive(lambda: one.coordinator._pending.ended)
        assert {job_id for job_id, _ in Board(one.cells).started()} == {handle.id}
    one.drive(lambda: one.coordinator.idle)
    assert Board(one.cells).started() == set()


def test_only_the_named_queues_are_served(bench):
    enqueue(echo.using(queue="mail"), "mail")
    enqueue(echo, "default")
    bench(queues=("mail",)).drain()
    assert dict(Job.objects.values_list("queue", "state")) == {
        "mail": State.SUCCESSFUL,
        "default": State.READY,
    }


def test_it_takes_as_many_jobs_as_it_may(bench):
    enqueue_many(echo, [()] * 5)
    one = bench(max_jobs=3)
    one.drive(lambda: one.coordinator.exhausted and one.coordinator.idle)
    assert states().count("SUCCESSFUL") == 3


def test_a_job_that_was_enqueued_by_the_last_one_belongs_to_the_burst(bench, gate):
    @job(name="tests.loop.parent")
    def parent():
        gate.wait(20)
        enqueue(echo, "child")

    enqueue(parent)
    one = bench()
    one.drive(lambda: one.coordinator.drained and not one.coordinator.idle)
    gate.set()
    one.drive(lambda: one.coordinator.idle and one.coordinator.drained)
    assert states() == ["SUCCESSFUL", "SUCCESSFUL"]


def test_looking_again_makes_due_jobs_ready_and_says_so(bench, frozen_clock):
    enqueue(echo.using(run_after=timedelta(seconds=5)))
    one = bench()
    assert not one.coordinator.look_again()
    frozen_clock.advance(timedelta(seconds=6))
    assert one.coordinator.look_again()
    assert one.coordinator.rhythm.due


@pytest.mark.postgresql
def test_looking_again_does_not_miss_an_event_that_another_thread_hands_out(bench):
    """Its own housekeeper, for instance: the jobs that it wakes are not ready yet."""
    event = send_event("tick").id
    one, other = bench(), Rival(type(get_engine("default")))
    with closing(other), other.holding("django_jobs_event", event):
        found = one.coordinator.look_again()
    assert found
    assert one.coordinator.look_again()
    assert not one.coordinator.look_again()
    assert Event.objects.get().handed_out_at is not None


def test_a_locked_row_holds_up_no_other_end(bench, monkeypatch, frozen_clock):
    locked, free = enqueue(echo, "locked"), enqueue(echo, "free")
    one = bench()
    engine_class = type(one.link.ask(lambda engine: engine))
    finish = engine_class.finish

    patience = []

    def finish_but_one(self, finishes, worker, now=None, *, patient=True):
        rest = [item for item in finishes if item.hold.job_id != locked.id]
        patience.append((len(rest) < len(finishes), patient))
        done = finish(self, rest, worker, now) if rest else Finished()
        busy = {item.hold for item in finishes} - {item.hold for item in rest}
        return Finished(done.applied, frozenset(busy), done.fenced)

    with monkeypatch.context() as blocked:
        blocked.setattr(engine_class, "finish", finish_but_one)
        one.drive(lambda: free.refresh().status is State.SUCCESSFUL)
        one.drive(lambda: len(one.holdings) == 1)
        later = enqueue(echo, "later")
        one.coordinator.rhythm.wake()
        one.drive(lambda: later.refresh().status is State.SUCCESSFUL)
        frozen_clock.advance(timedelta(seconds=loop.BUSY_PAUSE))
        one.coordinator.turn()
    assert [patient for has_locked, patient in patience if has_locked] == [True, False]
    assert all(patient for has_locked, patient in patience if not has_locked)
    for _ in range(5):  # other turns do not put the next try off
        frozen_clock.advance(timedelta(seconds=loop.BUSY_PAUSE / 4))
        one.coordinator.turn()
    assert locked.refresh().status is State.SUCCESSFUL
    assert one.coordinator.idle


def test_an_end_that_the_database_refuses_fails_that_job_only(bench, monkeypatch, caplog):
    bad, good = enqueue(echo, "bad"), enqueue(echo, "good")
    one = bench()
    engine_class = type(one.link.ask(lambda engine: engine))
    finish = engine_class.finish

    def refuse(self, finishes, worker, now=None, **_):
        if any(item.transition.result == '"bad"' for item in finishes):
            raise DataError("invalid byte sequence")
        return finish(self, finishes, worker, now)

    monkeypatch.setattr(engine_class, "finish", refuse)
    one.drain()
    assert good.refresh().status is State.SUCCESSFUL
    assert bad.refresh().status is State.FAILED
    run = JobRun.objects.get(job=bad.id)
    assert run.error == "invalid byte sequence"
    assert JobRun.objects.filter(job=good.id).count() == 1
    assert f"The end of job #{bad.id} cannot be stored" in caplog.text


def test_a_database_that_refuses_every_end_breaks_the_worker(bench, monkeypatch):
    enqueue(echo)
    one = bench()

    def refuse(*_, **__):
        raise DataError("no")

    monkeypatch.setattr(type(one.link.ask(lambda engine: engine)), "finish", refuse)
    with pytest.raises(DataError):
        one.drain()


def test_a_claim_that_cannot_work_breaks_the_worker(bench, monkeypatch):
    one = bench()

    def refuse(*_, **__):
        raise DataError("no")

    monkeypatch.setattr(type(one.link.ask(lambda engine: engine)), "claim", refuse)
    with pytest.raises(DataError):
        one.coordinator.turn()


def test_nothing_is_forgotten_while_the_database_is_away(bench, gate, monkeypatch):
    @job(name="tests.loop.talk")
    def talk(context: JobContext):
        gate.wait(20)
        context.progress(3, 4, "nearly")
        context.log("one line")
        return "done"

    handle = enqueue(talk)
    one = bench()
    one.drive(lambda: one.log.events)
    gate.set()
    until(lambda: one.coordinator.arrivals.ended)
    ask = one.link.ask

    def away(_question):
        raise loop.Unreachable

    monkeypatch.setattr(one.link, "ask", away)
    one.coordinator.turn()
    one.coordinator.turn()
    assert handle.refresh().status is State.RUNNING
    monkeypatch.setattr(one.link, "ask", ask)
    one.drive(lambda: one.coordinator.idle)
    assert handle.refresh().result == "done"
    progress = JobProgress.objects.get(job_id=handle.id)
    assert (progress.done, progress.total, progress.note) == (3, 4, "nearly")
    assert JobRun.objects.get().log.endswith("one line")


def test_a_job_that_was_taken_away_ends_in_vain(bench, gate, gated):
    handle = enqueue(gated)
    one = bench()
    one.drive(lambda: one.log.events)
    operations.cancel([handle.id], force=True)
    gate.set()
    one.drive(lambda: one.coordinator.idle)
    assert handle.refresh().status is State.CANCELLED
    assert [event.fenced for event in one.log.events if isinstance(event, End)] == [True]
    assert JobRun.objects.get().fenced_at is not None


def test_a_request_to_cancel_before_the_start_wins(bench, gate, gated):
    enqueue_many(gated, [()] * 2)
    one = bench(threads=2)
    one.drive(lambda: len(one.log.events) == 2)
    one.coordinator._appetite.ended(10)
    late = enqueue(echo)
    one.coordinator.rhythm.wake()
    one.drive(lambda: states().count("RUNNING") == 3)
    operations.cancel([late.id])
    next(h for h in one.holdings.helds() if h.claimed.id == late.id).context.tell(Ask.CANCEL)
    gate.set()
    one.drain()
    assert late.refresh().status is State.CANCELLED


def test_a_job_whose_worker_died_before_is_claimed_alone(bench, gate, gated):
    suspicious = enqueue(gated)
    Job.objects.filter(pk=suspicious.id).update(lost_count=1)
    second = enqueue(gated)
    Job.objects.filter(pk=second.id).update(lost_count=1)
    enqueue(echo)
    one = bench(threads=3)
    one.drive(lambda: states() == ["READY", "RUNNING", "SUCCESSFUL"])
    gate.set()
    one.drain()
    assert states() == ["SUCCESSFUL"] * 3


def test_a_broken_pool_breaks_the_worker(bench):
    one = bench()
    one.coordinator.arrivals.on_crashed(RuntimeError("no threads"))
    with pytest.raises(RuntimeError, match="no threads"):
        one.coordinator.turn()


def test_the_journal_shows_results_masked_and_short(bench):
    @job(name="tests.loop.leak", sensitive=("card",))
    def leak(card):
        return card + "x" * 500

    enqueue(leak, "4111-1111")
    one = bench()
    one.drain()
    shown = one.log.events[-1].result
    assert "4111" not in shown
    assert len(shown) <= 80
