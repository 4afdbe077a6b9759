"""A flow: a parent that runs once, after its children, and what their failures mean to it."""

from contextlib import suppress
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from django_jobs import Event, Flow, JobContext, operations
from django_jobs.batches import Child
from django_jobs.definitions import job
from django_jobs.engines import get_engine
from django_jobs.engines.endings import NEVER
from django_jobs.events import Relay
from django_jobs.exceptions import ArgumentsTooLarge, JobError, JobFailed
from django_jobs.models import Batch, BatchJob, Job, JobRun
from django_jobs.states import RunOutcome, State
from django_jobs.testing import run_jobs
from tests.conftest import NOON
from tests.transactions import undone

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

LATER = timedelta(hours=1)
NOON_TOMORROW = NOON + timedelta(days=1)


@pytest.fixture
def ran():
    """Return the list of what ran, in order."""
    return []


@pytest.fixture
def part(ran):
    """Return a job that notes its name, and fails if it is told to."""

    @job(name="tests.part", max_attempts=1)
    def part(name: str, fails: bool = False) -> str:
        ran.append(name)
        if fails:
            raise ValueError(f"no {name}")
        return name.upper()

    return part


@pytest.fixture
def whole(ran):
    """Return a job that notes its name, and returns what it sees of its children."""

    @job(name="tests.whole")
    def whole(context: JobContext, name: str) -> list[list[object]]:
        ran.append(name)
        return [[child.state, child.result, child.error] for child in context.children()]

    return whole


def hand_out_events():
    relay = Relay()
    while relay.run(get_engine("default")).more:
        pass


def state(handle):
    return handle.refresh().status


def test_the_parent_waits_for_its_children_and_runs_after_them(part, whole, ran):
    with Flow(whole, "album") as flow:
        flow.enqueue_many(part, [("one",), ("two",)])
    row = Job.objects.get(pk=flow.parent.id)
    assert (row.state, row.run_at, row.waiting_for) == (State.WAITING, NEVER, "its children")
    assert run_jobs() == [RunOutcome.SUCCESSFUL] * 3
    assert ran == ["one", "two", "album"]
    assert flow.parent.refresh().result == [["SUCCESSFUL", "ONE", ""], ["SUCCESSFUL", "TWO", ""]]
    assert Batch.objects.get().finished_at is not None
    assert run_jobs() == []


def test_a_flow_without_children_runs_at_once(whole, ran):
    with Flow(whole, "album") as flow:
        pass
    assert state(flow.parent) == State.READY
    run_jobs()
    assert ran == ["album"]
    assert flow.parent.refresh().result == []


def test_the_block_is_all_or_nothing(part, whole):
    with suppress(ZeroDivisionError), Flow(whole, "album") as flow:
        flow.enqueue(part, "one")
        with flow.flow(whole, "index") as inner:
            inner.enqueue(part, "two")
        raise ZeroDivisionError
    assert [model.objects.count() for model in (Batch, BatchJob, Job)] == [0] * 3


def test_children_are_listed_in_the_order_in_which_they_were_added(part, whole):
    with Flow(whole, "album") as flow:
        first = flow.enqueue(part.using(priority=-5), "one")
        with flow.using(if_failed="ignore").flow(whole, "index") as inner:
            inner.enqueue(part, "leaf")
        third = flow.using(if_failed="ignore").enqueue(part, "three", fails=True)
        fourth = flow.enqueue(part.using(priority=5), "four")
    run_jobs()
    children = JobContext("tests.whole", job_id=flow.parent.id).children()
    assert [child.job_id for child in children] == [
        handle.id for handle in (first, inner.parent, third, fourth)
    ]
    assert children[0] == Child(first.id, "tests.part", State.SUCCESSFUL, "ONE")
    assert children[2] == Child(third.id, "tests.part", State.FAILED, None, "ValueError: no three")
    assert JobContext.detached("tests.whole").children() == []


def test_a_tree_runs_from_its_leaves_to_its_root(part, whole, ran):
    with Flow(whole, "root") as flow:
        flow.enqueue(part, "one")
        with flow.flow(whole, "middle") as middle:
            middle.enqueue(part, "two")
            with middle.flow(whole, "inner") as inner:
                inner.enqueue(part, "three")
        flow.enqueue(part, "four")
    assert run_jobs() == [RunOutcome.SUCCESSFUL] * 7
    assert ran == ["one", "two", "three", "four", "inner", "middle", "root"]


def test_a_failed_child_fails_its_parent_at_once_and_that_one_its_own(part, whole, ran):
    with Flow(whole, "root") as flow:
        flow.enqueue(part.using(run_after=LATER), "late")
        with flow.flow(whole, "inner") as inner:
            bad = inner.enqueue(part, "bad", fails=True)
            inner.enqueue(part, "good")
    run_jobs()
    assert ran == ["bad", "good"]
    assert state(inner.parent) == state(flow.parent) == State.FAILED
    with pytest.raises(JobFailed, match=rf"child #{bad.id} \(part\) failed: ValueError: no bad"):
        _ = inner.parent.result
    with pytest.raises(JobFailed, match=rf"child #{inner.parent.id} \(whole\) failed: child"):
        _ = flow.parent.result
    run = JobRun.objects.get(job=inner.parent.id)
    assert (run.outcome, run.error_type, run.attempt) == (RunOutcome.FAILED, "child failed", 0)
    run_jobs(now=NOON_TOMORROW)
    assert ran == ["bad", "good", "late"], "the others go on"


