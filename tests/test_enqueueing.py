import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction

from django_jobs import aenqueue, aenqueue_many, enqueue, enqueue_many, job
from django_jobs.conf import get_settings
from django_jobs.exceptions import (
    ArgumentsTooLarge,
    InvalidQueue,
    JobError,
    JobNotFound,
    NotAJob,
)
from django_jobs.models import Job
from django_jobs.signals import job_enqueued
from django_jobs.states import State
from tests import jobs
from tests.factories import JobFactory
from tests.transactions import undone

pytestmark = pytest.mark.django_db


def helper():
    pass


def test_an_enqueued_job_is_a_ready_row():
    handle = enqueue(jobs.send, "ana", subject="hi")
    row = Job.objects.get()
    assert (row.pk, row.name, row.state) == (handle.id, "tests.jobs.send", State.READY)
    assert (row.args, row.kwargs) == (["ana"], {"subject": "hi"})
    assert (row.queue, row.priority, row.max_attempts, row.max_lost) == ("mail", 5, 3, 3)
    assert (row.attempt, row.lost_count, row.claim_id, row.unique_key) == (0, 0, None, None)
    assert handle.created is True
    assert handle.status is State.READY


def test_all_ways_to_enqueue_write_the_same_job():
    for handle in (
        enqueue(jobs.add, 1),
        enqueue("tests.jobs.add", 1),
        jobs.add.enqueue(1),
        *enqueue_many(jobs.add, [(1,)]),
        *jobs.add.enqueue_many([(1,)]),
        *enqueue_many("tests.jobs.add", [(1,)]),
    ):
        row = Job.objects.get(pk=handle.id)
        assert (row.name, row.args, row.kwargs) == ("tests.jobs.add", [1], {})


def test_a_former_name_enqueues_the_job_under_its_present_one():
    handle = enqueue("tests.jobs.charge_card", 1, "4111")
    assert Job.objects.get(pk=handle.id).name == "tests.jobs.charge"


def test_a_job_may_have_parameters_called_like_enqueues_own():
    @job
    def odd(definition, self=None):
        pass

    assert Job.objects.get(pk=odd.enqueue(definition=1, self=2).id).kwargs == {
        "definition": 1,
        "self": 2,
    }
    assert enqueue(odd, definition=1).created


def test_using_decides_about_this_job_only():
    handle = jobs.add.using(queue="slow", priority=9, max_attempts=1).enqueue(1)
    row = Job.objects.get(pk=handle.id)
    assert (row.queue, row.priority, row.max_attempts) == ("slow", 9, 1)


def test_work_that_must_not_run_twice_survives_no_worker_death():
    assert Job.objects.get(pk=jobs.charge.enqueue(1, "4111").id).max_lost == 0


@pytest.mark.parametrize("wait", [timedelta(hours=1), datetime(2030, 1, 15, 13, tzinfo=UTC)])
def test_a_later_job_is_scheduled_for_its_time(frozen_clock, wait):
    handle = jobs.add.using(run_after=wait).enqueue(1)
    row = Job.objects.get(pk=handle.id)
    assert (row.state, handle.status) == (State.SCHEDULED, State.SCHEDULED)
    assert row.run_at == frozen_clock.now() + timedelta(hours=1)


@pytest.mark.parametrize("wait", [timedelta(0), timedelta(-1), datetime(2030, 1, 1, tzinfo=UTC)])
def test_a_time_that_has_come_means_now(frozen_clock, wait):
    handle = jobs.add.using(run_after=wait).enqueue(1)
    assert handle.status is State.READY
    assert Job.objects.get(pk=handle.id).state == State.READY


def test_a_taken_unique_key_gives_back_the_job_that_has_it():
    first = jobs.add.using(unique_key="report").enqueue(1)
    second = jobs.add.using(unique_key="report").enqueue(2)
    assert (second.id, second.created, second.status) == (first.id, False, State.READY)
    assert Job.objects.count() == 1


