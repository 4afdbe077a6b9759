"""The page of a job whatever is stored: another version, or another hand, may have written it."""

import json
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import override_settings

from django_jobs import job as declare
from django_jobs.batches import Batch
from django_jobs.models import Batch as BatchRow
from django_jobs.models import Event, Job, JobLog, JobRun, JobStep, Schedule
from django_jobs.reports.closeup import LARGEST_STEP
from django_jobs.subscriptions import Event as Said
from tests.conftest import NOON
from tests.dashboard.job_pages import address, press, raw, said, shown, steps_of
from tests.factories import JobFactory, JobRunFactory, ScheduleFactory
from tests.jobs import nothing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

SQLITE = connection.vendor == "sqlite"
BROKEN = "This is not readable JSON, or not what belongs here."
NONE = ('{"order": 7, "password": "hunter2', "{'order': 7}", "", "7,", "[" * 5_000)
DEEP = "[" * 300 + "]" * 300
LONG_NUMBER = "7" * 5_000
FAR = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
BIDI = "a\u202eb\u2066c\u200fd"


@declare(name="tests.stored.pay")
def pay(order, *, password="", **more): ...


@declare(name="tests.stored.log_in", sensitive=("who",))
def log_in(who, times=1): ...


def store(table, column, text, key):
    """Write a text into a column of JSON, past Django, and past the checks that SQLite has."""
    with connection.cursor() as cursor:
        if SQLITE:
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [text, key])
        if SQLITE:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")


def stored(column, text, **fields):
    found = JobFactory(failed=True, **{"name": "tests.stored.pay", **fields})
    store("django_jobs_job", column, text, found.pk)
    return found


def with_result(text):
    found = JobFactory(successful=True)
    run = JobRun.objects.filter(job=found).first() or JobRunFactory(job=found)
    store("django_jobs_job_run", "result", text, run.pk)
    return found, run


# steps: their results are texts on every database


@pytest.mark.parametrize("text", NONE)
def test_the_result_of_a_step_that_is_no_json_is_shown_as_it_is_and_masked(admin_client, text):
    job = JobFactory(successful=True)
    steps_of(job, text[:LARGEST_STEP], '"fine"')
    page = shown(admin_client, job)
    assert page.count("not readable JSON:") == 1
    assert '"fine"' in page
    assert "hunter2" not in page
    assert text[:15] in page


@pytest.mark.parametrize(
    "text", [DEEP, LONG_NUMBER[:LARGEST_STEP], '"\\ud800 half"', '"\\u0000"', "NaN"]
)
def test_the_result_of_a_step_may_be_any_json(admin_client, text):
    job = JobFactory(successful=True)
    steps_of(job, text)
    page = shown(admin_client, job)
    assert ("not readable JSON:" in page) is (text == DEEP)


def test_half_a_character_is_spelled_out(admin_client):
    job = JobFactory(successful=True)
    steps_of(job, '"\\ud800 half"')
    assert '"\\ud800 half"' in shown(admin_client, job)


# calls and results: on PostgreSQL such a column holds JSON


@pytest.mark.skipif(not SQLITE, reason="jsonb refuses what is no JSON")
@pytest.mark.parametrize("text", NONE)
@pytest.mark.parametrize("column", ["args", "kwargs", "original_args"])
def test_arguments_that_are_no_json_are_shown_as_they_are_and_masked(admin_client, column, text):
    job = stored(column, text, name="tests.stored.pay" if column == "kwargs" else "tests.jobs.add")
    page = shown(admin_client, job)
    assert page.count(BROKEN) == 1
    assert "hunter2" not in page
    assert text[:15] in page


@pytest.mark.skipif(not SQLITE, reason="jsonb refuses what is no JSON")
@pytest.mark.parametrize("text", NONE)
def test_a_result_that_is_no_json_is_shown_as_it_is_and_masked(admin_client, text):
    job, run = with_result(text)
    page = shown(admin_client, job)
    assert "hunter2" not in page
    assert BROKEN in page
    response = admin_client.get(address(job, "download", f"result-{run.pk}"))
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Content-Disposition"].endswith('.txt"')
    assert "hunter2" not in response.content.decode()


WRONG = {
    "args": ("null", "7", '"x"', '{"order": 7}', DEEP),
    "kwargs": ("null", "7", '"x"', "[7]", '{"order": ' + DEEP + "}"),
    "original_args": ("7", "[]", "{}", '{"args": 7, "kwargs": {}}', '{"args": [], "kwargs": null}'),
}


