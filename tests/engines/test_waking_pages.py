"""Waking very many: page after page, and nobody is left between two of them."""

import pytest

from django_jobs.engines.orm import waking
from django_jobs.models import Event, Job, Wait
from django_jobs.states import State, StepState
from tests.engines.scenes import NOON
from tests.engines.waits import (
    PAID,
    hand_out,
    pending_events,
    sent,
    step_of,
    suspended,
    wait_for,
    waits,
)


@pytest.fixture
def small_page(monkeypatch):
    """Let one call wake three jobs at most."""
    monkeypatch.setattr(waking, "PAGE", 3)


@pytest.mark.usefixtures("small_page")
def test_very_many_waits_are_ended_over_several_calls(engine, scene):
    holds = suspended(scene, 8)
    event = sent(engine)
    first = hand_out(engine)
    assert (first.ended, first.done) == (3, frozenset())
    assert pending_events() == [event]
    calls = 1
    while event in pending_events():
        assert calls < 5
        hand_out(engine)
        calls += 1
    assert not waits()
    assert {step_of(hold).state for hold in holds} == {StepState.DONE}
    assert Event.objects.get().woken == 8


@pytest.mark.usefixtures("small_page")
def test_those_that_wait_again_after_an_event_keep_it_from_nobody(engine, scene):
    """Woken jobs come around fast: they wait again before the last of many has been woken."""
    suspended(scene, 8)
    event = sent(engine)
    for wait in Wait.objects.order_by("job_id")[:5]:
        wait.had = [event]
        wait.save()
    for _ in range(4):
        hand_out(engine)
    assert pending_events() == []
    assert Job.objects.filter(state=State.READY).count() == 3
    assert Wait.objects.count() == 5


def test_more_than_a_thousand_jobs_are_woken_by_one_event(engine, scene):
    holds = suspended(scene, 3)
    template = Job.objects.get(pk=holds[0].job_id)
    jobs = Job.objects.bulk_create(
        Job(
            name=template.name,
            queue=template.queue,
            run_at=template.run_at,
            enqueued_at=NOON,
            state=State.WAITING,
            waiting_for=template.waiting_for,
        )
        for _ in range(2100)
    )
    match = wait_for().match
    Wait.objects.bulk_create(
        Wait(
            job_id=job.pk,
            key="payment",
            event=PAID,
            fields=match.fields,
            digest=match.digest,
            since=NOON,
        )
        for job in jobs
    )
    event = sent(engine)
    ended = []
    while pending_events():
        assert len(ended) < 5
        ended.append(hand_out(engine).ended)
    assert (sum(ended), max(ended)) == (2103, 1000)
    assert Job.objects.filter(state=State.READY).count() == 2103
    assert Event.objects.get(pk=event).woken == 2103


def test_a_wait_that_goes_meanwhile_makes_no_page_look_like_the_last(engine, scene, monkeypatch):
    monkeypatch.setattr(waking, "PAGE", 3)
    holds = suspended(scene, 8)
    event = sent(engine)
    still_there = type(engine)._still_there

    def lose_one(self, found):
        monkeypatch.setattr(type(engine), "_still_there", still_there)
        Wait.objects.filter(job_id=holds[1].job_id).delete()
        return still_there(self, found)

    monkeypatch.setattr(type(engine), "_still_there", lose_one)
    for _ in range(6):
        hand_out(engine)
    assert pending_events() == []
    assert not waits()
    assert Event.objects.get(pk=event).woken == 7