def test_a_cancelled_child_fails_its_parent(part, whole):
    with Flow(whole, "album") as flow:
        child = flow.enqueue(part, "one")
    operations.cancel([child.id])
    run_jobs()
    assert state(flow.parent) == State.FAILED
    assert "was cancelled" in JobRun.objects.get(job=flow.parent.id).error


def test_a_failed_parent_is_heard_of_like_any_failed_job(part):
    heard = []

    @job(name="tests.alarm")
    def alarm(event: Event) -> None:
        heard.append(event.data["error"])

    @job(name="tests.guarded", on_failure="tests.alarm")
    def guarded() -> None: ...

    with Flow(guarded) as flow:
        flow.enqueue(part, "bad", fails=True)
    run_jobs()
    assert len(heard) == 1
    assert "no bad" in heard[0]


def test_an_ignored_failure_lets_the_parent_run_when_all_have_ended(part, whole, ran):
    with Flow(whole, "album") as flow:
        flow.using(if_failed="ignore").enqueue(part, "bad", fails=True)
        flow.enqueue(part.using(run_after=LATER), "late")
    run_jobs()
    assert state(flow.parent) == State.WAITING
    run_jobs(now=NOON_TOMORROW)
    assert ran == ["bad", "late", "album"]
    assert flow.parent.refresh().result[0] == ["FAILED", None, "ValueError: no bad"]


def test_with_continue_the_parent_runs_at_once_and_once(part, whole, ran):
    with Flow(whole, "album") as flow:
        optional = flow.using(if_failed="continue")
        optional.enqueue_many(part, [("bad", True), ("good",)])
        optional.enqueue(part.using(run_after=LATER), "late", fails=True)
    run_jobs()
    assert ran == ["bad", "good", "album"]
    assert flow.parent.refresh().result[2] == ["SCHEDULED", None, ""]
    run_jobs(now=NOON_TOMORROW)
    assert ran == ["bad", "good", "album", "late"]
    row = Batch.objects.get()
    assert (row.pending, row.successful, row.failed) == (0, 1, 2)


def test_children_that_go_on_do_not_wake_a_parent_that_waits_for_something_else(part):
    @job(name="tests.sleepy")
    def sleepy(context: JobContext) -> None:
        context.step.sleep("long", timedelta(days=3))

    with Flow(sleepy) as flow:
        flow.using(if_failed="continue").enqueue(part, "bad", fails=True)
        flow.enqueue(part.using(run_after=LATER), "late", fails=True)
    run_jobs()
    assert state(flow.parent) == State.WAITING
    run_jobs(now=NOON_TOMORROW)
    assert state(flow.parent) == State.WAITING
    assert Job.objects.get(pk=flow.parent.id).waiting_for == 'step "long"'


def test_of_two_failures_at_once_the_one_that_fails_the_parent_counts(part, whole, ran):
    with Flow(whole, "album") as flow:
        flow.using(if_failed="continue").enqueue(part, "one", fails=True)
        flow.enqueue(part, "two", fails=True)
    run_jobs()
    assert state(flow.parent) == State.FAILED


def test_an_unknown_policy_is_refused(whole):
    with Flow(whole, "album") as flow, pytest.raises(ValueError, match='one of "fail", "ignore"'):
        flow.using(if_failed="never mind")


def test_cancelling_the_parent_cancels_what_has_not_begun_all_the_way_down(part, whole):
    with Flow(whole, "root") as flow:
        running = flow.enqueue(part.using(priority=1), "one")
        with flow.flow(whole, "middle") as middle, middle.flow(whole, "inner") as inner:
            leaf = inner.enqueue(part, "leaf")
    get_engine("default").claim(None, 1, "w1", 60.0)
    operations.cancel([flow.parent.id])
    hand_out_events()
    assert state(running) == State.RUNNING
    assert {state(each) for each in (middle.parent, inner.parent, leaf)} == {State.CANCELLED}


def test_more_children_than_one_page_are_cancelled(part, whole, monkeypatch):
    monkeypatch.setattr("django_jobs.engines.orm.waking.PAGE", 3)
    with Flow(whole, "root") as flow:
        flow.enqueue_many(part, [("one",)] * 8)
    operations.cancel([flow.parent.id])
    hand_out_events()
    assert set(Job.objects.values_list("state", flat=True)) == {State.CANCELLED}