@pytest.mark.parametrize(("column", "text"), [(c, t) for c, ts in WRONG.items() for t in ts])
def test_json_that_belongs_elsewhere_is_shown_as_it_is(admin_client, column, text):
    job = stored(column, text, name="tests.jobs.add")
    page = shown(admin_client, job)
    assert page.count(BROKEN) == 1
    what = "original" if column == "original_args" else "arguments"
    response = admin_client.get(address(job, "download", what))
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("text", ["null", "7", DEEP])
def test_without_its_arguments_nobody_can_have_the_call_once_more(admin_client, text):
    job = stored("args", text, name="tests.jobs.add")
    page = raw(admin_client, job)
    assert "add(…)" in page
    assert "do/duplicate/" not in page
    assert "arguments/" not in page.partition('id="content-main"')[2].replace(
        "download/arguments/", ""
    )
    assert press(admin_client, job, "duplicate", seen=0) == [
        "Nothing was enqueued: the arguments are not readable."
    ]
    response = admin_client.get(address(job, "arguments"), follow=True)
    [message] = map(str, response.context["messages"])
    assert message == f"The arguments of job #{job.pk} cannot be changed: they are not readable."
    assert Job.objects.count() == 1


@pytest.mark.parametrize("verb", ["retry", "cancel", "run-now"])
def test_other_buttons_answer_whatever_the_arguments_are(admin_client, verb):
    job = stored("args", "null", name="tests.jobs.add")
    assert len(press(admin_client, job, verb)) == 1


def test_broken_arguments_are_hidden_where_nobody_can_tell_which_are_secret(admin_client):
    unknown = stored("args", '"hunter2"', name="tests.stored.gone")
    by_place = stored("args", '{"x": "hunter2"}', name="tests.stored.log_in")
    by_name = stored(
        "kwargs", '["who", {"who": "hunter2", "times": 3}]', name="tests.stored.log_in"
    )
    for job in (unknown, by_place, by_name):
        page = shown(admin_client, job)
        assert "hunter2" not in page
        assert (
            "hunter2"
            not in admin_client.get(address(job, "download", "arguments")).content.decode()
        )
    assert '"times": 3' in shown(admin_client, by_name)


def test_broken_arguments_are_hidden_from_who_may_not_see_any(staff):
    job = stored("args", '"secret plans"', name="tests.jobs.add")
    assert "secret plans" not in shown(staff("view_job"), job)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ([], {}),
        ([1, 2, 3, 4], {}),
        ([], {"no such": 1}),
        ([None], {"order": None, "password": None}),
        ([{"password": {"deep": ["hunter2"]}}], {"more": [[["hunter"]]]}),
    ],
)
@pytest.mark.parametrize("name", ["tests.stored.pay", "tests.stored.log_in", "tests.stored.gone"])
def test_a_call_that_the_function_does_not_take_is_shown(admin_client, name, args, kwargs):
    job = JobFactory(failed=True, name=name, args=args, kwargs=kwargs)
    page = shown(admin_client, job)
    assert "hunter2" not in page
    assert BROKEN not in page


def test_numbers_that_python_does_not_read_are_shown_as_they_are(admin_client):
    job, _ = with_result(LONG_NUMBER)
    page = raw(admin_client, job)
    assert BROKEN in page
    assert LONG_NUMBER in page


# words, instants, texts


def test_a_state_that_nobody_knows_is_shown_as_it_stands(admin_client):
    job = JobFactory()
    Job.objects.filter(pk=job.pk).update(state="ASLEEP")
    page = shown(admin_client, job)
    assert "? unknown: ASLEEP" in page
    assert "Its state, ASLEEP, is none that this version knows" in page
    for verb in ("retry", "run-now", "cancel"):
        assert "it is asleep" in press(admin_client, job, verb)[0]
    response = admin_client.get(address(job, "delete"), follow=True)
    assert "it is asleep" in str(next(iter(response.context["messages"])))
    assert admin_client.get(address(job, "live")).status_code == 200
    assert "? ASLEEP" in said(admin_client.get("/admin/jobs/job/").content.decode())


@pytest.mark.parametrize("word", ["", "exploded", "SUCCESSFUL", "<b>"])
def test_an_end_and_a_step_that_nobody_knows_are_shown_as_they_stand(admin_client, word):
    job = JobFactory(failed=True)
    steps_of(job, "1", state=word)
    JobRun.objects.filter(job=job).update(outcome=word)
    page = shown(admin_client, job)
    assert f": unknown: {word}".rstrip() in page
    assert f"? {word}".rstrip() in page.partition("newest call")[2]
    assert admin_client.get("/admin/jobs/jobrun/").status_code == 200


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
@pytest.mark.parametrize("instant", FAR)
def test_an_instant_may_be_as_far_as_there_are_any(admin_client, zone, instant):
    with override_settings(TIME_ZONE=zone):
        for kind in ("failed", "scheduled", "waiting", "running"):
            job = JobFactory(**{kind: True}, schedule_id=7, planned_at=instant)
            steps_of(job, "1", started_at=instant, finished_at=instant, wake_at=instant)
            run = JobRun.objects.filter(job=job).first() or JobRunFactory(job=job)
            JobRun.objects.filter(pk=run.pk).update(started_at=instant, finished_at=instant)
            JobLog.objects.create(job_id=job.pk, claim_id=job.claim_id or 0, at=instant, line="x")
            Job.objects.filter(pk=job.pk).update(
                enqueued_at=instant, run_at=instant, started_at=instant
            )
            Job.objects.filter(pk=job.pk, finished_at__isnull=False).update(finished_at=instant)
            raw(admin_client, job)
            assert admin_client.get(address(job, "live")).status_code in {200, 286}
        JobStep.objects.all().delete()


