"""The thread that extends leases, carries news, and runs the services."""

from datetime import timedelta

import pytest

from django_jobs import JobContext, clock, enqueue, job, operations, staffing
from django_jobs.context import Ask
from django_jobs.engines.workers import WorkerCard
from django_jobs.models import Claim, Job, JobLog, JobProgress, Worker
from django_jobs.services import Service
from django_jobs.states import Wish
from django_jobs.worker.housekeeper import BEAT_INTERVAL
from tests.jobs import add
from tests.worker.making import until

LEASE = 60.0


def expires_in():
    return (Claim.objects.get().expires_at - clock.now()).total_seconds()


class Count(Service):
    interval = 10.0
    jitter = 0.0

    def __init__(self, queues=(), error=None):
        super().__init__()
        self.runs, self.queues, self.error = 0, set(queues), error

    def run(self, _engine):
        self.runs += 1
        if self.error:
            raise self.error
        return self.queues


def test_leases_of_held_claims_are_extended_four_times_a_lease(home, claim, frozen_clock):
    enqueue(add, 1)
    one = home()
    one.keeper.listening = True
    one.hold(claim())
    frozen_clock.advance(timedelta(seconds=20))
    one.tick()
    assert expires_in() == pytest.approx(LEASE)
    frozen_clock.advance(timedelta(seconds=LEASE / 4 - 1))
    one.tick()
    assert expires_in() == pytest.approx(LEASE - LEASE / 4 + 1)
    frozen_clock.advance(timedelta(seconds=1))
    one.tick()
    assert expires_in() == pytest.approx(LEASE)


def test_a_claim_that_nobody_holds_in_memory_is_left_to_the_rescuers(home, claim, frozen_clock):
    enqueue(add, 1)
    one = home()
    claim()
    frozen_clock.advance(timedelta(seconds=20))
    one.tick()
    assert expires_in() == pytest.approx(LEASE - 20)


def test_without_a_listener_requests_are_looked_for_every_five_seconds(home, claim, frozen_clock):
    handle = enqueue(add, 1)
    one = home()
    (held,) = one.hold(claim())
    one.tick()
    operations.cancel([handle.id])
    frozen_clock.advance(timedelta(seconds=5))
    one.tick()
    assert held.context.ask is Ask.CANCEL


def test_a_request_to_cancel_is_looked_for_at_once_when_somebody_says_so(home, claim, frozen_clock):
    handle = enqueue(add, 1)
    one = home()
    (held,) = one.hold(claim())
    one.tick()
    operations.cancel([handle.id])
    one.tick()
    assert held.context.ask is None
    one.keeper.hurry()
    one.tick()
    assert held.context.ask is Ask.CANCEL


def test_jobs_that_were_taken_away_are_told(home, claim, frozen_clock):
    handle = enqueue(add, 1)
    one = home()
    (held,) = one.hold(claim())
    operations.cancel([handle.id], force=True)
    one.tick()
    assert held.context.ask is Ask.LOST


def test_jobs_are_told_when_their_lease_is_in_doubt(home, claim, frozen_clock, unreachable):
    enqueue(add, 1)
    one = home()
    (held,) = one.hold(claim())
    unreachable(one, away=True)
    frozen_clock.advance(timedelta(seconds=LEASE * 0.8 - 1))
    one.tick()
    assert held.context.ask is None
    frozen_clock.advance(timedelta(seconds=1))
    one.tick()
    assert held.context.ask is Ask.LOST


def test_an_extension_that_failed_is_tried_at_the_next_tick(home, claim, frozen_clock, unreachable):
    enqueue(add, 1)
    one = home()
    one.hold(claim())
    unreachable(one, away=True)
    frozen_clock.advance(timedelta(seconds=20))
    one.tick()
    unreachable(one, away=False)
    one.tick()
    assert expires_in() == pytest.approx(LEASE)


def test_a_job_over_its_time_limit_is_told(home, claim, frozen_clock):
    enqueue(add, 1)
    one = home()
    (held,) = one.hold(claim())
    held.deadline = clock.monotonic() + 3
    one.tick()
    assert held.context.ask is None
    frozen_clock.advance(timedelta(seconds=3))
    one.tick()
    assert held.context.ask is Ask.TIMEOUT


def test_progress_and_lines_are_written_once_a_second(home, claim, frozen_clock):
    handle = enqueue(add, 1)
    one = home()
    (held,) = one.hold(claim())
    for done in range(1, 6):
        held.context.progress(done, 9, f"step {done}")
        held.context.log(f"line {done}")
        one.tick()
    assert JobProgress.objects.get(job_id=handle.id).done == 1
    frozen_clock.advance(timedelta(seconds=1))
    one.tick()
    assert JobProgress.objects.get(job_id=handle.id).done == 5
    assert list(JobLog.objects.values_list("line", flat=True)) == [f"line {n}" for n in range(1, 6)]


def test_news_survive_an_outage_in_their_order(home, claim, frozen_clock, unreachable):
    enqueue(add, 1)
    one = home()
    (held,) = one.hold(claim())
    one.tick()
    frozen_clock.advance(timedelta(seconds=1))
    unreachable(one, away=True)
    held.context.progress(1)
    held.context.log("first")
    one.tick()
    unreachable(one, away=False)
    held.context.log("second")
    frozen_clock.advance(timedelta(seconds=1))
    one.tick()
    assert list(JobLog.objects.values_list("line", flat=True)) == ["first", "second"]
    assert JobProgress.objects.get().done == 1


