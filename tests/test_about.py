"""Jobs about a row of the project: what they say, who finds them, what the job itself sees."""

import uuid
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_jobs import (
    Batch,
    Event,
    Flow,
    JobContext,
    cron,
    enqueue_many,
    job,
    jobs_about,
    send_event,
)
from django_jobs.about import row_about
from django_jobs.checks import check_about
from django_jobs.models import Job, Schedule
from django_jobs.schedules import sync
from django_jobs.schedules.operating import run_now
from django_jobs.subjects import name_of, row_called
from django_jobs.testing import run_jobs
from tests import jobs
from tests.models import Gift, Purchase, QuickPurchase, Seat, Tag, Voucher

pytestmark = pytest.mark.django_db


def abouts():
    return list(Job.objects.order_by("id").values_list("about", flat=True))


def test_a_job_says_which_row_it_is_about():
    row = Purchase.objects.create()
    jobs.nothing.using(about=row).enqueue()
    jobs.nothing.enqueue()
    assert abouts() == [f"tests.purchase:{row.pk}", None]


def test_the_jobs_about_a_row_come_newest_first():
    row, other = Purchase.objects.create(), Purchase.objects.create()
    first = jobs.nothing.using(about=row).enqueue()
    jobs.nothing.using(about=other).enqueue()
    second = jobs.add.using(about=row, run_after=timedelta(hours=1)).enqueue(1)
    assert [found.pk for found in jobs_about(row)] == [second.id, first.id]


@pytest.mark.parametrize(
    "make",
    [
        Purchase.objects.create,
        lambda: Gift.objects.create(message="hello"),
        Voucher.objects.create,
        lambda: Seat.objects.create(row="Ä", number=7),
    ],
    ids=["number", "inherited", "uuid", "composite"],
)
def test_a_key_of_any_kind_leads_back_to_its_row(make):
    row = make()
    handle = jobs.nothing.using(about=row).enqueue()
    assert row_about(handle.id) == row
    assert list(jobs_about(row).values_list("pk", flat=True)) == [handle.id]


def test_a_key_that_is_written_differently_is_the_same_row():
    row = Voucher.objects.create(pk=uuid.uuid4().hex.upper())
    handle = jobs.nothing.using(about=row).enqueue()
    assert [found.pk for found in jobs_about(Voucher.objects.get())] == [handle.id]


def test_a_proxy_is_the_same_row():
    row = Purchase.objects.create()
    handle = jobs.nothing.using(about=QuickPurchase.objects.get()).enqueue()
    assert [found.pk for found in jobs_about(row)] == [handle.id]


@pytest.mark.parametrize(
    "row", [Purchase(), Purchase(pk=7), Voucher(), Seat(row="A", number=1)], ids=str
)
def test_a_row_that_is_not_saved_is_refused(row):
    with pytest.raises(ValueError, match=r"nothing: a job is about a row .* save it first"):
        jobs.nothing.using(about=row)
    with pytest.raises(ValueError, match="save it first"):
        jobs_about(row)


def test_a_deleted_instance_is_refused():
    row = Purchase.objects.create()
    row.delete()
    with pytest.raises(ValueError, match="save it first"):
        jobs.nothing.using(about=row)


@pytest.mark.parametrize("value", ["tests.purchase:7", 7, [], Purchase], ids=str)
def test_what_is_no_row_is_refused(value):
    with pytest.raises(TypeError, match="a job is about a row of a model"):
        jobs.nothing.using(about=value)


def test_a_key_that_is_too_long_is_refused():
    row = Seat.objects.create(row="A", number=1)
    row.row = "A" * 250
    with pytest.raises(ValueError, match="at most 255 characters"):
        jobs.nothing.using(about=row)


def test_a_row_of_another_database_is_named_as_any_other():
    row = Tag(pk=3, name="x")
    row._state.adding, row._state.db = False, "other"
    jobs.nothing.using(about=row).enqueue()
    assert abouts() == ["tests.tag:3"]


@pytest.mark.django_db(databases=["default", "other"])
def test_jobs_in_a_database_of_their_own_are_found_there(settings):
    settings.DJANGO_JOBS = {"DATABASE": "other"}
    row = Purchase.objects.create()
    with CaptureQueriesContext(connection) as queries:
        Job.objects.using("other").create(
            name="x",
            run_at=row.bought_at or "2030-01-01T00:00Z",
            enqueued_at="2030-01-01T00:00Z",
            about=name_of(row),
        )
        [found] = jobs_about(row)
    assert (found._state.db, len(queries)) == ("other", 0)
    assert row_about(found.pk) == row


def test_a_deleted_row_harms_nobody():
    row = Purchase.objects.create()
    handle = jobs.nothing.using(about=row).enqueue()
    Purchase.objects.all().delete()
    assert row_about(handle.id) is None
    assert len(run_jobs()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "tests.purchase:no number",
        "tests.gone:1",
        "gone.purchase:1",
        "nonsense",
        "",
        "tests.seat:x",
        'tests.seat:["A"]',
        f"tests.purchase:{10**30}",
    ],
)
def test_a_name_of_another_release_leads_to_nothing(name):
    assert row_called(name) is None


def test_a_copy_keeps_its_row_and_can_lose_it():
    row = Purchase.objects.create()
    about = jobs.nothing.using(about=row)
    about.using(priority=7).enqueue()
    about.using(about=None).enqueue()
    assert abouts() == [name_of(row), None]


