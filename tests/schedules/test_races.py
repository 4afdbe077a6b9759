"""People and workers at the same moment: whoever has the row first is done before the other."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from random import Random

import pytest
from django.db import connections

from django_jobs import schedules
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.models import Job, Schedule, Tick
from django_jobs.schedules import Ticker, ticking
from tests.conftest import NOON
from tests.factories import ScheduleFactory

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 30
HOUR = timedelta(hours=1)


def tick_everything():
    """Deal with whatever is due, schedule by schedule."""
    return Ticker().run(get_engine(get_settings().DATABASE))


def apart(*tasks):
    """Run the tasks at the same time, each in a thread with a connection of its own."""

    def run(task):
        try:
            return task()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result(60) for future in [pool.submit(run, task) for task in tasks]]


def each(verb, names, seed):
    """Return a task that does something to all schedules, in an order of its own."""
    order = Random(seed).sample(names, len(names))
    return lambda: [verb(name) for name in order]


@pytest.fixture
def names(monkeypatch, frozen_clock):
    monkeypatch.setattr(ticking, "PAGE", 1)
    return [row.name for row in ScheduleFactory.create_batch(COUNT, next_run_at=NOON)]


def test_what_is_paused_while_it_is_due_fires_before_the_pause_or_not_at_all(names, frozen_clock):
    apart(tick_everything, each(schedules.pause, names, 1), tick_everything)
    assert not Schedule.objects.filter(next_run_at__isnull=False).exists()
    assert Tick.objects.count() == Job.objects.count() <= COUNT
    frozen_clock.advance(HOUR)
    assert tick_everything() == []


def test_what_is_edited_while_it_is_due_follows_the_new_rule_from_then_on(names, frozen_clock):
    edit = partial(schedules.change, cron="30 * * * *")
    apart(tick_everything, each(edit, names, 2), tick_everything)
    assert set(Schedule.objects.values_list("next_run_at", flat=True)) == {NOON + HOUR / 2}
    assert set(Tick.objects.values_list("planned_at", flat=True)) <= {NOON}
    frozen_clock.advance(HOUR)
    before = Tick.objects.count()
    tick_everything()
    later = Tick.objects.order_by("pk")[before:].values_list("planned_at", flat=True)
    assert set(later) == {NOON + HOUR / 2}


def test_what_is_deleted_while_it_is_due_leaves_nothing_that_waits(names):
    apart(tick_everything, each(schedules.delete, names, 3), tick_everything)
    assert not Schedule.objects.exists()
    assert not Tick.objects.exists()
    assert not Job.objects.filter(state="WAITING").exists()


def test_a_backfill_and_the_workers_never_give_a_planned_time_two_jobs(names):
    def fill(name):
        schedules.backfill(name, NOON - 2 * HOUR, NOON)

    apart(tick_everything, each(fill, names, 4), each(fill, names, 5), tick_everything)
    made = list(Job.objects.values_list("schedule_id", "planned_at"))
    assert len(made) == len(set(made)) == 3 * COUNT


def test_two_workers_that_start_at_once_make_each_schedule_once(nightly):
    apart(*[schedules.sync] * 4)
    assert Schedule.objects.get().name == "tests.nightly"
