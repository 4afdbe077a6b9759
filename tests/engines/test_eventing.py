"""Events on record: written with their sender, once per key and day, found, given up, pruned."""

from datetime import timedelta

import pytest
from django.test.utils import CaptureQueriesContext

from django_jobs.engines.events import NewEvent
from django_jobs.engines.orm import eventing
from django_jobs.models import Event, EventKey, Job, Wait
from django_jobs.states import State
from django_jobs.subscriptions import FINISHED
from tests.engines.rivals import DEADLINE, until, waits_for_lock
from tests.engines.scenes import FAILURE, LATER, NOON, RETRY
from tests.engines.waits import (
    PAID,
    hand_out,
    pending_events,
    sent,
    suspended,
    told,
    wait_for,
    waits,
)
from tests.transactions import undone

DAY = timedelta(days=1)
committed = pytest.mark.django_db(transaction=True)


def test_an_event_is_written_as_it_is_and_is_to_be_handed_out(engine, db):
    answer = engine.insert_event(NewEvent(PAID, '{"sum":"9.90"}'), NOON)
    assert (answer.fresh, answer.sent_at) == (True, NOON)
    with engine.transaction():
        (event,) = engine.take_events(10)
    assert (event.id, event.name, event.data) == (answer.event_id, PAID, {"sum": "9.90"})
    assert (event.sent_at, event.job_id, event.is_heard) == (NOON, None, True)


@committed
def test_an_event_goes_with_the_transaction_it_was_sent_in(engine):
    with undone():
        sent(engine, key="17")
    assert not Event.objects.exists()
    assert engine.insert_event(NewEvent(PAID, key="17"), NOON).fresh


def test_a_key_counts_once_a_day_and_for_one_name(engine, db):
    def fresh(name=PAID, key="17", after=timedelta()):
        return engine.insert_event(NewEvent(name, key=key), NOON + after).fresh

    assert [fresh(), fresh(), fresh("order/sent"), fresh(key="18")] == [True, False, True, True]
    assert not fresh(after=DAY - timedelta(microseconds=1))
    assert fresh(after=DAY)
    assert not fresh(after=2 * DAY - timedelta(seconds=1))
    assert fresh(after=2 * DAY)
    repeated = Event.objects.filter(is_repeated=True)
    assert repeated.count() == 3
    assert not repeated.filter(handed_out_at=None).exists()


def test_the_oldest_events_are_taken_first_and_behind_a_number_only_later_ones(engine, db):
    ids = [sent(engine) for _ in range(5)]
    with engine.transaction():
        assert [event.id for event in engine.take_events(3)] == ids[:3]
        assert [event.id for event in engine.take_events(3, ids[2])] == ids[3:]
        assert engine.take_events(3, ids[4]) == []


def test_what_is_handed_out_or_given_up_is_not_taken_again(engine, db):
    done, hopeless, left = (sent(engine) for _ in range(3))
    engine.put_away([done], LATER)
    engine.give_up(hopeless, "ValueError: no", LATER)
    assert pending_events() == [left]
    row = Event.objects.get(pk=hopeless)
    assert (row.problem, row.handed_out_at) == ("ValueError: no", LATER)


def test_why_an_event_was_given_up_may_be_any_text(engine, db):
    hopeless = sent(engine)
    engine.give_up(hopeless, "ValueError: \x00\ud800", LATER)
    assert Event.objects.get(pk=hopeless).problem == "ValueError: \N{REPLACEMENT CHARACTER}?"


def test_an_end_that_neither_started_nor_woke_anything_is_not_kept(engine, scene):
    hold = scene.run_one(watched=True)
    scene.finish(hold)
    other = sent(engine)
    assert hand_out(engine).ended == 0
    assert list(Event.objects.values_list("pk", flat=True)) == [other]


def test_a_wait_of_one_key_is_written_once(engine, scene):
    hold = scene.run_one()
    engine.add_wait(hold.job_id, "step", wait_for(a=1), now=NOON)
    engine.add_wait(hold.job_id, "step", wait_for("other"), now=LATER)
    (wait,) = Wait.objects.all()
    assert (wait.event, wait.since) == (PAID, NOON)
    engine.forget_wait(hold.job_id, "step")
    assert not waits()


def test_looking_back_finds_the_oldest_that_fits_and_was_not_had(engine, db, monkeypatch):
    monkeypatch.setattr(eventing, "BLOCK", 2)
    at = [NOON + timedelta(minutes=number) for number in range(8)]
    ids = [sent(engine, now=instant, even=number % 2 == 0) for number, instant in enumerate(at)]
    sent(engine, "order/sent", now=at[0], even=False)
    engine.insert_event(NewEvent(PAID, '{"even":false}', "k"), at[0])
    repeat = engine.insert_event(NewEvent(PAID, '{"even":false}', "k"), at[0]).event_id

    def found(since, *had):
        event = engine.find_event(wait_for(had=had, even=False), since)
        return event and event.id

    assert found(at[1]) == ids[1]
    assert found(at[1], ids[1], ids[3]) == ids[5]
    assert found(at[6]) == ids[7]
    assert found(at[7] + timedelta(seconds=1)) is None
    assert found(at[0]) != repeat


