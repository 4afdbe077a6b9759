"""An operation whose pages fail: the others go on beside it, and it is given up with the reason."""

import pytest
from django.db import OperationalError
from django.utils import timezone

from django_jobs import bulk, clock
from django_jobs.bulk.working import PageFailed
from django_jobs.engines import get_engine
from django_jobs.models import BulkOperation, Job
from django_jobs.searching.terms import split
from django_jobs.services import BulkWorker
from django_jobs.services.bulk import TRIES
from django_jobs.states import State
from tests.factories import JobFactory
from tests.services.test_bulk import doing, start, states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("frozen_clock")]


@pytest.fixture
def engine():
    return get_engine("default")


@pytest.fixture
def failing(monkeypatch):
    """Let every retry fail, and tell how often."""
    calls = []

    def fail(ids):
        calls.append(list(ids))
        Job.objects.filter(pk__in=ids).update(state=State.READY, finished_at=None)
        raise RuntimeError("password=abcdef is wrong\nand more of it")

    doing(monkeypatch, fail)
    return calls


@pytest.mark.usefixtures("failing")
def test_the_others_go_on_beside_one_that_fails(engine):
    JobFactory(failed=True)
    JobFactory(successful=True)
    one, other = start(), start("delete", "state:successful")
    BulkWorker().run(engine)
    one.refresh_from_db()
    other.refresh_from_db()
    assert (one.finished_at, other.done) == (None, 1)
    assert states() == [State.FAILED]


def test_after_some_tries_it_is_given_up_with_the_reason(engine, failing, caplog):
    row, worker = _failing_row(), BulkWorker()
    for _ in range(TRIES):
        assert worker.run(engine) == set()
    row.refresh_from_db()
    assert len(failing) == TRIES
    assert row.is_cut_short
    assert row.reasons == {
        "given up: 3 times a page of it failed with RuntimeError: password=••• is wrong": [0, 0]
    }
    assert "Bulk operation retry #" in caplog.text
    assert states() == [State.FAILED]
    worker.run(engine)
    assert len(failing) == TRIES


def _failing_row():
    JobFactory(failed=True)
    return start()


def test_one_that_fails_now_and_then_is_not_given_up(engine, monkeypatch):
    JobFactory.create_batch(12, failed=True)
    row, worker, calls = start(), BulkWorker(), []

    def every_second_time(ids):
        calls.append(ids)
        if len(calls) % 2:
            raise RuntimeError("no luck")
        return retry(ids)

    retry = bulk.VERBS["retry"].do
    doing(monkeypatch, every_second_time)
    for _ in range(20):
        clock.sleep(10)
        worker.run(engine)
    row.refresh_from_db()
    assert (row.done, row.is_cut_short) == (12, False)


def test_one_that_others_bring_forward_is_not_given_up(engine, monkeypatch):
    JobFactory.create_batch(12, failed=True)
    row, worker, retry = start(), BulkWorker(), bulk.VERBS["retry"].do

    def fail(_ids):
        raise RuntimeError("only here")

    for _ in range(TRIES + 1):
        doing(monkeypatch, fail)
        worker.run(engine)
        doing(monkeypatch, retry)
        bulk.work(engine, 2)  # as another worker does
    worker.run(engine)
    row.refresh_from_db()
    assert (row.done, row.is_cut_short) == (12, False)


@pytest.mark.usefixtures("failing")
def test_an_outage_of_the_database_is_no_fault_of_the_operation(engine, monkeypatch):
    _failing_row()

    def break_down(_):
        raise OperationalError("the server closed the connection")

    doing(monkeypatch, break_down)
    worker = BulkWorker()
    for _ in range(TRIES + 1):
        with pytest.raises(OperationalError):
            worker.run(engine)
    assert not BulkOperation.objects.exclude(finished_at=None).exists()


@pytest.mark.usefixtures("failing")
def test_whoever_works_on_a_page_that_fails_hears_which_operation_it_is(engine):
    row = _failing_row()
    with pytest.raises(PageFailed) as failure:
        bulk.work(engine, 5)
    assert failure.value.row == row


def test_its_page_says_that_it_is_given_up(engine, failing, admin_client):
    row, worker = _failing_row(), BulkWorker()
    for _ in range(TRIES):
        worker.run(engine)
    page = admin_client.get(f"/admin/jobs/bulkoperation/{row.pk}/change/").content.decode()
    assert "Given up:" in page
    assert "100 %" not in page
    assert "failed with RuntimeError" in page


def test_workers_mean_the_days_of_the_one_who_asked(engine):
    with timezone.override("Asia/Tokyo"):  # it is 21:00 there
        since = bulk.propose("retry", split("since:2030-01-15"), Job.objects.all())
        until = bulk.propose("retry", split("until:2030-01-15T20:59:40"), Job.objects.all())
        span = bulk.propose("retry", split("since:2h"), Job.objects.all())
    assert since.search == "since:2030-01-15T00:00:00+09:00 state:failed"
    assert until.search == "until:2030-01-15T20:59:40+09:00 state:failed"
    assert span.search == "since:2h state:failed"


def test_a_time_without_a_zone_is_the_same_where_it_is_asked_for_and_where_it_is_done(engine):
    JobFactory(failed=True)  # ten seconds before 12:00 UTC, 21:00 in Tokyo
    with timezone.override("Asia/Tokyo"):
        row = start(search="since:2030-01-15T20:59:00")
    BulkWorker().run(engine)
    row.refresh_from_db()
    assert (row.done, states()) == (1, [State.READY])
