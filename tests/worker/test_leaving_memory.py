"""What a run leaves in memory: nothing that only the garbage collector would find."""

import asyncio
import gc
import weakref

import pytest

from django_jobs import JobContext, job
from django_jobs.context import Ask
from django_jobs.steps import Interruption
from django_jobs.worker.execution import make_context, run_async, run_sync
from tests.worker.making import claimed


@pytest.fixture
def no_collector():
    """Let nothing be found that only the garbage collector would find."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@job(name="tests.plain")
def plain(): ...


@job(name="tests.talks")
def talks(context: JobContext):
    context.progress(1)
    context.log("one")
    assert not context.should_stop()


@job(name="tests.plain_async")
async def plain_async(): ...


@job(name="tests.talks_async", timeout=20)
async def talks_async(context: JobContext):
    context.log("one")
    await asyncio.sleep(0)


def context_after(definition):
    """Run a job as a worker does, and return a weak reference to its context."""
    one = claimed(name=definition.name)
    context = make_context(one)
    left = weakref.ref(context)
    if definition.is_async:
        asyncio.run(run_async(one, context))
    else:
        run_sync(one, context)
    return left


@pytest.mark.parametrize("definition", [plain, talks, plain_async, talks_async])
def test_a_context_is_gone_with_its_run(definition, no_collector):
    assert context_after(definition)() is None


def test_steps_that_are_first_asked_for_when_the_run_is_over_are_refused():
    context = make_context(claimed())
    assert context.end_steps() is None
    with pytest.raises(Interruption):
        context.step.run("late", int)


def test_nobody_hears_that_a_run_is_to_stop_which_has_ended():
    heard = []
    context = make_context(claimed())
    context.on_tell(heard.append)
    context.settle()
    context.tell(Ask.CANCEL)
    assert heard == []
    assert context.ask is Ask.CANCEL