@pytest.mark.postgresql
@committed
def test_looking_back_uses_no_cursor_that_a_pooler_would_lose(engine):
    sent(engine)
    with CaptureQueriesContext(engine.connection) as queries:
        engine.find_event(wait_for(), NOON)
    assert not [query for query in queries if "CURSOR" in query["sql"].upper()]
    assert len(queries) == 1


def test_how_jobs_have_ended_comes_with_their_newest_run(engine, scene):
    ids = {
        "good": scene.run_one(),
        "bad": scene.run_one(),
    }
    scene.finish(ids["good"])
    scene.finish(ids["bad"], end=RETRY)
    engine.promote(10, LATER + DAY)
    (again,) = scene.claim(now=LATER + DAY)
    scene.finish(again.hold, end=FAILURE, now=LATER + DAY)
    ends = engine.ends_of([ids["good"].job_id, ids["bad"].job_id, 999_999])
    assert len(ends) == 2
    assert ends[ids["good"].job_id].state is State.SUCCESSFUL
    end = ends[ids["bad"].job_id]
    assert (end.state, end.error_type, end.error, end.attempt) == (
        State.FAILED,
        "ValueError",
        "no such user",
        2,
    )


def test_forgotten_ends_are_told_again_and_no_others(engine, scene):
    parent = scene.run_one()
    ended, live, deleted, pending, young = scene.enqueue(5)
    for job_id in (ended, pending, young):
        engine.move([job_id], State.CANCELLED, [State.READY], NOON)
    Job.objects.filter(pk=deleted).delete()
    for name, child in {"ended": ended, "live": live, "gone": deleted, "pending": pending}.items():
        engine.add_wait(parent.job_id, name, wait_for(child=child), now=NOON)
    engine.add_wait(parent.job_id, "young", wait_for(child=young), now=LATER)
    Event.objects.create(name="django_jobs/job.cancelled", job_id=pending, sent_at=NOON)
    assert engine.forgotten_ends(LATER, 100) == 2
    assert told() == [("cancelled", pending), ("cancelled", ended), ("cancelled", deleted)]
    assert engine.forgotten_ends(LATER, 100) == 0
    assert FINISHED in {wait.event for wait in Wait.objects.all()}


def test_old_events_and_keys_are_pruned_but_nothing_that_is_pending(engine, db):
    old = [sent(engine, now=NOON, key=f"old {number}") for number in range(4)]
    new = sent(engine, now=NOON + DAY, key="new")
    engine.put_away([*old[1:], new], NOON)
    assert engine.prune_events(NOON + DAY, NOON + DAY, 100) == 7
    assert set(Event.objects.values_list("pk", flat=True)) == {old[0], new}
    assert [key.key for key in EventKey.objects.all()] == ["new"]
    assert engine.prune_events(NOON + DAY, NOON + DAY, 100) == 0


def test_pruning_looks_at_no_more_events_than_it_is_told_to(engine, db):
    ids = [sent(engine, now=NOON) for _ in range(5)]
    engine.put_away(ids, NOON)
    assert engine.prune_events(NOON + DAY, NOON, 2) == 2
    assert set(Event.objects.values_list("pk", flat=True)) == set(ids[2:])


@pytest.mark.postgresql
@committed
@pytest.mark.parametrize("age", [None, DAY])
@pytest.mark.parametrize("fate", ["commit", "rollback"])
def test_of_two_senders_of_a_key_the_second_waits_for_the_first(engine, rival, age, fate):
    """Also when the key was seen a day ago, and its row is there."""
    if age is not None:
        sent(engine, key="17", now=NOON)
    first, second = rival(), rival()
    first.begin()
    assert first.verb("insert_event", NewEvent(PAID, key="17"), NOON + DAY).fresh
    pid = second.pid
    sending = second.start_verb("insert_event", NewEvent(PAID, key="17"), NOON + DAY)
    until(lambda: waits_for_lock(pid), "the second sender to wait")
    getattr(first, fate)()
    assert sending.result(DEADLINE).fresh is (fate == "rollback")
    assert Event.objects.filter(is_repeated=False, sent_at=NOON + DAY).count() == 1


@pytest.mark.postgresql
@committed
def test_events_that_another_relay_has_are_not_waited_for(engine, rival, scene):
    suspended(scene)
    first, second = sent(engine), sent(engine)
    with rival().holding("django_jobs_event", first):
        assert hand_out(engine).done == {second}
    assert pending_events() == [first]