def test_a_retried_parent_waits_for_children_that_were_retried_too(part, whole, ran, monkeypatch):
    with Flow(whole, "root") as flow, flow.flow(whole, "inner") as inner:
        bad = inner.enqueue(part, "bad", fails=True)
    run_jobs()
    Job.objects.filter(pk=bad.id).update(args=["mended"], kwargs={})
    everything = [bad.id, inner.parent.id, flow.parent.id]
    assert operations.retry(everything).done == set(everything)
    assert [state(each) for each in (bad, inner.parent, flow.parent)] == [
        State.READY,
        State.WAITING,
        State.WAITING,
    ]
    assert run_jobs() == [RunOutcome.SUCCESSFUL] * 3
    assert ran == ["bad", "mended", "inner", "root"]
    assert [(row.successful, row.failed) for row in Batch.objects.all()] == [(1, 0), (1, 0)]


def test_a_parent_can_fail_again_by_its_children(part, whole):
    with Flow(whole, "root") as flow:
        bad = flow.enqueue(part, "bad", fails=True)
    run_jobs()
    operations.retry([bad.id, flow.parent.id])
    run_jobs()
    assert state(flow.parent) == State.FAILED
    assert JobRun.objects.filter(job=flow.parent.id).count() == 2


def test_a_parent_that_is_retried_alone_runs_at_once(part, whole, ran):
    with Flow(whole, "root") as flow:
        flow.enqueue(part, "bad", fails=True)
    run_jobs()
    operations.retry([flow.parent.id])
    run_jobs()
    assert ran == ["bad", "root"]


def test_a_deleted_child_counts_as_cancelled(part, whole, ran):
    with Flow(whole, "album") as flow:
        child = flow.using(if_failed="ignore").enqueue(part, "one")
    Job.objects.get(pk=child.id).delete()
    assert run_jobs() == []
    Relay().repair(get_engine("default"))
    run_jobs()
    assert ran == ["album"]
    assert flow.parent.refresh().result == [["CANCELLED", None, ""]]


def test_a_deleted_child_fails_its_parent(part, whole):
    with Flow(whole, "album") as flow:
        child = flow.enqueue(part, "one")
    Job.objects.get(pk=child.id).delete()
    Relay().repair(get_engine("default"))
    run_jobs()
    assert f"child #{child.id} (part) was deleted" in JobRun.objects.get().error


def test_the_ends_of_children_whose_parent_was_deleted_wake_nobody(part, whole):
    with Flow(whole, "album") as flow:
        flow.enqueue(part, "one")
    Job.objects.get(pk=flow.parent.id).delete()
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert Batch.objects.get().finished_at is not None


def test_wrong_arguments_are_refused_before_anything_is_written(part, whole):
    for wrong, error in [
        (lambda: Flow(whole), TypeError),
        (lambda: Flow(whole, "x" * 70_000), ArgumentsTooLarge),
        (lambda: Flow(whole.using(unique_key="one"), "album"), ValueError),
        (lambda: Flow(whole.using(run_after=LATER), "album"), ValueError),
        (lambda: Flow(whole, "album").enqueue(part, "one"), JobError),
    ]:
        with pytest.raises(error):
            wrong()
    assert not Job.objects.exists()


def test_a_flow_is_written_once(part, whole):
    with Flow(whole, "album") as flow:
        view = flow.using(if_failed="ignore")
    with pytest.raises(JobError, match="inside its with block"):
        view.enqueue(part, "late")
    with pytest.raises(JobError, match="one block"), flow:
        pass
    assert Job.objects.count() == 1


def test_an_inner_flow_that_is_rolled_back_is_no_child(part, whole, ran):
    with Flow(whole, "root") as flow:
        with undone(), flow.flow(whole, "inner") as inner:
            inner.enqueue(part, "leaf")
        flow.enqueue(part, "one")
    run_jobs()
    assert ran == ["one", "root"]
    with pytest.raises(JobError):
        flow.flow(whole, "inner").__enter__()


def test_an_async_parent_sees_its_children(part):
    @job(name="tests.awaiting")
    async def awaiting(context: JobContext) -> list[object]:
        return [child.result for child in await context.achildren()]

    with Flow("tests.awaiting") as flow:
        flow.enqueue(part, "one")
    run_jobs()
    assert flow.parent.refresh().result == ["ONE"]


def test_a_repr_says_which_flow_it_is(whole):
    with Flow(whole, "album") as flow:
        assert repr(flow) == f"<Flow tests.whole #{flow.parent.id}>"


def test_jobs_show_tells_what_a_parent_waits_for_and_what_has_failed_it(part, whole):
    def shown(handle):
        out = StringIO()
        call_command("jobs", "show", str(handle.id), stdout=out)
        return out.getvalue()

    with Flow(whole, "album") as flow:
        child = flow.enqueue(part, "bad", fails=True)
    waits = f"waits for its children: 1 of 1 have not ended, #{child.id}\n"
    assert waits in shown(flow.parent)
    assert f"child of  whole #{flow.parent.id}, waiting\n" in shown(child)
    run_jobs()
    assert "\nfailed, 2030-01-15 12:00:00\n" in shown(flow.parent)
    assert f"child of  whole #{flow.parent.id}, failed\n" in shown(child)
    assert f"child #{child.id} (part) failed: ValueError: no bad" in shown(flow.parent)
