"""Which jobs a search finds."""

from datetime import timedelta

import pytest

from django_jobs import clock, job
from django_jobs.models import Job
from django_jobs.searching.criteria import read
from django_jobs.searching.matching import matching
from django_jobs.searching.terms import split
from tests.conftest import NOON
from tests.factories import JobFactory, JobRunFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

KIND = "0123456789abcdef"


def found(text):
    criteria = read(split(text), clock.now())
    return set(matching(Job.objects.all(), criteria).values_list("pk", flat=True))


@pytest.fixture
def deliver():
    @job(name="shop.deliver", aliases=["shop.old"], sensitive=["card"])
    def deliver(order, card=None, *, size=1, **more):
        pass


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("state:failed", {"failed": True}),
        ("state:ready", {}),
        ("state:retrying", {"retrying": True}),
        ("state:running", {"running": True}),
        ("error:CONNECTION", {"failed": True, "fingerprint": KIND}),
        ("error:partner", {"failed": True, "fingerprint": KIND}),
        ("mail", {"name": "shop.send_mail"}),
        ("job:mail,letter", {"name": "shop.letter"}),
        ("queue:a,b", {"queue": "b"}),
        (f"fp:{KIND}", {"failed": True, "fingerprint": KIND}),
        (KIND, {"failed": True, "fingerprint": KIND}),
        ("until:1h", {"enqueued_at": NOON - timedelta(hours=2)}),
        ("mail state:failed queue:b", {"name": "mail", "failed": True, "queue": "b"}),
    ],
)
def test_a_search_finds_what_fits_and_nothing_else(text, wanted):
    other = {"successful": True} if text == "state:ready" else {}
    JobFactory(**other, name="shop.other")
    JobFactory(scheduled=True, name="shop.other")
    fits = JobFactory(**wanted)
    assert found(text) == {fits.pk}


def test_a_job_is_found_by_the_row_it_is_about():
    order, _other = JobFactory(about="shop.order:17"), JobFactory(about="shop.order:171")
    assert found("about:shop.Order:17") == {order.pk}


def test_a_job_is_found_by_who_enqueued_it():
    ana = JobFactory(enqueued_by="view=shop:checkout request=7f3a user=ana")
    bob = JobFactory(enqueued_by="view=shop:checkout request=88 user=bob")
    JobFactory()
    assert found("by:Ana") == found("by:user=ana") == found("by:7f3a") == {ana.pk}
    assert found("by:shop:checkout") == {ana.pk, bob.pk}
    assert found("by:shop:checkout by:bob") == {bob.pk}
    assert found("by:%") == set()


def test_a_job_is_found_by_the_worker_that_runs_or_ran_it():
    here, there = JobFactory(running=True), JobFactory(successful=True)
    there.runs.update(worker="web-2:17")
    assert found("worker:web-1") == {here.pk}
    assert found("worker:web-2:17") == {there.pk}
    assert found("worker:web") == {here.pk, there.pk}


def test_only_the_newest_run_counts():
    row = JobFactory(failed=True, fingerprint=KIND)
    row.runs.update(error="an old one", worker="gone:1")
    JobRunFactory(job=row, broken=True, worker="here:1")
    assert found("error:old") == set()
    assert found("worker:gone") == set()
    assert found("worker:here") == {row.pk}


@pytest.mark.usefixtures("deliver")
@pytest.mark.parametrize(
    ("text", "args", "kwargs"),
    [
        ("args.order:991", [991], {}),
        ("args.order:991", ["991"], {}),
        ("args.order:991", [], {"order": 991}),
        ('args.order:"991"', ["991"], {}),
        ("args.order:null", [None], {}),
        ("args.size:2", [1], {"size": 2}),
        ("args.order.id:7", [{"id": 7, "x": 1}], {}),
        ("args.order.id:7", [], {"order": {"id": 7}}),
        ("args.colour:red", [1], {"colour": "red"}),
        ("args.colour:grün", [1], {"colour": "grün"}),
        ('args.colour:"a/b \\"c"', [1], {"colour": 'a/b "c'}),
        ("args.size:2.5", [1], {"size": 2.5}),
        ("args.size:true", [1], {"size": True}),
        ("args.in:x", [1], {"in": "x"}),
        ("args.a__b:x", [1], {"a__b": "x"}),
    ],
)
def test_a_job_is_found_by_an_argument_given_by_place_or_by_name(text, args, kwargs):
    JobFactory(name="shop.deliver", args=[17, 991], kwargs={"size": 991})
    row = JobFactory(name="shop.deliver", args=args, kwargs=kwargs)
    assert found(text) == {row.pk}


@pytest.mark.usefixtures("deliver")
def test_a_former_name_of_a_job_counts():
    row = JobFactory(name="shop.old", args=[991])
    assert found("args.order:991") == {row.pk}


@pytest.mark.usefixtures("deliver")
def test_values_that_nobody_is_shown_are_not_found():
    JobFactory(name="shop.deliver", args=[1, "4111"], kwargs={})
    JobFactory(name="shop.deliver", args=[1], kwargs={"card": "4111"})
    JobFactory(name="shop.undeclared", args=[], kwargs={"order": 991})
    assert found("args.card:4111") == set()
    assert found("args.order:991") == set()


@pytest.mark.parametrize("text", ["state:faild", "foo:1", 'state:failed "open', "id:x"])
def test_a_search_that_is_not_understood_finds_nothing(text):
    JobFactory(failed=True)
    assert found(text) == set()


@pytest.mark.parametrize("text", ["'; drop", "%", "_", '"\\\\"', "²", "error:%", "worker:_"])
def test_odd_texts_find_nothing_and_break_nothing(text):
    JobFactory(failed=True, name="shop.jobs.plain", fingerprint=KIND)
    assert found(text) == set()