def test_a_worker_shows_that_it_lives_and_says_good_bye(home, frozen_clock):
    one = home(card=WorkerCard(name="web-1:1", queues=("mail",), threads=4))
    one.tick()
    first = Worker.objects.get()
    assert (first.name, first.queues, first.threads) == ("web-1:1", ["mail"], 4)
    frozen_clock.advance(timedelta(seconds=BEAT_INTERVAL * 1.2))
    one.tick()
    assert Worker.objects.get().beat_at > first.beat_at
    one.keeper._leave()
    assert Worker.objects.count() == 0


def test_what_is_wanted_of_a_worker_is_heard_with_its_sign_of_life(home, frozen_clock):
    one = home(card=WorkerCard(name="web-1:1"))
    one.tick()
    Worker.objects.update(wish=Wish.QUIET)
    one.tick()
    assert one.orders.wish is Wish.NONE
    one.keeper.beat_soon()
    one.tick()
    assert one.orders.wish is Wish.QUIET
    Worker.objects.update(wish=Wish.NONE)
    frozen_clock.advance(timedelta(seconds=BEAT_INTERVAL * 1.2))
    one.tick()
    assert one.orders.wish is Wish.NONE


def test_a_worker_whose_row_was_forgotten_still_obeys(home, frozen_clock):
    one = home(card=WorkerCard(name="web-1:1"))
    one.tick()
    staffing.quiet("web-1:1")
    one.keeper.beat_soon()
    one.tick()
    Worker.objects.all().delete()
    one.keeper.beat_soon()
    one.tick()
    assert Worker.objects.get().wish == Wish.QUIET
    assert one.orders.wish is Wish.QUIET


def test_an_errand_is_repeated_until_it_is_done(home, frozen_clock):
    one, tries = home(), []

    def errand(_engine):
        tries.append(1)
        return len(tries) == 3

    one.keeper.run_soon(errand)
    for _ in range(5):
        one.tick()
    assert len(tries) == 3
    assert one.ready == [1]


def test_an_errand_waits_for_the_database(home, frozen_clock, unreachable):
    one, tries = home(), []
    one.keeper.run_soon(lambda _: not tries.append(1))
    unreachable(one, away=True)
    one.tick()
    unreachable(one, away=False)
    one.tick()
    one.tick()
    assert len(tries) == 1


def test_services_run_when_they_are_due(home, frozen_clock):
    service = Count()
    one = home(service)
    one.tick()
    one.tick()
    assert service.runs == 1
    frozen_clock.advance(timedelta(seconds=10))
    one.tick()
    assert service.runs == 2
    assert one.ready == []


def test_a_service_that_found_work_wakes_the_worker(home, frozen_clock):
    one = home(Count(queues=["mail"]))
    one.tick()
    assert one.ready == [1]


def test_a_service_that_has_more_to_do_runs_again_at_once(home, frozen_clock):
    class Endless(Service):
        def run(self, _engine):
            self.hurry()
            return set()

    one, other = home(Endless()), home(Count())
    one.tick()
    other.tick()
    assert one.keeper._wake.is_set()
    assert not other.keeper._wake.is_set()


def test_no_service_runs_after_the_stop(home, frozen_clock):
    service = Count()
    one = home(service)
    one.keeper.stop_services()
    one.tick()
    assert service.runs == 0


def test_a_service_that_missed_the_database_is_due_at_once(home, frozen_clock, unreachable):
    from django.db import OperationalError

    service = Count(error=OperationalError("away"))
    one = home(service)
    one.tick()
    service.error = None
    frozen_clock.advance(timedelta(seconds=1))
    one.tick()
    assert service.runs == 2


def test_a_service_that_fails_is_logged_and_takes_nobody_with_it(home, claim, frozen_clock, caplog):
    enqueue(add, 1)
    bad, good = Count(error=KeyError("x")), Count()
    one = home(bad, good)
    one.hold(claim())
    for _ in range(3):
        one.tick()
    assert (bad.runs, good.runs) == (1, 1)
    assert "The service Count failed" in caplog.text
    frozen_clock.advance(timedelta(seconds=10))
    one.tick()
    assert (bad.runs, good.runs) == (2, 2)


def test_the_thread_ticks_until_it_is_stopped(home):
    one = home()
    one.keeper.start()
    until(lambda: one.ticks)
    one.keeper.stop(10)
    assert one.keeper.crash is None


def test_errands_of_the_last_moment_are_still_run(home):
    one, done = home(), []
    one.keeper.start()
    until(lambda: one.ticks)
    one.keeper.run_soon(lambda _: not done.append(1))
    one.keeper.stop(10)
    assert done == [1]


def test_what_breaks_the_thread_is_kept_for_the_process_to_see(home):
    one = home()

    def errand(_engine):
        raise RuntimeError("no")

    one.keeper.run_soon(errand)
    one.keeper.start()
    until(lambda: one.keeper.crash is not None)
    assert str(one.keeper.crash) == "no"
    one.keeper.stop(10)


def test_a_job_that_has_ended_is_not_reported_any_more(home, claim, frozen_clock):
    @job(name="tests.housekeeper.talk")
    def talk(context: JobContext):
        pass

    enqueue(talk)
    one = home()
    (held,) = one.hold(claim())
    held.context.progress(1)
    held.context.settled = True
    one.tick()
    assert JobProgress.objects.count() == 0
    assert held.context.take_progress() == (1, None, "")
    assert Job.objects.count() == 1
