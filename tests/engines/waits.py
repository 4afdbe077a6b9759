"""What tests of events do with an engine: jobs that wait in a step, events, deliveries."""

import json

from django_jobs.engines.events import Delivery, NewEvent, WaitFor
from django_jobs.engines.steps import StepRecord
from django_jobs.models import Event, JobStep, Wait
from django_jobs.states import Later, StepState, Suspended, after_run
from django_jobs.subscriptions import FINISHED, Match, pairs
from tests.engines.scenes import LATER, NOON

PAID = "order/paid"
ENDLESS = after_run(Suspended(Later(3600.0), f"event {PAID}"))


def wait_for(name=PAID, *, child=None, had=(), **match):
    """Return what a step waits for."""
    if child is not None:
        return WaitFor(FINISHED, Match.of([("job_id", child)]), child)
    return WaitFor(name, Match.of(pairs(match)), had=tuple(had))


def begin_wait(scene, hold, wait=None, *, key="payment", now=NOON):
    """Let a step of a running job wait."""
    step = StepRecord(key, 1, StepState.WAITING, wake=Later(3600.0))
    assert scene.engine.save_step(hold, step, first=True, now=now) is not None
    scene.engine.add_wait(hold.job_id, key, wait or wait_for(), now=now)


def suspended(scene, count=1, wait=None, **fields):
    """Return the holds that jobs had which wait in a step now."""
    holds = scene.run(count, **fields)
    for hold in holds:
        begin_wait(scene, hold, wait)
    scene.finish(*holds, end=ENDLESS, now=NOON)
    return holds


def sent(engine, name=PAID, *, key=None, now=LATER, **data):
    """Send an event; return its id."""
    return engine.insert_event(NewEvent(name, json.dumps(data), key), now).event_id


def hand_out(engine, limit=100, now=LATER):
    """Do what the relay does with the events of others; return what `wake` says."""
    with engine.transaction():
        events = engine.take_events(limit)
        found = [Delivery(event, json.dumps({"id": event.id})) for event in events]
        woken = engine.wake(found, now)
        engine.put_away(woken.done, now)
    return woken


def pending_events():
    """Return the numbers of the events that are still to be handed out."""
    return list(
        Event.objects.filter(handed_out_at=None).order_by("pk").values_list("pk", flat=True)
    )


def told():
    """Return (event, job) of each end that was told."""
    rows = Event.objects.filter(job_id__isnull=False).order_by("pk")
    return [(row.name.rpartition(".")[2], row.job_id) for row in rows]


def step_of(hold, key="payment"):
    """Return a step's row."""
    return JobStep.objects.get(job_id=hold.job_id, key=key)


def waits():
    """Return the jobs that wait."""
    return set(Wait.objects.values_list("job_id", flat=True))


def cancelled_by(scene, count=1, *, run=True, **fields):
    """Return jobs that "order/paid" cancels, running ones or such that have not begun."""
    if run:
        ids = [hold.job_id for hold in scene.run(count, **fields)]
    else:
        ids = scene.enqueue(count, **fields)
    for job_id in ids:
        scene.engine.let_cancel(job_id, [wait_for()], NOON)
    return ids