def test_a_unique_key_is_free_again_when_its_job_has_ended():
    JobFactory(successful=True, unique_key="report")
    assert jobs.add.using(unique_key="report").enqueue(1).created


def test_rolled_back_means_gone():
    with undone():
        jobs.add.enqueue(1)
    assert not Job.objects.exists()


def test_a_savepoint_rolled_back_takes_only_its_own_jobs():
    with transaction.atomic():
        kept = jobs.add.enqueue(1)
        with undone():
            jobs.add.enqueue(2)
    assert [row.pk for row in Job.objects.all()] == [kept.id]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: enqueue("tests.jobs.sned", 1), JobNotFound, 'Did you mean "tests.jobs.send"?'),
        (lambda: enqueue(helper), NotAJob, "tests.test_enqueueing.helper is a plain function."),
        (lambda: enqueue(5), NotAJob, "a job or the name of one, not 5"),
        (jobs.add.enqueue, TypeError, 'add() is missing "left".'),
        (lambda: jobs.add.enqueue(1, rihgt=2), TypeError, 'Did you mean "right"?'),
        (lambda: jobs.add.enqueue(1, 2, 3), TypeError, "takes 2 positional arguments"),
        (lambda: jobs.count.enqueue(1, 2), TypeError, "count(number: int)"),
        (
            lambda: jobs.add.enqueue([0, {"due": datetime(2030, 1, 1, tzinfo=UTC)}]),
            TypeError,
            "argument \"left[1]['due']\" of add is a datetime",
        ),
        (lambda: jobs.add.enqueue("x" * 70_000), ArgumentsTooLarge, "the limit is 65,536"),
        (
            lambda: jobs.add.using(run_after=datetime(2030, 1, 1)).enqueue(1),  # noqa: DTZ001
            ValueError,
            "run_after is naive (no time zone). Use timezone.now() + timedelta(…).",
        ),
        (lambda: enqueue_many(jobs.add, [(1,), (2, 3, 4)]), TypeError, "Call 1: add() takes 2"),
        (lambda: enqueue_many(jobs.add, [(1,), {"x": 2}]), TypeError, "Call 1: add() has no"),
        (lambda: enqueue_many(jobs.add, [(1,), 7]), TypeError, "For one argument: (7,)."),
        (
            lambda: enqueue_many(jobs.add, [("x" * 70_000,)]),
            ArgumentsTooLarge,
            "Call 0: The arguments of add take",
        ),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
    assert not Job.objects.exists()


def test_a_queue_that_the_project_does_not_list_is_refused_at_enqueue(settings):
    settings.DJANGO_JOBS = {"QUEUES": ["default", "mial"]}
    with pytest.raises(InvalidQueue, match=r'"mail" is not in QUEUES.*Did you mean "mial"\?'):
        jobs.send.enqueue("ana")
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("module", "place"),
    [
        ("__main__", "__main__"),
        (None, "a shell"),
        ("django.core.management.commands.shell", "a shell"),
    ],
)
def test_a_job_of_a_script_or_a_shell_is_refused(module, place):
    @job
    def lost():
        pass

    lost.__module__ = module
    with pytest.raises(JobError, match=f"declared in {place}, where no worker can find it"):
        lost.enqueue()
    assert not Job.objects.exists()


def test_a_call_in_bulk_is_a_tuple_or_a_dict_or_a_pair_of_both():
    handles = enqueue_many(jobs.add, [(1,), {"left": 2}, ((3,), {"right": 4}), (5, 6)])
    rows = Job.objects.in_bulk([handle.id for handle in handles])
    calls = [(rows[handle.id].args, rows[handle.id].kwargs) for handle in handles]
    assert calls == [([1], {}), ([], {"left": 2}), ([3], {"right": 4}), ([5, 6], {})]


def test_no_calls_are_no_jobs():
    assert enqueue_many(jobs.add, []) == []


