"""A batch: its jobs are counted, and what comes after them is enqueued once, when all have ended."""

from contextlib import suppress
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction

from django_jobs import Batch, JobContext, operations
from django_jobs.definitions import job
from django_jobs.engines import get_engine
from django_jobs.events import Relay
from django_jobs.exceptions import (
    ArgumentsTooLarge,
    BatchFinished,
    BatchNotFound,
    JobError,
    NotAJob,
)
from django_jobs.models import Batch as Row
from django_jobs.models import BatchCallback, BatchJob, Event, Job
from django_jobs.states import State
from django_jobs.testing import run_jobs
from tests import jobs
from tests.transactions import undone

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


@pytest.fixture
def batch_of(after):
    """Return how to write a batch of such jobs, with a callback for each end."""

    def batch_of(*definitions):
        with Batch("album 7") as batch:
            for definition in definitions:
                batch.enqueue(definition)
            for end in ("success", "failure", "finish"):
                getattr(batch, f"on_{end}")(after, end, batch.id)
        return batch

    return batch_of


def counts(batch):
    batch.refresh()
    return batch.total, batch.pending, batch.successful, batch.failed, batch.cancelled


def test_nothing_comes_after_a_batch_before_all_its_jobs_have_ended(batch_of, called):
    batch = batch_of(jobs.nothing, jobs.nothing, jobs.nothing.using(run_after=timedelta(hours=1)))
    run_jobs()
    assert counts(batch) == (3, 1, 2, 0, 0)
    assert (batch.finished_at, called()) == (None, [])


def test_when_all_have_ended_well_success_and_finish_are_enqueued(batch_of, called, frozen_clock):
    batch = batch_of(jobs.nothing, jobs.nothing)
    run_jobs()
    assert counts(batch) == (2, 0, 2, 0, 0)
    assert batch.finished_at == frozen_clock.now()
    assert called() == ["success", "finish"]
    callbacks = dict(BatchCallback.objects.values_list("on", "job_id"))
    assert callbacks["failure"] is None
    assert Job.objects.get(pk=callbacks["success"]).args == ["success", batch.id]


def test_when_one_has_failed_failure_and_finish_are_enqueued(batch_of, called):
    batch = batch_of(jobs.nothing, jobs.fail_for_good)
    run_jobs()
    assert counts(batch) == (2, 0, 1, 1, 0)
    assert called() == ["failure", "finish"]


def test_when_one_was_cancelled_failure_and_finish_are_enqueued(batch_of, called):
    batch = batch_of(jobs.nothing, jobs.nothing)
    operations.cancel([Job.objects.latest("id").pk])
    run_jobs()
    assert counts(batch) == (2, 0, 1, 0, 1)
    assert called() == ["failure", "finish"]


def test_a_job_that_is_tried_again_has_not_ended(batch_of, called):
    batch = batch_of(jobs.fail)
    run_jobs()
    assert counts(batch) == (1, 1, 0, 0, 0)
    assert called() == []


def test_a_batch_without_jobs_is_finished_at_once(batch_of, called):
    batch = batch_of()
    assert batch.finished_at is not None
    assert called() == ["success", "finish"]


def test_jobs_are_enqueued_by_name_and_many_at_a_time_and_with_options():
    with Batch() as batch:
        one = batch.enqueue("tests.jobs.add", 1, right=2)
        two, three = batch.enqueue_many(jobs.add.using(queue="mail"), [(1,), {"left": 2}])
        assert batch.enqueue_many(jobs.add, []) == []
    assert batch.total == 3
    assert Job.objects.get(pk=three.id).queue == "mail"
    assert list(BatchJob.objects.values_list("job_id", flat=True)) == [one.id, two.id, three.id]
    run_jobs()
    assert one.refresh().result == 3


def test_the_block_is_all_or_nothing(after):
    with suppress(ZeroDivisionError), Batch() as batch:
        batch.enqueue(jobs.nothing)
        batch.on_finish(after, "finish")
        raise ZeroDivisionError
    assert [model.objects.count() for model in (Row, BatchJob, BatchCallback, Job)] == [0] * 4
    with pytest.raises(JobError, match="begins with its block"):
        batch.enqueue(jobs.nothing)


def test_the_block_is_part_of_the_callers_transaction():
    with undone():
        with Batch() as batch:
            batch.enqueue(jobs.nothing)
        assert batch.total == 1
    assert not Job.objects.exists()
    with pytest.raises(BatchNotFound, match="rolled back, or pruned"):
        batch.refresh()


def test_jobs_that_are_rolled_back_to_a_savepoint_are_not_counted(after, called):
    with Batch() as batch:
        batch.enqueue(jobs.nothing)
        batch.on_success(after, "success")
        with undone():
            batch.enqueue(jobs.fail_for_good)
    assert batch.total == 1
    run_jobs()
    assert called() == ["success"]


