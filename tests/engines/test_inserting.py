"""Promises of `insert`."""

from datetime import timedelta

import pytest
from django.db import transaction

from django_jobs.engines.base import NewJob
from django_jobs.models import Job
from django_jobs.states import Later, State
from tests.engines.scenes import NOON

SOON = NOON + timedelta(minutes=5)
ORIGIN = "view=shop:checkout request=7f3a user=ana"
HOSTILE = "user={NULL}\"'\\,\u00e4<script>\u2713%s"
AWKWARD = '["a\\"b", "c\\\\d", "{x,y}", "NULL", "", "\u00e4\u2713\U0001f600", "%s %% \'"]'


def new(**fields):
    return NewJob(**{"name": "tests.jobs.nothing", "queue": "default", **fields})


def test_a_job_without_a_time_is_ready_at_once(engine):
    (inserted,) = engine.insert([new(max_attempts=7, max_lost=1, priority=-3)], NOON)
    job = Job.objects.get(pk=inserted.job_id)
    assert inserted.created
    assert (job.state, job.run_at, job.enqueued_at) == (State.READY, NOON, NOON)
    assert (job.max_attempts, job.max_lost, job.priority) == (7, 1, -3)
    assert (job.attempt, job.lost_count, job.claim_id, job.fingerprint) == (0, 0, None, "")


def test_the_clock_of_the_database_is_used_when_no_instant_is_given(engine):
    ids = [engine.insert([new()])[0].job_id, engine.insert([new(), new()])[1].job_id]
    for job in Job.objects.filter(pk__in=ids):
        assert job.run_at == job.enqueued_at
        assert job.run_at != NOON


@pytest.mark.parametrize(
    ("later", "state", "run_at"),
    [
        (Later(instant=SOON), State.SCHEDULED, SOON),
        (Later(instant=NOON - timedelta(days=1)), State.READY, NOON - timedelta(days=1)),
        (Later(300.0), State.SCHEDULED, SOON),
        (Later(0.0), State.READY, NOON),
    ],
    ids=["instant ahead", "instant past", "seconds", "no seconds"],
)
def test_a_job_with_a_time_is_scheduled_while_that_lies_ahead(engine, later, state, run_at):
    (inserted,) = engine.insert([new(later=later)], NOON)
    job = Job.objects.get(pk=inserted.job_id)
    assert (job.state, job.run_at) == (state, run_at)


def test_an_empty_batch_inserts_nothing(engine):
    assert engine.insert([], NOON) == []


def test_ids_of_a_large_batch_come_in_the_order_of_its_jobs(engine):
    inserted = engine.insert([new(name=f"job{number}") for number in range(2100)], NOON)
    ids = [one.job_id for one in inserted]
    assert ids == sorted(set(ids))
    names = dict(Job.objects.values_list("pk", "name"))
    assert [names[pk] for pk in ids] == [f"job{number}" for number in range(2100)]


def test_a_rolled_back_savepoint_leaves_no_job(engine):
    with transaction.atomic():
        engine.insert([new()], NOON)
        transaction.set_rollback(True)
    assert not Job.objects.exists()


def test_arguments_arrive_as_they_were_given(engine):
    kwargs = '{"k\\"ey": {"nested": [1, 2.5, null, true]}}'
    engine.insert([new(args=AWKWARD, kwargs=kwargs)], NOON)
    engine.insert([new(args=AWKWARD, kwargs=kwargs)] * 2, NOON)
    assert Job.objects.count() == 3
    for job in Job.objects.all():
        assert job.args == ['a"b', "c\\d", "{x,y}", "NULL", "", "\u00e4\u2713\U0001f600", "%s %% '"]
        assert job.kwargs == {'k"ey': {"nested": [1, 2.5, None, True]}}


def test_a_taken_unique_key_inserts_nothing_and_names_the_live_job(engine):
    (first,) = engine.insert([new(unique_key="k")], NOON)
    (second,) = engine.insert([new(unique_key="k")], NOON)
    assert (first.created, second.created) == (True, False)
    assert second.job_id == first.job_id
    assert Job.objects.count() == 1


