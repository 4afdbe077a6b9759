"""The ends of jobs: every verb that ends a watched one, or one that is heard, tells of it, once."""

import json

import pytest

from django_jobs import listeners
from django_jobs.engines.base import Finish, Hold
from django_jobs.models import Event
from django_jobs.states import RunOutcome, State
from tests.engines.rivals import DEADLINE, until, waits_for_lock
from tests.engines.scenes import (
    FAILURE,
    LATER,
    NOON,
    RETRY,
    SNOOZE,
    SUCCESS,
    SUSPENSION,
    job_of,
)
from tests.engines.waits import told
from tests.transactions import undone

NAME = "tests.jobs.nothing"


@pytest.fixture
def heard(monkeypatch):
    """Return how to let somebody listen to ends: "FAILED *"."""
    found = {}

    def in_states(states):
        return {word: data for word, data in found.items() if word.partition(" ")[0] in states}

    monkeypatch.setattr(listeners, "heard", in_states)
    return lambda *words: found.update({word: _data(word) for word in words})


def _data(word):
    return json.dumps({"listeners": [[f"tests.hears: {word}", [["queue", 'ma"il\\']]]]})


def ends():
    """Return the ends that were told, without the jobs."""
    return [end for end, _ in told()]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (SUCCESS, ["successful"]),
        (FAILURE, ["failed"]),
        (RETRY, []),
        (SNOOZE, []),
        (SUSPENSION, []),
    ],
)
def test_finish_tells_of_final_ends_of_watched_jobs(engine, scene, end, expected):
    watched, other = scene.run_one(watched=True), scene.run_one()
    told_of = scene.finish(watched, other, end=end).told
    assert ends() == expected
    assert told_of is bool(expected)
    if expected:
        (event,) = Event.objects.all()
        assert (event.job_id, event.sent_at, event.is_heard) == (watched.job_id, LATER, False)
        assert event.handed_out_at is None


@pytest.mark.parametrize("end", [RETRY, SNOOZE, SUSPENSION])
def test_finish_tells_that_a_job_which_was_asked_to_stop_is_cancelled(engine, scene, end):
    hold = scene.run_one(watched=True)
    engine.ask_to_stop([hold.job_id], NOON)
    assert scene.finish(hold, end=end).told
    assert told() == [("cancelled", hold.job_id)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], []),
        ([f"FAILED {NAME}"], ["failed"]),
        (["FAILED *"], ["failed"]),
        (["SUCCESSFUL *"], ["successful"]),
        ([f"SUCCESSFUL {NAME}", f"FAILED {NAME}", "CANCELLED *"], ["successful", "failed"]),
        (["FAILED tests.jobs.noth", "FAILED tests.jobs.nothing2"], []),
    ],
)
def test_finish_tells_of_ends_that_somebody_listens_to(engine, scene, heard, words, expected):
    heard(*words)
    good, bad = scene.run(2)
    finishes = [Finish(good, SUCCESS, 1.0), Finish(bad, FAILURE, 1.0)]
    assert engine.finish(finishes, "w1", LATER).told is bool(expected)
    assert sorted(ends()) == sorted(expected)


@pytest.mark.parametrize("end", [RETRY, SNOOZE, SUSPENSION])
def test_finish_tells_listeners_that_a_job_which_was_asked_to_stop_is_cancelled(
    engine, scene, heard, end
):
    heard("CANCELLED *")
    hold = scene.run_one()
    engine.ask_to_stop([hold.job_id], NOON)
    assert scene.finish(hold, end=end).told
    assert told() == [("cancelled", hold.job_id)]


def test_taking_tells_listeners(engine, scene, heard):
    heard(f"CANCELLED {NAME}")
    hold = scene.run_one()
    engine.take([hold.job_id], State.CANCELLED, RunOutcome.CANCELLED, LATER)
    assert told() == [("cancelled", hold.job_id)]


def test_an_end_says_who_listens_to_it(engine, scene, heard):
    heard(f"FAILED {NAME}", "FAILED *", "SUCCESSFUL *")
    heard_by_name, by_all = scene.run(2)
    unheard = scene.run_one(watched=True)
    finishes = [Finish(heard_by_name, FAILURE, 1.0), Finish(by_all, SUCCESS, 1.0)]
    engine.finish(finishes, "w1", LATER)
    engine.ask_to_stop([unheard.job_id], NOON)
    scene.finish(unheard, end=RETRY)
    found = {event.job_id: event.listeners for event in engine.take_events(10)}
    match = (("queue", 'ma"il\\'),)
    assert found == {
        heard_by_name.job_id: ((f"tests.hears: FAILED {NAME}", match),),
        by_all.job_id: (("tests.hears: SUCCESSFUL *", match),),
        unheard.job_id: (),
    }