def test_wrong_arguments_are_refused_at_once_and_write_nothing(after):
    @job(name="tests.big")
    def big(text: str) -> None: ...

    with Batch() as batch:
        for wrong, error in [
            (lambda: batch.on_success(after), TypeError),
            (lambda: batch.on_finish(after, "finish", object()), TypeError),
            (lambda: batch.on_finish(after, "nul \x00"), TypeError),
            (lambda: batch.on_finish(after, "half \ud800"), TypeError),
            (lambda: batch.on_failure(big, "x" * 70_000), ArgumentsTooLarge),
            (lambda: batch.on_failure(len, "x"), NotAJob),
            (lambda: batch.on_finish(after.using(unique_key="one"), "finish"), ValueError),
            (lambda: batch.enqueue(after), TypeError),
            (lambda: batch.enqueue_many(after, [("finish",), ()]), TypeError),
        ]:
            with pytest.raises(error):
                wrong()
    assert batch.total == 0
    assert not BatchCallback.objects.exists()
    assert not Job.objects.exists()


def test_what_comes_after_is_written_as_it_was_declared(frozen_clock):
    hostile = {"html": "<script>", "quote": "'\"; DROP TABLE", "ä": [1e16, -0.5, None, "\u2028"]}

    @job(name="tests.taking", max_attempts=2)
    def taking(data: dict[str, object], *, card: str) -> None: ...

    with Batch("<b>\x00" + "x" * 300) as batch:
        changed = taking.using(queue="mail", priority=7, run_after=timedelta(days=2))
        batch.on_finish(changed, hostile, card="4711")
    assert batch.name == "<b>\N{REPLACEMENT CHARACTER}" + "x" * 251
    row = Job.objects.get()
    assert (row.args, row.kwargs) == ([hostile], {"card": "4711"})
    assert (row.queue, row.priority, row.max_attempts) == ("mail", 7, 2)
    assert (row.state, row.run_at) == (State.SCHEDULED, frozen_clock.now() + timedelta(days=2))


def test_what_comes_after_can_be_cancelled_by_an_event():
    from django_jobs import send_event

    @job(name="tests.cancellable", cancel_on={"album/deleted": "album"})
    def cancellable(album: int) -> None: ...

    with Batch() as batch:
        batch.on_finish(cancellable.using(run_after=timedelta(days=1)), 7)
    send_event("album/deleted", {"album": 7})
    run_jobs()
    assert Job.objects.get().state == State.CANCELLED


def test_a_job_of_the_batch_can_add_jobs_to_it(after, called):
    @job(name="tests.more")
    def more(batch_id: int) -> None:
        batch = Batch.get(batch_id)
        batch.enqueue(jobs.nothing)
        batch.enqueue_many(jobs.nothing, [(), ()])
        with batch:
            batch.enqueue(jobs.nothing)
            batch.on_finish(after, "later")

    with Batch() as batch:
        batch.enqueue(more, batch.id)
        batch.on_finish(after, "finish")
    run_jobs()
    assert counts(batch) == (5, 0, 5, 0, 0)
    assert called() == ["finish", "later"]


def test_nothing_can_be_added_to_a_finished_batch(batch_of, after):
    batch = batch_of(jobs.nothing)
    run_jobs()
    before = Job.objects.count()
    with pytest.raises(BatchFinished, match='"album 7" is finished since 2030-01-15 12:00:00 UTC'):
        batch.enqueue(jobs.nothing)
    with pytest.raises(BatchFinished):
        batch.on_finish(after, "finish")
    with pytest.raises(BatchFinished), Batch.get(batch.id):
        pass
    assert Job.objects.count() == before


def test_an_unknown_batch_is_not_found():
    with pytest.raises(BatchNotFound, match="no batch #4711"):
        Batch.get(4711)


def test_cancelling_a_batch_cancels_what_has_not_begun(batch_of, called):
    batch = batch_of(*[jobs.nothing] * 3)
    get_engine("default").claim(None, 1, "w1", 60.0)
    assert batch.cancel() == 2
    assert batch.cancel() == 0
    states = Job.objects.values_list("state", flat=True)
    assert sorted(states) == [State.CANCELLED, State.CANCELLED, State.RUNNING]
    run_jobs()
    assert counts(batch) == (3, 1, 0, 0, 2)
    assert called() == []


def test_a_job_that_is_retried_after_it_was_counted_counts_once(batch_of, called):
    batch = batch_of(jobs.fail_for_good, jobs.nothing.using(run_after=timedelta(hours=1)))
    run_jobs()
    failed = Job.objects.get(name="tests.jobs.fail_for_good")
    operations.retry([failed.pk])
    run_jobs()
    assert counts(batch) == (2, 1, 0, 1, 0)
    operations.run_now(Job.objects.filter(state=State.SCHEDULED).values_list("pk", flat=True))
    run_jobs()
    assert counts(batch) == (2, 0, 1, 1, 0)
    assert called() == ["failure", "finish"]


def test_a_job_that_is_retried_before_it_was_counted_counts_with_its_last_end(batch_of, called):
    batch = batch_of(jobs.nothing)
    operations.cancel([Job.objects.get().pk])
    operations.retry([Job.objects.get().pk])
    Relay().run(get_engine("default"))
    assert counts(batch) == (1, 1, 0, 0, 0)
    run_jobs()
    assert called() == ["success", "finish"]


