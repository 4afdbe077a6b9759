"""Working off operations on very many jobs: page by page, each once, whatever happens in between."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from django_jobs import bulk, clock, operations
from django_jobs.bulk import asking, working
from django_jobs.engines import get_engine
from django_jobs.engines.base import Engine
from django_jobs.models import BulkOperation, Job
from django_jobs.operations import KEY_TAKEN
from django_jobs.searching import surveying
from django_jobs.searching.terms import split
from django_jobs.services import BulkWorker
from django_jobs.services import bulk as service_module
from django_jobs.states import State
from tests.conftest import NOON
from tests.factories import JobFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


@pytest.fixture
def engine():
    return get_engine("default")


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(service_module, "PAGE", 2)


def start(verb="retry", search="state:failed", **fields):
    found = bulk.propose(verb, split(search), Job.objects.all())
    wanted = {
        "key": f"{verb} {search}",
        "verb": verb,
        "search": found.search,
        "as_of": found.as_of,
        "low": found.low,
        "high": found.high,
        "expected": found.count.number,
        "by": "ana",
    }
    number, _ = bulk.start(bulk.requested(**{**wanted, **fields}))
    return BulkOperation.objects.get(pk=number)


def doing(monkeypatch, do):
    monkeypatch.setitem(bulk.VERBS, "retry", replace(bulk.VERBS["retry"], do=do))


def states():
    return [row.state for row in Job.objects.order_by("pk")]


def test_all_that_fit_are_retried_page_by_page(engine):
    JobFactory.create_batch(5, failed=True)
    JobFactory(successful=True)
    row = start()
    assert BulkWorker().run(engine) == {Engine.ANY_QUEUE}
    assert states() == [State.READY] * 5 + [State.SUCCESSFUL]
    row.refresh_from_db()
    assert (row.done, row.refused, row.finished_at) == (5, 0, NOON)


@pytest.mark.parametrize(
    ("verb", "search", "left"),
    [
        ("cancel", "queue:default", ["FAILED", "SUCCESSFUL", "RUNNING", "CANCELLED", "CANCELLED"]),
        ("delete", "queue:default", ["RUNNING", "READY", "SCHEDULED"]),
        ("retry", "queue:default", ["READY", "SUCCESSFUL", "RUNNING", "READY", "SCHEDULED"]),
        ("retry", "state:successful", ["FAILED", "READY", "RUNNING", "READY", "SCHEDULED"]),
        ("delete", "state:ready", ["FAILED", "SUCCESSFUL", "RUNNING", "READY", "SCHEDULED"]),
    ],
)
def test_each_verb_takes_what_it_can_be_done_to(engine, verb, search, left):
    for kind in ("failed", "successful", "running"):
        JobFactory(**{kind: True})
    JobFactory()
    JobFactory(scheduled=True)
    start(verb, search)
    BulkWorker().run(engine)
    assert states() == left


def test_running_jobs_are_asked_to_stop(engine):
    JobFactory.create_batch(3, running=True)
    row = start("cancel", "state:running")
    BulkWorker().run(engine)
    row.refresh_from_db()
    assert (row.done, row.asked) == (0, 3)
    assert Job.objects.filter(cancel_requested_at__isnull=False).count() == 3


def test_what_came_or_ended_after_the_count_is_left_alone(engine, frozen_clock):
    before = JobFactory(failed=True)
    row = start()
    frozen_clock.advance(timedelta(minutes=1))
    later = JobFactory(failed=True)
    Job.objects.filter(pk=before.pk).update(finished_at=clock.now())
    BulkWorker().run(engine)
    assert states() == [State.FAILED, State.FAILED]
    row.refresh_from_db()
    assert (row.handled, row.high < later.pk) == (0, True)


def test_since_is_reckoned_from_the_question_not_from_the_work(engine, frozen_clock):
    JobFactory(failed=True, finished_at=NOON - timedelta(minutes=50))
    start(search="state:failed since:1h")
    frozen_clock.advance(timedelta(minutes=30))
    BulkWorker().run(engine)
    assert states() == [State.READY]


def test_refusals_are_counted_by_their_reason(engine):
    taken = JobFactory(failed=True, unique_key="k")
    JobFactory(unique_key="k")
    JobFactory.create_batch(3, failed=True)
    row = start()
    BulkWorker().run(engine)
    row.refresh_from_db()
    assert (row.done, row.refused) == (3, 1)
    assert row.reasons == {KEY_TAKEN: [1, taken.pk]}


def test_a_reason_is_the_same_whenever_the_job_ended(engine, monkeypatch):
    rows = [
        JobFactory(successful=True, finished_at=NOON - timedelta(minutes=n)) for n in range(1, 4)
    ]
    row = start("retry", "state:failed", high=99_999)
    monkeypatch.setattr(working, "matching", lambda jobs, _criteria: jobs)
    doing(monkeypatch, operations.run_now)
    BulkWorker().run(engine)
    row.refresh_from_db()
    reason = "it is successful; only a scheduled job can be run now"
    assert row.reasons == {reason: [3, rows[0].pk]}


@pytest.mark.django_db(transaction=True)
def test_a_death_in_the_middle_of_a_page_has_done_nothing_of_it(engine, monkeypatch):
    JobFactory.create_batch(5, failed=True)
    row = start()
    bulk.work(engine, 2)

    class Killed(BaseException):
        pass

    def die(*_args):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(type(engine), "note_bulk", die)
        with pytest.raises(Killed):
            bulk.work(engine, 2)
    assert states().count(State.READY) == 2
    BulkWorker().run(engine)
    row.refresh_from_db()
    assert (states(), row.done) == ([State.READY] * 5, 5)


def test_a_stopped_operation_goes_no_further(engine):
    JobFactory.create_batch(5, failed=True)
    row = start()
    bulk.work(engine, 2)
    assert bulk.stop(row.pk, "bob")
    BulkWorker().run(engine)
    row.refresh_from_db()
    assert states().count(State.READY) == row.done == 2


def test_the_housekeeper_gets_its_time_back_after_some_pages(engine, monkeypatch):
    monkeypatch.setattr(service_module, "PAGES", 2)
    JobFactory.create_batch(7, failed=True)
    start()
    service = BulkWorker()
    service.attend(engine)
    assert states().count(State.READY) == 4
    assert service.due
    service.attend(engine)
    assert states().count(State.READY) == 7


def test_numbers_without_jobs_are_skipped(engine, monkeypatch):
    monkeypatch.setattr(working, "WINDOW", 2)
    first = JobFactory(failed=True)
    last = JobFactory(failed=True, id=first.pk + 1_000_000)
    row = start()
    BulkWorker().run(engine)
    row.refresh_from_db()
    assert (row.done, row.last_id, row.finished_at) == (2, last.pk, NOON)


@pytest.mark.django_db(transaction=True)
def test_a_job_that_somebody_keeps_locked_does_not_stop_the_others(engine, monkeypatch):
    rows = JobFactory.create_batch(5, failed=True)
    row, locked = start(), rows[2].pk

    def busy(ids):
        if locked in ids:
            raise OperationalError("lock timeout")
        return operations.retry(ids)

    doing(monkeypatch, busy)
    monkeypatch.setattr(type(engine), "is_busy", lambda _self, _error: True)
    service = BulkWorker()
    for _ in range(6):
        service.run(engine)
    row.refresh_from_db()
    assert states() == ["READY", "READY", "FAILED", "READY", "READY"]
    assert (row.done, row.reasons) == (4, {working.BUSY: [1, locked]})
    assert row.finished_at == NOON


@pytest.mark.django_db(transaction=True)
def test_an_error_that_is_no_lock_is_not_swallowed(engine, monkeypatch):
    JobFactory(failed=True)
    start()

    def broken(_ids):
        raise OperationalError("the server is gone")

    doing(monkeypatch, broken)
    with pytest.raises(OperationalError):
        BulkWorker().run(engine)


def test_a_search_that_is_not_understood_any_more_ends_with_the_reason(engine):
    JobFactory(failed=True)
    row = start()
    BulkOperation.objects.update(search="foo:1")
    BulkWorker().run(engine)
    row.refresh_from_db()
    assert row.finished_at == NOON
    [reason] = row.reasons
    assert reason.startswith("There is no “foo:”.")
    assert states() == [State.FAILED]


def test_workers_that_hear_of_an_operation_are_due(engine):
    service = BulkWorker()
    service.attend(engine)
    assert not service.due
    service.hear(Engine.EVENTS)
    assert not service.due
    service.hear(Engine.BULK)
    assert service.due


def test_where_workers_hear_of_operations_they_look_less_often(engine, frozen_clock):
    service = BulkWorker()
    service.run(engine)
    service.attend(engine)
    frozen_clock.advance(timedelta(seconds=engine.look_every * 0.8))
    assert not service.due
    frozen_clock.advance(timedelta(seconds=engine.look_every * 0.4))
    assert service.due


def test_an_idle_look_takes_no_lock(engine, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert BulkWorker().run(engine) == set()


def test_beginning_and_end_are_logged(engine, caplog):
    caplog.set_level("INFO", "django_jobs")
    JobFactory(failed=True)
    row = start()
    BulkWorker().run(engine)
    assert f"Bulk operation retry #{row.pk}, asked for by ana, begins: state:failed" in caplog.text
    assert f"Bulk operation retry #{row.pk} is done: 1 jobs, 0 refused" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_workers_are_told_when_it_is_committed(monkeypatch, engine):
    told = []
    monkeypatch.setattr(type(engine), "notify", lambda _self, words: told.append(set(words)))
    JobFactory(failed=True)
    start()
    start()
    assert told == [{Engine.BULK}]
    assert User.objects.count() == 0


def test_few_are_dealt_with_at_once_and_more_than_confirmed_not_at_all():
    JobFactory.create_batch(3, failed=True)
    found = bulk.propose("retry", split(""), Job.objects.all())
    wanted = {
        "key": "k",
        "verb": "retry",
        "search": found.search,
        "as_of": found.as_of,
        "low": found.low,
        "high": found.high,
        "by": "ana",
    }
    with pytest.raises(bulk.Grown):
        bulk.carry_out(bulk.requested(**wanted, expected=2))
    assert states() == ["FAILED"] * 3
    assert len(bulk.carry_out(bulk.requested(**wanted, expected=3)).done) == 3
    assert bulk.carry_out(bulk.requested(**wanted, expected=3)).done == frozenset()


def test_what_an_index_has_is_proposed_whole_wherever_the_list_looks(monkeypatch):
    monkeypatch.setattr(surveying, "WINDOW", 2)
    rows = JobFactory.create_batch(4, failed=True)
    for to in (None, rows[1].pk):
        found = bulk.propose("retry", split("state:failed"), Job.objects.all(), to)
        assert (found.count.number, found.low, found.high) == (4, 0, rows[3].pk)
        assert found.whole


def test_of_more_than_are_counted_all_are_meant_if_an_index_has_them(monkeypatch, engine):
    monkeypatch.setattr(surveying, "CAP", 2)
    monkeypatch.setattr(surveying, "WINDOW", 2)
    monkeypatch.setattr(working, "WINDOW", 2)
    monkeypatch.setattr(asking, "CAP", 2)
    JobFactory.create_batch(7, failed=True)
    found = bulk.propose("retry", split("state:failed"), Job.objects.all())
    assert (str(found.count), found.low, found.whole) == ("2+", 0, True)
    start()
    BulkWorker().run(engine)
    assert states() == [State.READY] * 7


@pytest.mark.parametrize(
    ("verb", "text", "search", "count"),
    [
        ("retry", "queue:a", "queue:a state:failed", 1),
        ("retry", "state:failed,ready", "state:failed", 2),
        ("retry", "state:retrying", "", 0),
        ("cancel", "state:retrying", "state:retrying", 0),
        ("cancel", "", "state:ready,running,scheduled,waiting", 1),
        ("delete", "", "state:cancelled,failed,successful", 2),
        ("retry", "nonsense:1", "", 0),
    ],
)
def test_a_proposal_says_what_would_be_done_to_how_many(verb, text, search, count):
    JobFactory(failed=True)
    JobFactory(failed=True, queue="a")
    JobFactory()
    found = bulk.propose(verb, split(text), Job.objects.all())
    assert found.count.number == count
    assert len(found.sample) == count
    if search:
        assert found.search == search
