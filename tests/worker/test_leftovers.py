"""What a job leaves behind in its thread does not reach the next one."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction
from django.utils import translation

from django_jobs import enqueue, job
from django_jobs.models import Job, JobRun
from django_jobs.states import State


@pytest.fixture
def one(bench):
    """A coordinator with one thread, so that one job runs after the other in it."""
    return bench(threads=1)


@pytest.mark.parametrize("alias", ["default", "other"])
@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_transaction_that_was_left_open_swallows_nothing_of_the_next_job(one, alias):
    @job(name="tests.careless")
    def careless():
        transaction.atomic(using=alias).__enter__()
        Group.objects.using(alias).create(name="rolled back")

    @job(name="tests.careful")
    def careful():
        Group.objects.using(alias).create(name="kept")

    bad = enqueue(careless)
    one.drain()
    good = enqueue(careful)
    one.drain()
    assert good.refresh().status is State.SUCCESSFUL
    assert list(Group.objects.using(alias).values_list("name", flat=True)) == ["kept"]
    assert bad.refresh().status is State.FAILED
    text = JobRun.objects.get(job_id=bad.id).error_text
    assert f"returned inside a transaction on {alias}" in text


@pytest.mark.usefixtures("own_connections")
def test_a_failure_inside_a_transaction_that_was_left_open_stays_what_it_is(one):
    @job(name="tests.careless", max_attempts=1)
    def careless():
        transaction.atomic().__enter__()
        raise ValueError("no")

    enqueue(careless)
    one.drain()
    assert JobRun.objects.get().error_type == "ValueError"


def test_a_language_that_a_job_activates_ends_with_it(one):
    seen = []

    @job(name="tests.german")
    def german():
        translation.activate("de")
        seen.append(translation.get_language())

    @job(name="tests.any")
    def other():
        seen.append(translation.get_language())

    enqueue(german)
    one.drain()
    enqueue(other)
    one.drain()
    assert seen == ["de", "en-us"]


def test_nobody_collects_queries_in_debug_mode(one, settings):
    settings.DEBUG = True
    seen = []

    @job(name="tests.asks")
    def asks():
        seen.append(len(connections["default"].queries_log))
        Job.objects.count()

    for _ in range(3):
        enqueue(asks)
        one.drain()
    assert seen == [0, 0, 0]
    assert connection.queries_log.maxlen == 0  # the coordinator's, which runs in this thread