def test_many_jobs_keep_their_order():
    handles = jobs.add.enqueue_many((number,) for number in range(1500))
    numbers = dict(Job.objects.values_list("pk", "args"))
    assert [numbers[handle.id] for handle in handles] == [[number] for number in range(1500)]


def test_one_job_costs_one_statement(django_assert_num_queries):
    with transaction.atomic(), django_assert_num_queries(1):
        jobs.add.enqueue(1)


@pytest.mark.django_db(transaction=True)
def test_a_job_can_be_enqueued_from_async_code():
    async def work():
        first = await aenqueue(jobs.double, 2)
        second = await jobs.double.aenqueue(3)
        third = await aenqueue("tests.jobs.double", number=4)
        await first.arefresh()
        return [first.id, second.id, third.id]

    ids = asyncio.run(work())
    assert [row.args or row.kwargs for row in Job.objects.filter(pk__in=ids).order_by("pk")] == [
        [2],
        [3],
        {"number": 4},
    ]
    asyncio.run(sync_to_async(connections.close_all)())


@pytest.mark.django_db(transaction=True)
def test_many_jobs_can_be_enqueued_from_async_code_all_or_none():
    async def work():
        handles = await aenqueue_many(jobs.double, [(1,), {"number": 2}])
        handles += await jobs.double.aenqueue_many((number,) for number in (3, 4))
        handles += await aenqueue_many("tests.jobs.double", [((5,), {})])
        with pytest.raises(TypeError, match="Call 1: "):
            await jobs.double.aenqueue_many([(6,), ()])
        return [handle.id for handle in handles]

    ids = asyncio.run(work())
    rows = list(Job.objects.order_by("pk"))
    assert [row.pk for row in rows] == ids
    assert [row.args or row.kwargs for row in rows] == [[1], {"number": 2}, [3], [4], [5]]
    asyncio.run(sync_to_async(connections.close_all)())


def test_receivers_hear_of_new_jobs_and_cannot_break_enqueueing(caplog):
    seen = []

    def listen(sender, handle, **_):
        seen.append((sender, handle.id))
        raise RuntimeError("bad receiver")

    job_enqueued.connect(listen)
    try:
        first = jobs.add.using(unique_key="one").enqueue(1)
        jobs.add.using(unique_key="one").enqueue(1)
    finally:
        job_enqueued.disconnect(listen)
    assert seen == [("tests.jobs.add", first.id)]
    assert "bad receiver" in caplog.text


class TestAnotherDatabase:
    """The jobs live in the database "other"; the caller works on "default"."""

    pytestmark = pytest.mark.django_db(databases=["default", "other"], transaction=True)

    @pytest.fixture(autouse=True)
    def _other(self, settings):
        settings.DJANGO_JOBS = {"DATABASE": "other"}
        assert get_settings().DATABASE == "other"

    def test_without_a_transaction_the_job_is_written_at_once(self):
        handle = jobs.add.enqueue(1)
        assert Job.objects.using("other").get().pk == handle.id
        assert handle.refresh().status is State.READY

    def test_inside_a_transaction_the_job_waits_for_its_commit(self):
        with transaction.atomic():
            handle = jobs.add.enqueue(1)
            many = jobs.add.enqueue_many([(2,), (3,)])
            assert (handle.id, handle.created, handle.url) == (None, None, "")
            with pytest.raises(JobError, match="is not written yet"):
                handle.refresh()
            with pytest.raises(JobError, match="would never end"):
                handle.wait()
            assert not Job.objects.using("other").exists()
        ids = list(Job.objects.using("other").order_by("pk").values_list("pk", flat=True))
        assert [handle.id, *(each.id for each in many)] == ids
        assert handle.created

    def test_rolled_back_means_never_written(self):
        with undone():
            jobs.add.enqueue(1)
        assert not Job.objects.using("other").exists()

    def test_a_transaction_on_the_jobs_database_itself_is_joined(self):
        with undone(using="other"):
            assert jobs.add.enqueue(1).id
        assert not Job.objects.using("other").exists()
