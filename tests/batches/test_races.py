"""Batches and flows under everybody at once: each callback and each parent comes exactly once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connections, transaction

from django_jobs import Batch, Flow
from django_jobs.engines import get_engine
from django_jobs.engines.base import Finish
from django_jobs.events import Relay
from django_jobs.exceptions import BatchFinished
from django_jobs.models import Batch as Row
from django_jobs.models import BatchJob, Event, Job
from django_jobs.states import FINAL, State, Succeeded, after_run
from tests import jobs

pytestmark = pytest.mark.django_db(transaction=True)

JOBS = 40
BATCHES = 3
MOST_ADDED = 30


def apart(*tasks):
    """Run the tasks at the same time, each in a thread with a connection of its own."""

    def run(task):
        try:
            return task()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result(60) for future in [pool.submit(run, task) for task in tasks]]


def work():
    """Claim and finish one job after the other, handing events out in between, to the end."""
    engine = get_engine("default")
    while Job.objects.exclude(state__in=FINAL).exists() or Event.objects.exists():
        for job in engine.claim(None, 1, "w", 60.0):
            engine.finish([Finish(job.hold, after_run(Succeeded()), 0.0)], "w")
        Relay().run(engine)


def test_however_many_hand_out_the_ends_each_batch_calls_back_once(after, called):
    for _ in range(BATCHES):
        with Batch() as batch:
            batch.enqueue_many(jobs.nothing, [()] * JOBS)
            batch.on_success(after, "success")
            batch.on_failure(after, "failure")
            batch.on_finish(after, "finish")
    apart(work, work, work)
    assert sorted(called()) == ["finish"] * BATCHES + ["success"] * BATCHES
    counts = Row.objects.values_list("total", "pending", "successful")
    assert set(counts) == {(JOBS, 0, JOBS)}
    assert not BatchJob.objects.exclude(state=State.SUCCESSFUL).exists()


def test_trees_of_flows_end_in_order_however_many_hand_out_the_ends():
    with Flow(jobs.nothing) as root:
        for _ in range(5):
            with root.flow(jobs.nothing) as inner:
                inner.enqueue_many(jobs.nothing, [()] * 5)
    apart(work, work, work)
    rows = Job.objects.in_bulk()
    assert {row.state for row in rows.values()} == {State.SUCCESSFUL}
    assert {row.attempt for row in rows.values()} == {1}
    for flow in Row.objects.all():
        children = BatchJob.objects.filter(batch_id=flow.pk)
        ends = [rows[child.job_id].finished_at for child in children]
        assert max(ends) <= rows[flow.parent_id].started_at


def test_what_is_added_while_the_last_one_ends_is_in_the_batch_or_is_refused(after, called):
    with Batch() as batch:
        batch.enqueue_many(jobs.nothing, [()] * 5)
        batch.on_finish(after, "finish")

    def add():
        """Add until the batch is finished; return how many jobs were added."""
        for count in range(MOST_ADDED):
            try:
                with transaction.atomic():
                    Batch.get(batch.id).enqueue(jobs.nothing)
            except BatchFinished:
                return count
            except OperationalError:  # SQLite has one lock, and is not fair
                return count
        return MOST_ADDED

    added = sum(count or 0 for count in apart(add, add, work, work))
    batch.refresh()
    assert (batch.total, batch.pending, batch.successful) == (5 + added, 0, 5 + added)
    assert called() == ["finish"]
    assert Job.objects.exclude(name="tests.after").count() == 5 + added
