"""Events, waits and invoked jobs while senders race and workers are killed: nobody waits in vain."""

import importlib
import random
import threading
import time
from collections import Counter

import pytest
from django.db import connections, transaction

from django_jobs import enqueue_many, operations, registry, send_event
from django_jobs.models import Event, Job, JobRun, JobStep, Wait
from django_jobs.states import RunOutcome, State, StepState
from tests.crash.conditions import say, seconds_since, until
from tests.crash.conftest import PROFILE
from tests.crash.invariants import drained, unfinished
from tests.crash.jobs import ask_all, await_word, count_on, overhear
from tests.crash.processes import kill

JOBS = 200
SENDERS = 8
PARENTS = 20
CHILDREN = 5
KILLS = 5
ENDS = 300


@pytest.fixture
def newer():
    """Let this process, which sends and cancels, have the newer code; workers have the older."""
    module = importlib.import_module("tests.crash.newer")
    registry.register(module.mourn)
    yield
    registry.unregister(module.mourn.name)


@pytest.mark.parametrize("kills", [0, KILLS])
def test_each_job_is_woken_once_whenever_its_event_is_sent(workers, ledger, profile, kills):
    """Before the wait, at the same time, after it, twice, and rolled back, by many at once."""
    profile(MAX_LOST=100)
    tree = workers("--processes", "2", "--threads", "4").ready(2)
    began = time.monotonic()
    early, late = range(JOBS // 4), range(JOBS // 4, JOBS)
    _send_all(early)
    handles = enqueue_many(await_word, [(number,) for number in range(JOBS)])
    killer = _killing(tree, kills, random.Random(kills), lambda: len(ledger.begins()))
    _send_all(late)
    until(drained, within=60.0, what=unfinished)
    killed = killer()
    say(f"{JOBS} jobs in {seconds_since(began):.1f} s beside {killed} kills; {_calls(ledger)}")
    _check_every_job_had_its_word({handle.id for handle in handles})
    _check_every_word_was_overheard()
    if kills:
        assert killed > 1


def test_an_event_wakes_all_that_wait_for_it_though_workers_are_killed(workers, ledger, profile):
    profile(MAX_LOST=100)
    tree = workers("--processes", "2", "--threads", "4").ready(2)
    handles = enqueue_many(await_word, [(7,)] * JOBS)
    until(lambda: _count(State.WAITING) == JOBS, what=unfinished)
    killer = _killing(tree, KILLS, random.Random(5), lambda: len(ledger.ends()))
    began = time.monotonic()
    sent = send_event("word", {"number": 7})
    until(drained, within=60.0, what=unfinished)
    say(f"{JOBS} jobs by one event in {seconds_since(began):.1f} s beside {killer()} kills")
    _check_every_job_had_its_word({handle.id for handle in handles})
    assert Event.objects.get(pk=sent.id).woken == JOBS
    assert set(_results(await_word)) == {sent.id}


def test_each_parent_has_its_childrens_results_once_though_workers_are_killed(
    workers, ledger, profile
):
    profile(MAX_LOST=100)
    tree = workers("--processes", "2", "--threads", "2").ready(2)
    began = time.monotonic()
    enqueue_many(ask_all, [(number, CHILDREN) for number in range(PARENTS)])
    killer = _killing(tree, KILLS, random.Random(3), lambda: len(ledger.begins()))
    until(drained, within=60.0, what=unfinished)
    killed = killer()
    took = seconds_since(began)
    say(f"{PARENTS} parents, {PARENTS * CHILDREN} children in {took:.1f} s beside {killed} kills")
    assert killed > 1
    assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCESSFUL}
    calls = Counter(tuple(job.args) for job in Job.objects.filter(name=count_on.name))
    assert calls == Counter((10 * n, one) for n in range(PARENTS) for one in range(CHILDREN))
    expected = [[10 * n + one for one in range(CHILDREN)] for n in range(PARENTS)]
    assert sorted(_results(ask_all)) == expected
    _check_nothing_waits()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_burst_ends_when_no_event_is_left_to_hand_out(workers, ledger, processes):
    enqueue_many(await_word, [(number,) for number in range(20)])
    assert workers("--burst", "--processes", processes).exit_code() == 0
    assert _count(State.WAITING) == 20
    _send_all(range(20), senders=2)
    assert workers("--burst", "--processes", processes).exit_code() == 0
    assert drained(), unfinished()
    _check_nothing_waits()