def test_a_unique_key_is_respected_within_one_batch(engine):
    keys = ["a", None, "a", "b", None, "b"]
    inserted = engine.insert([new(unique_key=key) for key in keys], NOON)
    assert [one.created for one in inserted] == [True, True, False, True, True, False]
    assert inserted[2].job_id == inserted[0].job_id
    assert inserted[5].job_id == inserted[3].job_id


def test_a_unique_key_is_free_again_when_its_job_has_ended(engine):
    (first,) = engine.insert([new(unique_key="k")], NOON)
    engine.move([first.job_id], State.CANCELLED, [State.READY], NOON)
    (second,) = engine.insert([new(unique_key="k")], NOON)
    assert second.created
    assert second.job_id != first.job_id


@pytest.mark.django_db(transaction=True)
def test_a_unique_key_wanted_by_eight_sessions_makes_one_job(engine, rival):
    rivals = [rival() for _ in range(8)]
    futures = [each.start_verb("insert", [new(unique_key="k")] * 3) for each in rivals]
    results = [one for future in futures for one in future.result(20)]
    assert sum(one.created for one in results) == 1
    assert {one.job_id for one in results} == {Job.objects.get().pk}


@pytest.mark.django_db(transaction=True)
def test_a_job_is_invisible_until_its_transaction_commits(engine, rival):
    other = rival()
    with transaction.atomic():
        engine.insert([new()])
        assert other.do(Job.objects.count) == 0
    assert other.do(Job.objects.count) == 1


@pytest.mark.parametrize("more", [{}, {"unique_key": "k"}, {"later": Later(300.0)}], ids=str)
def test_the_row_a_job_is_about_is_kept(engine, more):
    engine.insert([new(about="tests.purchase:7", **more)])
    engine.insert([new(about="tests.purchase:ä:'8", watched=True), new()], NOON)
    found = list(Job.objects.order_by("id").values_list("about", flat=True))
    assert found == ["tests.purchase:7", "tests.purchase:ä:'8", None]


@pytest.mark.parametrize("more", [{}, {"unique_key": "k"}, {"later": Later(300.0)}], ids=str)
def test_who_enqueued_a_job_is_kept(engine, more):
    engine.insert([new(enqueued_by=ORIGIN, **more)])
    engine.insert([new(enqueued_by=HOSTILE, watched=True), new()], NOON)
    engine.insert([new(), new(enqueued_by=ORIGIN)])
    engine.insert([new(), new()])
    found = list(Job.objects.order_by("id").values_list("enqueued_by", flat=True))
    assert found == [ORIGIN, HOSTILE, None, None, ORIGIN, None, None]


def test_who_enqueued_a_job_stands_in_the_row_of_the_same_job_of_a_long_list(engine):
    inserted = engine.insert([new(), *[new(enqueued_by=f"user={n}") for n in range(1_100)], new()])
    found = Job.objects.in_bulk([one.job_id for one in inserted])
    texts = [found[one.job_id].enqueued_by for one in inserted]
    assert texts == [None, *[f"user={number}" for number in range(1_100)], None]


def test_a_taken_unique_key_leaves_the_one_who_was_first(engine):
    engine.insert([new(unique_key="k", enqueued_by="user=ana")])
    (second,) = engine.insert([new(unique_key="k", enqueued_by="user=bob")])
    assert (second.created, Job.objects.get().enqueued_by) == (False, "user=ana")


def test_a_retried_job_still_says_who_enqueued_it(engine):
    (inserted,) = engine.insert([new(enqueued_by=ORIGIN)], NOON)
    engine.move([inserted.job_id], State.CANCELLED, [State.READY], NOON)
    engine.move([inserted.job_id], State.READY, [State.CANCELLED], NOON)
    assert Job.objects.get(pk=inserted.job_id).enqueued_by == ORIGIN


def test_a_retried_job_is_about_the_same_row(engine):
    (inserted,) = engine.insert([new(about="tests.purchase:7")], NOON)
    engine.move([inserted.job_id], State.CANCELLED, [State.READY], NOON)
    engine.move([inserted.job_id], State.READY, [State.CANCELLED], NOON)
    job = Job.objects.get(pk=inserted.job_id)
    assert (job.state, job.about) == (State.READY, "tests.purchase:7")