def test_all_jobs_of_enqueue_many_are_about_the_row():
    row = Purchase.objects.create()
    enqueue_many(jobs.add.using(about=row), [(1,), (2,)])
    enqueue_many(jobs.add.using(about=row, unique_key="k"), [(3,)])
    assert abouts() == [name_of(row)] * 3


def test_batches_and_flows_carry_it_to_every_job_they_make():
    row = Purchase.objects.create()
    with Batch("album") as batch:
        batch.enqueue(jobs.nothing.using(about=row))
        batch.on_success(jobs.add.using(about=row), 1)
    with Flow(jobs.add.using(about=row), 1) as flow:
        flow.enqueue(jobs.nothing.using(about=row))
    run_jobs()
    assert abouts() == [name_of(row)] * 4


def test_a_job_about_a_row_exists_when_the_row_does():
    with transaction.atomic():
        jobs.nothing.using(about=Purchase.objects.create()).enqueue()
        transaction.set_rollback(True)
    assert not Job.objects.exists()
    assert not Purchase.objects.exists()


# Declared: the key is among the arguments.


def test_a_declared_argument_is_the_key_of_the_row():
    @job(about={"tests.Purchase": "number"})
    def look(number: int | str | None = None) -> None: ...

    row = Purchase.objects.create()
    enqueue_many(look, [(row.pk,), {"number": str(row.pk)}, (None,), ()])
    look.using(about=None).enqueue(row.pk)
    assert abouts() == [name_of(row), name_of(row), None, None, None]
    assert jobs_about(row).count() == 2


def test_a_model_may_be_named_by_itself():
    @job(about={Voucher: "which.id"})
    def look(which: dict[str, str]) -> None: ...

    row = Voucher.objects.create()
    look.enqueue({"id": row.pk.hex})
    assert [found.about for found in jobs_about(row)] == [f"tests.voucher:{row.pk}"]


def test_what_cannot_be_a_key_is_refused_and_nothing_is_written():
    @job(about={"tests.Voucher": "which"})
    def look(which: str) -> None: ...

    with pytest.raises(ValueError, match=r"look: about: 'x' is no key of tests.Voucher"):
        look.enqueue("x")
    assert not Job.objects.exists()


def test_a_job_that_is_started_by_an_event_is_about_the_row_in_its_data():
    @job(on="purchase/made", about={"tests.Purchase": "pk"})
    def follow(event: Event) -> None: ...

    row = Purchase.objects.create()
    send_event("purchase/made", {"pk": row.pk})
    assert abouts() == [name_of(row)]


def test_a_job_of_a_schedule_is_about_the_row_among_its_arguments():
    row = Purchase.objects.create()

    @job(schedule=cron("@daily", args=[row.pk]), about={"tests.Purchase": "number"})
    def look(number: int) -> None: ...

    sync("default")
    run_now(Schedule.objects.get(job_name=look.name).name)
    assert abouts() == [name_of(row)]


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"tests.Purchase": "number", "tests.Tag": "number"},
        {"Purchase": "number"},
        {"tests.Purchase": ""},
        {7: "number"},
        {"tests.Purchase": ["number"]},
    ],
    ids=str,
)
def test_a_declaration_that_cannot_be_meant_is_refused(declared):
    with pytest.raises(TypeError, match="about takes one model and the argument that is its key"):

        @job(about=declared)
        def look(number: int) -> None: ...


def test_a_declaration_must_name_a_parameter():
    with pytest.raises(ValueError, match=r'about names "numbr", but there is no such parameter'):

        @job(about={"tests.Purchase": "numbr"})
        def look(number: int) -> None: ...


def test_a_model_that_does_not_exist_is_found_by_the_checks():
    @job(about={"tests.Purchse": "number"})
    def look(number: int) -> None: ...

    [problem] = check_about()
    assert problem.id == "django_jobs.E014"
    assert problem.msg.endswith('look is about "tests.Purchse", which is no model.')
    with pytest.raises(ValueError, match="Purchse"):
        look.enqueue(7)


# Inside the job.


def test_the_job_gets_its_row_when_it_asks():
    @job
    def look(context: JobContext) -> list[object]:
        return [context.about.pk if context.about else None, context.about is context.about]

    row = Purchase.objects.create()
    handles = [look.using(about=row).enqueue(), look.enqueue()]
    run_jobs()
    assert [handle.result for handle in handles] == [[row.pk, True], [None, True]]


def test_a_job_that_does_not_ask_costs_no_query():
    with CaptureQueriesContext(connection) as queries:
        context = JobContext("x", job_id=7)
    assert not queries
    with CaptureQueriesContext(connection) as queries:
        assert context.about is None
        assert context.about is None
    assert len(queries) == 1


def test_outside_a_worker_there_is_no_row():
    assert JobContext.detached("x").about is None


@pytest.mark.django_db(transaction=True)
def test_an_async_job_awaits_its_row():
    row = Purchase.objects.create()
    handle = jobs.nothing.using(about=row).enqueue()
    assert async_to_sync(JobContext("x", job_id=handle.id).aabout)() == row


def test_the_index_serves_the_look_for_a_rows_jobs():
    row = Purchase.objects.create()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert "django_jobs_job_about" in jobs_about(row)[:20].explain()