def test_a_live_job_with_the_same_unique_key_is_counted_in(after, called):
    only = jobs.nothing.using(unique_key="one")
    only.enqueue()
    with Batch() as batch:
        assert [batch.enqueue(only).created, batch.enqueue(only).created] == [False, False]
        assert [each.created for each in batch.enqueue_many(only, [(), ()])] == [False, False]
        batch.on_success(after, "success")
    assert batch.total == 1
    run_jobs()
    assert called() == ["success"]


def test_a_job_can_be_in_several_batches(batch_of, called):
    only = jobs.nothing.using(unique_key="one")
    first, second = batch_of(only), batch_of(only)
    run_jobs()
    assert counts(first) == counts(second) == (1, 0, 1, 0, 0)
    assert called() == ["success", "finish"] * 2


def test_the_repair_counts_jobs_whose_end_nobody_was_told_of(batch_of, called):
    batch = batch_of(jobs.nothing, jobs.nothing)
    Job.objects.update(watched=False)
    run_jobs()
    assert counts(batch) == (2, 2, 0, 0, 0)
    assert Relay().repair(get_engine("default")) == 2
    assert Relay().repair(get_engine("default")) == 0, "they are about to be counted"
    run_jobs()
    assert called() == ["success", "finish"]
    assert not Event.objects.exists()


def test_the_repair_counts_deleted_jobs_as_cancelled(batch_of, called):
    batch = batch_of(jobs.nothing, jobs.nothing)
    Job.objects.latest("id").delete()
    run_jobs()
    assert counts(batch) == (2, 1, 1, 0, 0)
    Relay().repair(get_engine("default"))
    run_jobs()
    assert counts(batch) == (2, 0, 1, 0, 1)
    assert called() == ["failure", "finish"]


def test_a_job_that_is_deleted_before_it_was_counted_counts_as_it_ended(batch_of, called):
    batch = batch_of(jobs.nothing)
    hold = get_engine("default").claim(None, 1, "w1", 60.0)[0].hold
    from tests.engines.scenes import SUCCESS, Finish

    get_engine("default").finish([Finish(hold, SUCCESS, 1.0)], "w1")
    Job.objects.all().delete()
    run_jobs()
    assert counts(batch) == (1, 0, 1, 0, 0)
    assert called() == ["success", "finish"]


def test_the_repair_finishes_a_batch_that_ought_to_have_finished(batch_of, called):
    batch = batch_of(jobs.nothing)
    Row.objects.update(pending=0)
    Relay().repair(get_engine("default"))
    assert batch.refresh().finished_at is not None
    Relay().repair(get_engine("default"))
    assert called() == ["success", "finish"]


def test_the_repair_walks_over_all_uncounted_jobs_bit_by_bit(batch_of, monkeypatch):
    monkeypatch.setattr("django_jobs.events.relaying.WINDOW", 2)
    batch_of(*[jobs.nothing] * 5)
    Job.objects.latest("id").delete()
    relay = Relay()
    assert [relay.repair(get_engine("default")) for _ in range(4)] == [0, 0, 1, 0]


def test_a_block_is_not_open_twice():
    with Batch() as batch, pytest.raises(JobError, match="open already"), batch:
        pass
    assert batch.id is not None


def test_jobs_of_another_database_do_not_join_a_transaction_that_they_cannot_see(settings):
    from django_jobs.conf import get_settings

    settings.DJANGO_JOBS = {"DATABASE": "other"}
    get_settings.cache_clear()
    with transaction.atomic(), pytest.raises(JobError, match="on_commit"), Batch():
        pass


def test_a_repr_says_which_batch_it_is(batch_of):
    assert repr(Batch("album 7")) == '<Batch "album 7">'
    batch = batch_of()
    assert repr(batch) == f'<Batch #{batch.id} "album 7">'


def test_adding_a_thousand_jobs_takes_few_statements(django_assert_max_num_queries):
    with django_assert_max_num_queries(30), Batch() as batch:
        batch.enqueue_many(jobs.add, [(number,) for number in range(1000)])
    assert batch.total == 1000
    assert connection.in_atomic_block


def test_async_code_adds_to_a_batch_and_looks_at_it(batch_of):
    async def work(batch_id):
        batch = await Batch.aget(batch_id)
        await batch.aenqueue(jobs.add, 1)
        assert len(await batch.aenqueue_many(jobs.add, [(2,), (3,)])) == 2
        assert (await batch.arefresh()).total == 4
        assert await batch.acancel() == 4

    async_to_sync(work)(batch_of(jobs.nothing).id)


def test_the_job_of_a_batch_knows_nothing_of_it(batch_of):
    @job(name="tests.asking")
    def asking(context: JobContext) -> int:
        return len(context.children())

    batch_of(asking)
    run_jobs()
    from django_jobs.models import JobRun

    assert JobRun.objects.filter(job__name="tests.asking").get().result == 0