def test_an_end_that_is_both_watched_and_heard_is_told_once(engine, scene, heard):
    heard("FAILED *", f"FAILED {NAME}")
    scene.finish(scene.run_one(watched=True), end=FAILURE)
    assert ends() == ["failed"]


def test_an_end_that_is_repeated_is_told_once(engine, scene):
    hold = scene.run_one(watched=True)
    assert scene.finish(hold).told
    again = scene.finish(hold)
    assert (again.applied, again.told) == ({hold}, False)
    assert ends() == ["successful"]


def test_a_late_end_is_not_told(engine, scene):
    hold = scene.run_one(watched=True)
    scene.lose()
    assert not scene.finish(hold).told
    (again,) = scene.claim(now=LATER)
    assert not scene.finish(hold, end=FAILURE).told
    assert ends() == []
    assert scene.finish(again.hold).told
    assert ends() == ["successful"]


def test_a_retried_job_tells_of_each_of_its_ends(engine, scene):
    hold = scene.run_one(watched=True)
    scene.finish(hold, end=FAILURE)
    engine.move([hold.job_id], State.READY, [State.FAILED], LATER)
    (again,) = scene.claim(now=LATER)
    scene.finish(again.hold)
    assert ends() == ["failed", "successful"]


def test_rescue_tells_of_those_that_were_lost_too_often_or_asked_to_stop(engine, scene, heard):
    heard(f"FAILED {NAME}")
    watched = scene.run_one(watched=True, max_lost=0)
    only_heard = scene.run_one(max_lost=0)
    stopped = scene.run_one(watched=True)
    scene.run_one(watched=True)
    engine.ask_to_stop([stopped.job_id], NOON)
    scene.lose()
    assert sorted(told()) == sorted(
        [
            ("failed", watched.job_id),
            ("failed", only_heard.job_id),
            ("cancelled", stopped.job_id),
        ]
    )


def test_an_operators_cancellation_is_told_and_a_retry_is_not(engine, scene, heard):
    heard("CANCELLED *")
    watched, other = *scene.enqueue(watched=True), *scene.enqueue()
    engine.move([watched, other], State.CANCELLED, [State.READY], LATER)
    assert sorted(told()) == [("cancelled", watched), ("cancelled", other)]
    engine.move([watched, other], State.READY, [State.CANCELLED], LATER)
    engine.move([watched], State.CANCELLED, [State.FAILED], LATER)
    assert len(told()) == 2


@pytest.mark.parametrize(
    ("to", "outcome", "expected"),
    [
        (State.CANCELLED, RunOutcome.CANCELLED, ["cancelled"]),
        (State.READY, RunOutcome.RELEASED, []),
    ],
)
def test_taking_tells_when_it_is_for_good(engine, scene, to, outcome, expected):
    watched, other = scene.run_one(watched=True), scene.run_one()
    engine.take([watched.job_id, other.job_id], to, outcome, LATER)
    assert ends() == expected


def test_release_tells_of_those_that_were_asked_to_stop(engine, scene, heard):
    heard(f"CANCELLED {NAME}")
    stopped, heard_of, back = (
        scene.run_one(watched=True),
        scene.run_one(),
        scene.run_one(watched=True),
    )
    engine.ask_to_stop([stopped.job_id, heard_of.job_id], NOON)
    engine.release([stopped, heard_of, back, Hold(back.job_id, 999)], now=LATER)
    assert sorted(told()) == [("cancelled", stopped.job_id), ("cancelled", heard_of.job_id)]


def test_a_job_is_watched_from_when_somebody_says_so(engine, scene):
    hold = scene.run_one()
    engine.watch([hold.job_id])
    assert scene.finish(hold).told


@pytest.mark.django_db(transaction=True)
def test_an_end_that_is_undone_was_not_told(engine, scene):
    hold = scene.run_one(watched=True)
    with undone():
        scene.finish(hold)
    assert ends() == []
    assert job_of(hold).state == State.RUNNING


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_one_that_is_watched_just_before_its_end_commits_is_told(engine, scene, rival):
    """The finish waits for the one who watches, and sees that it is watched."""
    hold = scene.run_one()
    worker = rival()
    with engine.transaction():
        engine.watch([hold.job_id])
        pid = worker.pid
        finishing = worker.start(lambda: _finish(worker.engine, hold))
        if type(engine).__name__ != "ORMEngine":  # which waits for no lock
            until(lambda: waits_for_lock(pid), "the finish to wait")
    if finishing.result(DEADLINE).busy:
        worker.do(lambda: _finish(worker.engine, hold))
    assert told() == [("successful", hold.job_id)]


def _finish(engine, hold):
    return engine.finish([Finish(hold, SUCCESS, 1.0)], "w1", LATER)
