"""Promises of `claim`."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from django_jobs.engines.base import Only
from django_jobs.models import Claim, Job
from django_jobs.states import Later, State
from tests.engines.scenes import LATER, LEASE, NOON, claim_of, job_of
from tests.factories import QueueFactory


def test_a_claimed_job_runs_under_the_new_claim(scene):
    (job_id,) = scene.enqueue(args="[1]", kwargs='{"a": 2}', priority=5, max_attempts=3)
    (job,) = scene.claim(worker="web-1")
    row, claim = job_of(job_id), claim_of(job.hold)
    assert (job.id, job.name, job.queue) == (job_id, "tests.jobs.nothing", "default")
    assert (job.args, job.kwargs, job.priority) == ("[1]", '{"a": 2}', 5)
    assert (job.attempt, job.max_attempts, job.lost_count) == (1, 3, 0)
    assert (row.state, row.claim_id, row.attempt) == (State.RUNNING, claim.pk, 1)
    assert row.started_at == NOON
    assert (claim.worker, claim.job_ids, claim.cancel_ids) == ("web-1", [job_id], [])
    assert claim.expires_at == NOON + timedelta(seconds=LEASE)


def test_bigger_priority_comes_first_then_the_older_time_then_the_id(scene):
    low = scene.enqueue(priority=-1)
    young = scene.enqueue(2, now=LATER)
    old = scene.enqueue(2)
    high = scene.enqueue(priority=9, now=LATER)
    assert [job.id for job in scene.claim()] == high + old + young + low


def test_a_claim_takes_no_more_than_it_was_asked_for(scene):
    for priority in (0, 1):
        for queue in ("a", "b"):
            scene.enqueue(5, priority=priority, queue=queue)
    jobs = scene.claim(7)
    assert len(jobs) == 7
    assert Job.objects.filter(state=State.RUNNING).count() == 7


def test_one_batch_writes_one_claim_and_an_empty_one_writes_none(scene):
    assert scene.claim() == []
    assert not Claim.objects.exists()
    ids = scene.enqueue(3)
    scene.claim()
    assert scene.claim() == []
    assert Claim.objects.get().job_ids == ids


def test_only_ready_jobs_are_claimed(scene):
    scene.enqueue(later=Later(60.0))
    cancelled = scene.enqueue()
    scene.engine.move(cancelled, State.CANCELLED, [State.READY], NOON)
    assert scene.claim() == []


def test_only_the_named_queues_are_claimed_from(scene):
    scene.enqueue(queue="a")
    (wanted,) = scene.enqueue(queue="b")
    assert [job.id for job in scene.claim(queues=["b", "nowhere"])] == [wanted]
    assert scene.claim(queues=["nowhere"]) == []


def test_only_jobs_of_certain_names_are_claimed_or_all_but_those(scene):
    one = scene.enqueue(2, name="shop.one")
    two = scene.enqueue(2, name="shop.two", now=LATER)
    urgent = scene.enqueue(name="shop.two", priority=1)
    assert scene.claim(only=Only(("shop.none",))) == []
    assert [job.id for job in scene.claim(1, only=Only(("shop.two", "shop.none")))] == urgent
    assert [job.id for job in scene.claim(only=Only(("shop.one",), but=True))] == two
    assert [job.id for job in scene.claim(only=Only((), but=True))] == one


def test_a_claim_of_certain_names_looks_no_further_than_its_window(scene, monkeypatch):
    monkeypatch.setattr(type(scene.engine), "WINDOW", 2)
    scene.enqueue(2, name="shop.one")
    near = scene.enqueue(name="shop.two", queue="mail")
    far = scene.enqueue(name="shop.two", now=LATER)
    assert [job.id for job in scene.claim(only=Only(("shop.two",)))] == near
    scene.claim(1, queues=["default"])
    assert [job.id for job in scene.claim(only=Only(("shop.two",)))] == far


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_claim_of_certain_names_passes_over_locked_jobs_without_waiting(scene, rival):
    locked, free = scene.enqueue(2)
    with rival().holding("django_jobs_job", locked):
        assert [job.id for job in scene.claim(only=Only(("tests.jobs.nothing",)))] == [free]


def test_other_queues_can_be_claimed_from_right_after(scene):
    (first,), (second,) = scene.enqueue(queue="a"), scene.enqueue(queue="b")
    assert [job.id for job in scene.claim(1, queues=["a"])] == [first]
    assert [job.id for job in scene.claim(1, queues=["b"])] == [second]


@pytest.mark.parametrize(
    ("until", "given"), [(None, False), (LATER, False), (NOON - timedelta(seconds=1), True)]
)
def test_a_paused_queue_gives_nothing_until_its_pause_is_over(scene, until, given):
    scene.enqueue(queue="default")
    QueueFactory(name="default", paused_at=NOON - timedelta(hours=1), paused_until=until)
    assert bool(scene.claim()) is given


def test_a_pause_holds_up_no_other_queue(scene):
    scene.enqueue(3, queue="a", priority=9)
    (other,) = scene.enqueue(queue="b")
    QueueFactory(name="a", paused_at=NOON)
    assert [job.id for job in scene.claim()] == [other]


def test_queues_of_equal_priority_take_turns(scene):
    for queue in ("a", "b", "c"):
        scene.enqueue(4, queue=queue)
    firsts = {scene.claim(2)[0].queue for _ in range(3)}
    assert firsts == {"a", "b", "c"}


def test_new_lanes_are_found_when_the_remembered_ones_run_dry(scene, frozen_clock):
    scene.enqueue(2, queue="a")
    assert len(scene.claim(1)) == 1
    (new,) = scene.enqueue(queue="b")
    assert len(scene.claim(1)) == 1
    assert [job.id for job in scene.claim(1)] == [new]


def test_a_more_urgent_lane_is_noticed_within_a_second(scene, frozen_clock):
    scene.enqueue(5)
    scene.claim(1)
    (urgent,) = scene.enqueue(priority=50)
    frozen_clock.advance(timedelta(seconds=1.01))
    assert [job.id for job in scene.claim(1)] == [urgent]


def test_claim_ids_only_rise_even_when_the_newest_row_is_gone(scene):
    scene.enqueue(3)
    seen = []
    for _ in range(3):
        (job,) = scene.claim(1)
        seen.append(job.claim_id)
        scene.finish(job.hold)
        assert scene.engine.close([job.claim_id]) == 1
    assert seen == sorted(set(seen))


def lost_before(job_ids):
    Job.objects.filter(pk__in=job_ids).update(lost_count=1)


def test_a_job_that_lost_its_worker_is_claimed_alone(scene):
    poison = scene.enqueue()
    lost_before(poison)
    others = scene.enqueue(3)
    assert [job.id for job in scene.claim()] == poison
    assert [job.id for job in scene.claim()] == others


def test_a_job_that_lost_its_worker_stays_behind_when_it_is_not_the_first(scene):
    first = scene.enqueue(2)
    poison = scene.enqueue()
    last = scene.enqueue(2)
    lost_before(poison)
    assert [job.id for job in scene.claim()] == first + last
    assert [job.id for job in scene.claim()] == poison


def test_without_solo_jobs_that_lost_a_worker_are_passed_over(scene):
    lost_before(scene.enqueue(3))
    sound = scene.enqueue(2)
    assert [job.id for job in scene.claim(2, solo=False)] == sound
    assert scene.claim(solo=False) == []


def test_a_poison_job_in_a_batch_of_fifty_ends_alone(scene):
    ids = scene.enqueue(50, max_lost=1)
    poison = ids[25]
    rounds = 0
    while Job.objects.filter(state=State.READY).exists():
        rounds += 1
        jobs = scene.claim(50)
        if poison in {job.id for job in jobs}:
            scene.lose()
        else:
            scene.finish(*[job.hold for job in jobs])
    states = dict(Job.objects.values_list("pk", "state"))
    assert states.pop(poison) == State.FAILED
    assert set(states.values()) == {State.SUCCESSFUL}
    assert rounds <= 52


@pytest.mark.parametrize(
    ("state", "claim_id"), [(State.RUNNING, None), (State.READY, 7)], ids=["no claim", "claim"]
)
def test_the_database_refuses_a_running_job_without_claim_and_the_reverse(scene, state, claim_id):
    ids = scene.enqueue()
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk__in=ids).update(state=state, claim_id=claim_id)


@pytest.mark.django_db(transaction=True)
def test_four_claimers_at_once_take_every_job_once(scene, rival):
    ids = scene.enqueue(300)

    open_rivals = [rival() for _ in range(4)]
    taken = []
    while open_rivals:
        futures = [each.start_verb("claim", None, 7, "w", LEASE) for each in open_rivals]
        batches = dict(zip(open_rivals, [future.result(20) for future in futures], strict=True))
        taken += [job.id for batch in batches.values() for job in batch]
        open_rivals = [each for each, batch in batches.items() if batch]
    assert sorted(taken) == ids
    assert sum(len(claim.job_ids) for claim in Claim.objects.all()) == 300


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_claim_passes_over_locked_jobs_without_waiting(scene, rival):
    first, second = scene.enqueue(2)
    other = rival()
    with other.holding("django_jobs_job", first):
        assert [job.id for job in scene.claim(1)] == [second]


HOSTILE = ("hashjoin", "mergejoin", "material", "hashagg", "sort", "memoize", "indexscan")


@pytest.mark.postgresql
@pytest.mark.parametrize("off", [HOSTILE[:5], HOSTILE, ("nestloop", "indexscan", "bitmapscan")])
def test_a_claim_keeps_its_limit_under_hostile_plans(scene, off):
    for queue in ("a", "b"):
        for priority in (0, 1):
            scene.enqueue(25, queue=queue, priority=priority)
    with connection.cursor() as cursor:
        for name in off:
            cursor.execute(f"SET LOCAL enable_{name} = off")
    jobs = scene.claim(3)
    assert [(job.priority, job.queue) for job in jobs] == [(1, jobs[0].queue)] * 3
    assert Job.objects.filter(state=State.RUNNING).count() == 3
    assert Claim.objects.get().job_ids == sorted(job.id for job in jobs)
