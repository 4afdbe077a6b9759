"""Blocks on one batch, one in the other: each job counts once, and the outermost block finishes it."""

from contextlib import suppress

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction

from django_jobs import Batch, Flow
from django_jobs.batches.blocks import is_open
from django_jobs.definitions import job
from django_jobs.engines import get_engine
from django_jobs.events import Relay
from django_jobs.exceptions import BatchNotFound, JobError
from django_jobs.models import Batch as Row
from django_jobs.models import BatchJob, Job
from django_jobs.testing import run_jobs
from tests import jobs
from tests.transactions import undone

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def counts(batch):
    batch.refresh()
    return batch.total, batch.pending, batch.successful, batch.failed, batch.cancelled


@pytest.fixture
def more():
    """Return a job that adds two jobs to a batch."""

    @job(name="tests.more")
    def more(batch_id: int) -> None:
        Batch.get(batch_id).enqueue(jobs.nothing)
        with Batch.get(batch_id) as batch:
            batch.enqueue(jobs.nothing)

    return more


def test_what_another_object_adds_inside_the_block_counts_once(after, called):
    with Batch("outer") as batch:
        batch.enqueue(jobs.nothing)
        Batch.get(batch.id).enqueue(jobs.nothing)
        batch.on_finish(after, "finish")
    assert counts(batch) == (2, 2, 0, 0, 0)
    run_jobs()
    assert counts(batch) == (2, 0, 2, 0, 0)
    assert called() == ["finish"]


def test_what_a_function_adds_that_is_called_inside_the_block_counts_once(more, after, called):
    with Batch() as batch:
        batch.enqueue(jobs.nothing)
        more(batch.id)
        batch.enqueue(jobs.nothing)
        batch.on_finish(after, "finish")
    assert counts(batch) == (4, 4, 0, 0, 0)
    run_jobs()
    assert called() == ["finish"]


def test_a_second_object_inside_the_block_of_a_batch_that_was_got_counts_once(more, after, called):
    with Batch() as batch:
        batch.enqueue(jobs.nothing)
        batch.on_finish(after, "finish")
    with Batch.get(batch.id) as got:
        got.enqueue(jobs.nothing)
        Batch.get(batch.id).enqueue(jobs.nothing)
        more(batch.id)
        batch.enqueue(jobs.nothing)
    assert counts(batch) == (6, 6, 0, 0, 0)
    run_jobs()
    assert called() == ["finish"]


def test_a_batch_is_not_finished_while_a_block_on_it_is_open(after, called):
    with Batch() as batch:
        Batch.get(batch.id).on_finish(after, "finish")
        with Batch.get(batch.id):
            pass
        assert (batch.refresh().finished_at, called()) == (None, [])
        batch.enqueue(jobs.nothing)
    assert (counts(batch), batch.finished_at) == ((1, 1, 0, 0, 0), None)
    assert called() == []
    run_jobs()
    assert called() == ["finish"]


def test_jobs_that_end_inside_the_block_do_not_finish_its_batch(after, called):
    with Batch() as batch:
        batch.on_finish(after, "finish")
        batch.enqueue(jobs.nothing)
        run_jobs()
        Relay().repair(get_engine("default"))
        assert (batch.refresh().finished_at, called()) == (None, [])
        batch.enqueue(jobs.nothing)
    assert counts(batch) == (2, 1, 1, 0, 0)
    run_jobs()
    assert called() == ["finish"]


def test_a_batch_whose_jobs_have_all_ended_inside_the_block_is_finished_at_its_end(after, called):
    with Batch() as batch:
        batch.on_finish(after, "finish")
        batch.enqueue(jobs.nothing)
        run_jobs()
    assert batch.finished_at is not None
    assert called() == ["finish"]


def test_jobs_that_end_inside_the_block_of_a_flow_do_not_let_its_parent_go():
    with Flow(jobs.nothing) as flow:
        flow.enqueue(jobs.nothing)
        run_jobs()
        assert Row.objects.get().finished_at is None
        flow.enqueue(jobs.nothing)
    assert flow.parent.refresh().status == "WAITING"
    run_jobs()
    assert flow.parent.refresh().status == "SUCCESSFUL"


def test_an_inner_block_that_is_rolled_back_counts_nothing(after, called):
    with Batch() as batch:
        batch.enqueue(jobs.nothing)
        with undone():
            Batch.get(batch.id).enqueue(jobs.fail_for_good)
        with suppress(ZeroDivisionError), Batch.get(batch.id) as inner:
            inner.enqueue(jobs.fail_for_good)
            inner.on_finish(after, "never")
            raise ZeroDivisionError
        Batch.get(batch.id).enqueue(jobs.nothing)
        batch.on_finish(after, "finish")
    assert counts(batch) == (2, 2, 0, 0, 0)
    run_jobs()
    assert called() == ["finish"]


def test_an_outer_block_that_is_rolled_back_takes_the_inner_ones_with_it(more):
    with Batch() as batch:
        batch.enqueue(jobs.nothing)
    with suppress(ZeroDivisionError), Batch.get(batch.id) as got:
        got.enqueue(jobs.nothing)
        more(batch.id)
        raise ZeroDivisionError
    assert not is_open(connection, batch.id)
    assert counts(batch) == (1, 1, 0, 0, 0)
    more(batch.id)
    assert counts(batch) == (3, 3, 0, 0, 0)
    assert BatchJob.objects.count() == 3


def test_blocks_on_several_batches_count_each_its_own(more):
    with Batch() as one, Batch() as two:
        one.enqueue(jobs.nothing)
        two.enqueue(jobs.nothing)
        more(one.id)
        Batch.get(two.id).enqueue(jobs.nothing)
    assert [counts(each)[:2] for each in (one, two)] == [(3, 3), (2, 2)]


def test_blocks_one_after_the_other_in_one_transaction_count_each_what_is_new(more):
    with transaction.atomic():
        with Batch() as batch:
            batch.enqueue(jobs.nothing)
        more(batch.id)
        with batch:
            batch.enqueue(jobs.nothing)
    assert counts(batch) == (4, 4, 0, 0, 0)


def test_a_block_in_async_code_is_refused_with_what_to_do_instead():
    async def make(members):
        with members as opened:
            opened.enqueue(jobs.nothing)

    for members in (Batch("album 7"), Flow(jobs.nothing)):
        with pytest.raises(JobError, match=r"await sync_to_async\(make\).*Nothing was enqueued"):
            async_to_sync(make)(members)
    assert not Job.objects.exists()


def test_what_an_outer_rollback_has_undone_is_not_begun_again():
    with undone(), Batch() as batch, Flow(jobs.nothing) as flow:
        pass
    with pytest.raises(BatchNotFound, match="rolled back, or pruned"), batch:
        pass
    with pytest.raises(JobError, match="has had its block: a flow has one block"), flow:
        pass


def test_a_flow_that_is_not_written_has_no_number():
    flow = Flow(jobs.nothing)
    assert repr(flow) == "<Flow tests.jobs.nothing>"
    with suppress(ZeroDivisionError), flow:
        raise ZeroDivisionError
    assert repr(flow) == "<Flow tests.jobs.nothing>"
