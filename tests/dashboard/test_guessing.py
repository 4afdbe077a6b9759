"""What nobody may see, nobody can guess by filters either, nor read where something was written."""

import pytest
from django.contrib.admin.models import LogEntry

from django_jobs import job
from django_jobs.engines import get_engine
from django_jobs.models import BulkOperation
from django_jobs.services import BulkWorker
from tests.conftest import NOON
from tests.dashboard.test_bulk import ask, confirm, many  # noqa: F401 - a fixture
from tests.dashboard.test_job_list import LIST
from tests.factories import JobFactory, ScheduleFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

GUESSES = (
    ("job", "kwargs__card__startswith=41"),
    ("job", "kwargs__contains=4111"),
    ("job", "args__0=7"),
    ("job", "args__icontains=7"),
    ("job", "original_args__icontains=4"),
    ("job", "metadata__tenant=1"),
    ("jobrun", "result=3"),
    ("jobrun", "log__icontains=x"),
    ("jobrun", "job__args__0=7"),
    ("event", "data__icontains=3"),
    ("schedule", "kwargs__password__startswith=a"),
    ("schedule", "declared__icontains=a"),
    ("bulkoperation", "search__icontains=args.to:ana"),
)


@pytest.mark.parametrize(("model", "guess"), GUESSES)
def test_an_address_cannot_filter_by_what_is_hidden(admin_client, model, guess):
    job = JobFactory(successful=True, name="tests.jobs.charge", args=[7], kwargs={"card": "4111"})
    ScheduleFactory(kwargs={"password": "abc"})
    assert job.kwargs == {"card": "4111"}
    assert admin_client.get(f"/admin/jobs/{model}/").status_code == 200
    assert admin_client.get(f"/admin/jobs/{model}/?{guess}").status_code == 400


@pytest.mark.parametrize(
    ("model", "filtered"),
    [
        ("job", "priority=3"),
        ("job", "attempt__gte=1"),
        ("jobrun", "outcome__exact=FAILED"),
        ("jobrun", "worker=web-1"),
        ("schedule", "state=paused"),
        ("schedule", "source=code"),
    ],
)
def test_an_address_can_filter_by_what_is_shown(admin_client, model, filtered):
    assert admin_client.get(f"/admin/jobs/{model}/?{filtered}").status_code == 200


@pytest.mark.parametrize("name", ["args.to", "ARGS.to", "Args.to"])
def test_the_log_of_the_admin_hides_arguments_however_they_are_written(admin_client, name):
    JobFactory(failed=True, name="tests.jobs.send", args=["ana@example.com"])
    said, _ = confirm(admin_client, ask(admin_client, q=f"{name}:ana@example.com"))
    assert said == ["1 job retried."]
    entry = LogEntry.objects.get()
    assert "•••" in entry.object_repr
    assert "ana@" not in f"{entry.object_repr} {entry.get_change_message()}"


@pytest.mark.usefixtures("many")
def test_neither_the_page_of_an_operation_nor_the_workers_log_tell_arguments(
    admin_client, client, staff, caplog
):
    JobFactory.create_batch(3, failed=True, name="tests.jobs.send", args=["ana@example.com"])
    confirm(admin_client, ask(admin_client, q="ARGS.to:ana@example.com"))
    row = BulkOperation.objects.get()
    caplog.set_level("INFO", logger="django_jobs")
    BulkWorker().run(get_engine("default"))
    assert "begins: ARGS.to:•••" in caplog.text
    page = staff("view_job").get(f"/admin/jobs/bulkoperation/{row.pk}/change/").content.decode()
    assert "ARGS.to:•••" in page
    assert "ana@example" not in page + caplog.text


def test_what_is_hidden_is_searched_by_nobody_who_may_not_see_it(staff):
    JobFactory(name="tests.jobs.send", args=["ana@example.com"], run_at=NOON)
    page = staff("view_job").get(LIST, {"q": "Args.to:ana@example.com"}).content.decode()
    assert "You may not see arguments, nor search for them." in page
    assert "send #" not in page


def test_whoever_repeats_a_job_is_told_nothing_of_its_arguments(staff):
    @job(name="tests.ship", about={"tests.Purchase": "order"})
    def ship(order):
        pass

    row = JobFactory(failed=True, name="tests.ship", args=["4111-1111"], about="tests.purchase:17")
    client = staff("view_job", "add_job")
    response = client.post(f"{LIST}{row.pk}/do/duplicate/", {"seen": "0"}, follow=True)
    assert "4111-1111" not in response.content.decode()