def test_older_workers_lose_no_listener_to_an_end(workers, ledger, profile, newer):
    """They hand ends out as well, and do not know the job that is to be started."""
    older = [workers("--queues", "older").ready() for _ in range(2)]
    ids = [handle.id for handle in enqueue_many(count_on.using(queue="newer"), [(0, 0)] * ENDS)]
    operations.cancel(ids)
    until(lambda: any("which this worker does not know" in each.text() for each in older))
    assert not ledger.begins()
    profile(AUTODISCOVER=[*PROFILE["AUTODISCOVER"], "crash.newer"])
    workers("--queues", "default").ready()
    until(lambda: len(ledger.ends()) >= ENDS, within=60.0, what=unfinished)
    _check_nothing_waits()
    assert sorted(end.job_id for end in ledger.ends()) == sorted(ids)


def _send_all(numbers, senders=SENDERS):
    """Send each number once by senders that race; some twice with an id, some undone before."""
    errors = []
    threads = [
        threading.Thread(target=_send, args=(numbers[first::senders], errors))
        for first in range(senders)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def _send(numbers, errors):
    try:
        for number in numbers:
            if number % 5 == 0:
                _send_and_undo(number)
            for _ in range(2 if number % 7 == 0 else 1):
                send_event("word", {"number": number}, id=str(number))
    except Exception as error:  # noqa: BLE001 - the other senders go on
        errors.append(error)
    finally:
        connections.close_all()


def _send_and_undo(number):
    with transaction.atomic():
        send_event("word", {"number": number}, id=str(number))
        transaction.set_rollback(True)


def _killing(tree, most, dice, progress):
    """Kill children in a thread as the work goes on; return a function that ends it and counts."""
    over, count = threading.Event(), [0]

    def run():
        seen = progress()
        while count[0] < most and not over.is_set():
            goal = seen + dice.randrange(2, 25)
            while progress() < goal and not over.is_set():
                over.wait(0.02)
            seen = progress()
            count[0] += sum(kill(pid) for pid in tree.children()[:1])

    thread = threading.Thread(target=run)
    thread.start()

    def stop():
        over.set()
        thread.join()
        return count[0]

    return stop


def _check_every_job_had_its_word(ids):
    rows = dict(Job.objects.filter(pk__in=ids).values_list("pk", "state"))
    assert rows == dict.fromkeys(ids, State.SUCCESSFUL)
    runs = JobRun.objects.filter(job__in=ids, outcome=RunOutcome.SUCCESSFUL)
    results = dict(runs.values_list("job_id", "result"))
    assert len(results) == runs.count() == len(ids)
    words = {event.pk: event for event in Event.objects.filter(is_repeated=False)}
    assert set(results.values()) <= set(words)  # each the right one: the job has compared
    steps = Counter(JobStep.objects.filter(job_id__in=ids).values_list("key", "state"))
    assert steps == {("word", StepState.DONE): len(ids), ("answer", StepState.DONE): len(ids)}
    _check_nothing_waits()


def _check_every_word_was_overheard():
    words = Event.objects.filter(name="word", is_repeated=False)
    assert words.count() == JOBS
    heard = Job.objects.filter(name=overhear.name)
    started = [job_id for word in words for job_id in word.started]
    assert sorted(started) == sorted(heard.values_list("pk", flat=True))
    assert heard.count() == JOBS
    assert set(heard.values_list("state", flat=True)) == {State.SUCCESSFUL}


def _check_nothing_waits():
    assert not Wait.objects.exists()
    assert not Event.objects.exclude(problem="").exists()
    until(lambda: not Event.objects.filter(handed_out_at=None).exists())


def _results(definition):
    runs = JobRun.objects.filter(job__name=definition.name, outcome=RunOutcome.SUCCESSFUL)
    return list(runs.values_list("result", flat=True))


def _count(state):
    return Job.objects.filter(name=await_word.name, state=state).count()


def _calls(ledger):
    return f"{len(ledger.begins())} begins, {len(ledger.ends())} ends"