def test_nulls_are_shown_as_nothing(admin_client):
    job = JobFactory(running=True)
    Job.objects.filter(pk=job.pk).update(started_at=None)
    steps_of(job, None, started_at=None, wake_at=None)
    JobRunFactory(job=job, started_at=None)
    raw(admin_client, job)
    assert admin_client.get(address(job, "live")).status_code == 200


def test_what_it_hangs_together_with_may_be_gone(admin_client):
    with Batch("album 7") as batch:
        handle = batch.enqueue(nothing)
    schedule = ScheduleFactory()
    Job.objects.update(
        schedule_id=schedule.pk, planned_at=NOON, copy_of=10**17, copied_as=-5, about="shop.order:7",
        unique_key="k",
    )  # fmt: skip
    Schedule.objects.all().delete()
    BatchRow.objects.filter(pk=batch.id).delete()
    text = shown(admin_client, Job.objects.get(pk=handle.id))
    assert f"schedule #{schedule.pk}" in text
    assert f"copy of #{10**17}" in text


@pytest.mark.parametrize("number", [True, 10**30, -1, 4711, "x", None, 1.5])
def test_the_event_that_started_it_may_be_gone_or_no_number(admin_client, number):
    @declare(on="order/paid", name="tests.stored.ship")
    def ship(event: Said) -> None: ...

    job = JobFactory(name="tests.stored.ship", args=[{"id": number}])
    raw(admin_client, job)
    assert not Event.objects.exists()


@pytest.mark.parametrize("character", ["ä", "\u202e", "x\n"])
def test_long_texts_are_cut(admin_client, character):
    job = JobFactory(failed=True)
    long = character * 100_000
    JobRun.objects.filter(job=job).update(error_text=long, traceback=long, log=long)
    page = raw(admin_client, job)
    assert "Of a longer text only 65,536 characters are shown." in page
    assert len(page) < 1_000_000


def test_a_long_value_of_broken_json_is_folded_and_cut(admin_client):
    job = JobFactory(failed=True, name="tests.jobs.add")
    store("django_jobs_job", "args", json.dumps({"x": "y" * 100_000}), job.pk)
    page = shown(admin_client, job)
    assert "These are the first 65,536 of 100," in page
    assert len(admin_client.get(address(job, "download", "arguments")).content) > 100_000


def test_marks_that_turn_the_direction_stay_where_they_are(admin_client):
    job = JobFactory(failed=True, name=f"tests.{BIDI}", queue=BIDI, args=[BIDI], unique_key=BIDI)
    JobRun.objects.filter(job=job).update(error=BIDI, error_type=BIDI, worker=BIDI, log=BIDI)
    steps_of(job, json.dumps(BIDI))
    assert BIDI in raw(admin_client, job)


# what the driver itself cannot read

UNREADABLE = (
    [("enqueued_at", "'99999-01-01 00:00:00'"), ("finished_at", "'soon'"), ("queue", "CAST(x'ff' AS TEXT)"),
     ("run_at", "'2026-13-45 00:00:00'"), ("started_at", "x'ff'"), ("priority", "'high'")]
    if SQLITE
    else [("enqueued_at", "'99999-01-01'"), ("finished_at", "'infinity'"), ("run_at", "'0044-03-15 BC'")]
)  # fmt: skip


@pytest.mark.parametrize(("column", "value"), UNREADABLE)
def test_a_row_that_cannot_be_read_says_so(admin_client, column, value):
    job = JobFactory(failed=True)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE django_jobs_job SET {column} = {value} WHERE id = {job.pk}")
    page = shown(admin_client, job)
    if column == "priority":  # SQLite takes a text for a number, and so does the page
        assert "priority high" in page
        return
    assert "What is stored of this job cannot be read:" in page
    assert admin_client.get(address(job, "live")).headers["HX-Refresh"] == "true"
    for verb in ("retry", "cancel", "run-now", "duplicate"):
        assert press(admin_client, job, verb, seen=0)
    for response in (
        admin_client.get(address(job, "delete"), follow=True),
        admin_client.post(address(job, "delete"), {"as_of": NOON.isoformat()}, follow=True),
    ):
        assert "unchanged" in str(next(iter(response.context["messages"])))
    for what in ("arguments", "download/arguments"):
        assert admin_client.get(address(job, what), follow=True).status_code in {200, 404}
