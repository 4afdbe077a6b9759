"""Promises of `change_call`, `hold_call` and `note_copy`."""

from datetime import timedelta

import pytest

from django_jobs.engines.calls import HeldCall, NewCall
from django_jobs.models import Job
from django_jobs.states import Later, State
from tests.engines.rivals import until, waits_for_lock
from tests.engines.scenes import FAILURE, LATER, NOON, job_of

NEW = NewCall('[7,"x"]', '{"deep":{"a":[1]}}', "shop.order:7")
ENDED = (State.FAILED, State.CANCELLED)


def failed(scene, **fields):
    hold = scene.run_one(**fields)
    scene.finish(hold, end=FAILURE, now=LATER)
    return hold.job_id


def test_other_arguments_are_written_and_the_first_ones_kept(scene):
    job_id = failed(scene, args="[1]", kwargs='{"a":2}')
    assert scene.engine.change_call(job_id, NEW, LATER, ENDED) is State.FAILED
    job = job_of(job_id)
    assert (job.args, job.kwargs, job.about) == ([7, "x"], {"deep": {"a": [1]}}, "shop.order:7")
    assert job.original_args == {"args": [1], "kwargs": {"a": 2}}
    assert scene.engine.change_call(job_id, NewCall(), LATER, ENDED)
    job = job_of(job_id)
    assert (job.args, job.kwargs) == ([], {})
    assert job.original_args == {"args": [1], "kwargs": {"a": 2}}


def test_the_same_arguments_are_no_change(scene):
    job_id = failed(scene, args="[1]")
    assert scene.engine.change_call(job_id, NewCall("[1]"), LATER, ENDED) is State.FAILED
    assert job_of(job_id).original_args is None
    assert scene.engine.change_call(job_id, NewCall("[true]"), LATER, ENDED) is State.FAILED
    assert job_of(job_id).original_args == {"args": [1], "kwargs": {}}


def test_of_a_scheduled_job_the_due_time_is_compared(scene):
    (job_id,) = scene.enqueue(later=Later(60.0))
    due = NOON + timedelta(seconds=60)
    assert scene.engine.change_call(job_id, NEW, NOON, [State.SCHEDULED]) is None
    assert scene.engine.change_call(job_id, NewCall(), due, [State.SCHEDULED]) is State.SCHEDULED
    assert job_of(job_id).run_at == due  # the same arguments: nothing was touched
    assert scene.engine.change_call(job_id, NEW, due, [State.SCHEDULED]) is State.SCHEDULED
    assert job_of(job_id).run_at == due + timedelta(microseconds=1)


def test_of_two_who_change_the_call_of_a_scheduled_job_the_second_is_refused(scene):
    (job_id,) = scene.enqueue(later=Later(60.0))
    due = NOON + timedelta(seconds=60)
    for args, state in (("[1]", State.SCHEDULED), ("[2]", None)):
        assert scene.engine.change_call(job_id, NewCall(args), due, [State.SCHEDULED]) is state
    assert job_of(job_id).args == [1]


def test_a_job_that_was_touched_or_is_in_another_state_stays(scene):
    job_id = failed(scene)
    assert scene.engine.change_call(job_id, NEW, NOON, ENDED) is None
    assert scene.engine.change_call(job_id, NEW, LATER, [State.SCHEDULED]) is None
    assert scene.engine.change_call(999_999, NEW, LATER, ENDED) is None
    assert job_of(job_id).original_args is None


def test_the_arguments_of_a_running_job_are_never_changed(scene):
    hold = scene.run_one()
    run_at = job_of(hold).run_at
    assert scene.engine.change_call(hold.job_id, NEW, run_at, list(State)) is None
    assert job_of(hold).args == []


def test_a_call_is_read_whole(scene):
    (job_id,) = scene.enqueue(
        args="[1]",
        kwargs='{"a":2}',
        queue="mail",
        priority=7,
        max_attempts=9,
        unique_key="k",
        about="shop.order:1",
    )
    assert scene.engine.hold_call(job_id) == HeldCall(
        "tests.jobs.nothing", "mail", 7, [1], {"a": 2}, 9, "k", "shop.order:1", None
    )
    assert scene.engine.hold_call(999_999) is None


def test_a_copy_is_on_both_rows(scene):
    one, two = scene.enqueue(2)
    scene.engine.note_copy(one, two)
    assert (job_of(one).copied_as, job_of(one).copy_of) == (two, None)
    assert (job_of(two).copied_as, job_of(two).copy_of) == (None, one)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_who_holds_a_call_second_sees_what_the_first_did(scene, rival):
    one, two = scene.enqueue(2)
    first, second = rival(), rival()
    pid = second.pid
    first.begin()
    first.verb("hold_call", one)
    second.begin()
    holding = second.start_verb("hold_call", one)
    until(lambda: waits_for_lock(pid), "the second to wait for the row")
    first.verb("note_copy", one, two)
    first.commit()
    assert holding.result(20).copied_as == two
    second.rollback()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_two_who_change_a_call_at_once_one_retries_and_the_other_is_refused(scene, rival):
    job_id = failed(scene)
    first, second = rival(), rival()
    pid = second.pid
    first.begin()
    assert first.verb("change_call", job_id, NEW, LATER, ENDED)
    changing = second.start_verb("change_call", job_id, ("[8]", "{}"), LATER, ENDED)
    until(lambda: waits_for_lock(pid), "the second to wait for the row")
    first.verb("move", [job_id], State.READY, ENDED, LATER)
    first.commit()
    assert changing.result(20) is None
    assert Job.objects.get(pk=job_id).args == [7, "x"]
