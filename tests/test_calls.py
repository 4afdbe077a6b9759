"""Other arguments for a job, and the same call anew."""

from datetime import timedelta

import pytest

from django_jobs import calls, job, operations
from django_jobs.exceptions import JobNotFound
from django_jobs.models import Job, Wait
from django_jobs.states import State
from tests.conftest import NOON
from tests.factories import JobFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

ENDED = NOON - timedelta(seconds=10)


def test_a_failed_job_is_retried_with_other_arguments():
    row = JobFactory(failed=True)
    result = calls.change_arguments(row.pk, (5,), {"right": 6}, as_of=ENDED)
    assert result.done == {row.pk}
    row.refresh_from_db()
    assert (row.args, row.kwargs, row.state) == ([5], {"right": 6}, State.READY)
    assert row.original_args == {"args": [1, 2], "kwargs": {}}


def test_arguments_are_checked_before_anything_is_written():
    row = JobFactory(failed=True)
    for args in ((), (1, 2, 3), (object(),)):
        with pytest.raises(TypeError):
            calls.change_arguments(row.pk, args, {}, as_of=ENDED)
    assert Job.objects.get().state == State.FAILED


def test_a_job_that_was_touched_since_is_refused_with_its_state():
    row = JobFactory(failed=True)
    operations.retry([row.pk])
    result = calls.change_arguments(row.pk, (5,), {}, as_of=ENDED)
    assert result.refused == {
        row.pk: "it is ready, and was touched since it was looked at; look again"
    }
    assert calls.change_arguments(999, (), {}, as_of=ENDED).refused == {999: operations.NOT_FOUND}


def test_a_taken_unique_key_leaves_everything_as_it_was():
    row = JobFactory(failed=True, unique_key="k")
    JobFactory(unique_key="k")
    result = calls.change_arguments(row.pk, (5,), {}, as_of=ENDED)
    assert result.refused == {row.pk: operations.KEY_TAKEN}
    row.refresh_from_db()
    assert (row.args, row.original_args, row.state) == ([1, 2], None, State.FAILED)


def test_what_cancels_a_job_follows_its_arguments():
    @job(name="tests.remind", cancel_on={"order/paid": ["order"]})
    def remind(order: int): ...

    handle = remind.using(run_after=timedelta(hours=1)).enqueue(1)
    before = Wait.objects.get()
    row = Job.objects.get(pk=handle.id)
    calls.change_arguments(row.pk, (2,), {}, as_of=row.run_at)
    after = Wait.objects.get()
    assert (after.cancels, after.fields) == (True, before.fields)
    assert after.digest != before.digest


def test_a_copy_is_a_new_job_with_the_same_call():
    row = JobFactory(failed=True, queue="bulk", priority=3, max_attempts=9, unique_key="k")
    copy = calls.duplicate(row.pk)
    new = Job.objects.get(pk=copy.job_id)
    assert (new.queue, new.priority, new.max_attempts, new.unique_key) == ("bulk", 3, 9, "k")
    assert (new.copy_of, new.attempt, new.state) == (row.pk, 0, State.READY)
    assert calls.duplicate(row.pk) == calls.Copy(new.pk, operations.KEY_TAKEN)


def test_a_copy_is_enqueued_by_the_one_who_copied_it():
    row = JobFactory(failed=True, enqueued_by="view=shop:checkout user=ana")
    named, nobody = calls.duplicate(row.pk, by="bob\x00\n"), calls.duplicate(row.pk)
    assert Job.objects.get(pk=named.job_id).enqueued_by == "bob\N{REPLACEMENT CHARACTER}"
    assert Job.objects.get(pk=nobody.job_id).enqueued_by is None


def test_a_call_that_is_changed_keeps_who_enqueued_it():
    row = JobFactory(failed=True, enqueued_by="view=shop:checkout user=ana")
    assert calls.change_arguments(row.pk, (5,), {}, as_of=ENDED).done
    assert Job.objects.get(pk=row.pk).enqueued_by == "view=shop:checkout user=ana"


def test_a_copy_is_about_the_same_row():
    row = JobFactory(failed=True, about="shop.order:17")
    assert Job.objects.get(pk=calls.duplicate(row.pk).job_id).about == "shop.order:17"


@pytest.mark.parametrize(
    ("about", "after"),
    [
        ("shop.order:1", "shop.order:2"),
        ("shop.order:9", "shop.order:9"),
        (None, None),
    ],
)
def test_what_a_job_is_about_follows_its_arguments_unless_the_caller_has_said(about, after):
    @job(name="tests.remind", about={"shop.Order": "order"})
    def remind(order: int): ...

    row = JobFactory(failed=True, name="tests.remind", args=[1], about=about)
    assert calls.change_arguments(row.pk, (2,), {}, as_of=ENDED).done
    assert Job.objects.get(pk=row.pk).about == after


def test_a_call_that_did_not_fit_is_about_what_its_new_arguments_say():
    @job(name="tests.remind", about={"shop.Order": "order"})
    def remind(order: int): ...

    row = JobFactory(failed=True, name="tests.remind", args=[1, 2, 3])
    assert calls.change_arguments(row.pk, (2,), {}, as_of=ENDED).done
    assert Job.objects.get(pk=row.pk).about == "shop.order:2"


def test_a_copy_that_the_caller_does_not_know_of_stops_the_next():
    row = JobFactory(failed=True)
    first = calls.duplicate(row.pk, seen=0)
    second = calls.duplicate(row.pk, seen=0)
    assert (second.job_id, bool(second.refused)) == (first.job_id, True)
    assert not calls.duplicate(row.pk, seen=first.job_id).refused
    assert calls.duplicate(999).refused == operations.NOT_FOUND


def test_a_call_that_nobody_knows_is_not_repeated():
    with pytest.raises(JobNotFound):
        calls.duplicate(JobFactory(name="shop.jobs.removed").pk)


def test_a_copy_keeps_its_row_whatever_its_arguments_say_by_now():
    @job(name="tests.ship", about={"tests.Purchase": "order"})
    def ship(order):
        pass

    row = JobFactory(failed=True, name="tests.ship", args=["no key"], about="tests.purchase:17")
    copy = calls.duplicate(row.pk)
    assert copy.refused == ""
    assert Job.objects.get(pk=copy.job_id).about == "tests.purchase:17"
    assert ship.about is not None
    assert not isinstance(ship.about, str)
