"""Jobs whose name this worker does not know."""

from datetime import timedelta

import pytest

from django_jobs import clock, job
from django_jobs.models import Job, JobRun
from django_jobs.states import State
from django_jobs.worker import loop
from django_jobs.worker.unknown import PAUSE
from tests.factories import JobFactory


@pytest.fixture
def stray(frozen_clock, own_connections):
    return JobFactory(name="shop.jobs.old_name", args=[])


def test_it_is_given_back_for_a_while_at_no_cost(bench, stray, frozen_clock):
    bench().drain()
    stray.refresh_from_db()
    assert (stray.state, stray.attempt, stray.lost_count) == (State.SCHEDULED, 0, 0)
    assert stray.run_at == clock.now() + timedelta(seconds=PAUSE)
    assert stray.unknown_since == clock.now()
    assert JobRun.objects.count() == 0


def test_a_locked_row_is_given_back_later(bench, stray, frozen_clock, monkeypatch):
    one = bench()
    engine_class = type(one.link.ask(lambda engine: engine))
    with monkeypatch.context() as locked:
        locked.setattr(engine_class, "release", lambda *_, **__: set())
        one.drive(lambda: one.coordinator._parked)
    assert len(one.holdings) == 1
    frozen_clock.advance(timedelta(seconds=loop.BUSY_PAUSE))
    one.drain()
    stray.refresh_from_db()
    assert stray.state == State.SCHEDULED


def test_the_log_says_once_which_name_is_unknown(bench, stray, caplog):
    JobFactory(name="shop.jobs.old_name", args=[])
    bench().drain()
    assert caplog.text.count("wants shop.jobs.old_name, which this worker does not know") == 1


def test_a_worker_that_knows_the_name_runs_it(bench, stray, frozen_clock):
    bench().drain()

    @job(aliases=("shop.jobs.old_name",))
    def new_name():
        return "found"

    frozen_clock.advance(timedelta(seconds=PAUSE))
    one = bench(token="2")
    assert one.coordinator.look_again()
    one.drain()
    stray.refresh_from_db()
    assert (stray.state, stray.attempt, stray.unknown_since) == (State.SUCCESSFUL, 1, None)


def test_it_fails_with_a_hint_when_nobody_knows_it_for_an_hour(bench, stray, frozen_clock, caplog):
    @job(name="shop.jobs.old_names")
    def old_names():
        pass

    one = bench()
    one.drain()
    frozen_clock.advance(timedelta(hours=1, seconds=1))
    assert one.coordinator.look_again()
    one.drain()
    stray.refresh_from_db()
    assert stray.state == State.FAILED
    run = JobRun.objects.get()
    assert run.error_text == (
        f"Job #{stray.pk} wants shop.jobs.old_name, which no longer exists. Kept as failed; add "
        '@job(aliases=["shop.jobs.old_name"]) to its new function and retry it, or delete it. '
        "The nearest name is shop.jobs.old_names."
    )
    assert run.error_text in caplog.text


def test_known_jobs_beside_it_are_not_held_up(bench, stray):
    JobFactory(args=[1, 2])
    bench().drain()
    assert set(Job.objects.values_list("state", flat=True)) == {"SCHEDULED", "SUCCESSFUL"}
