"""The customers report: its file, its job, its pages."""

import csv
import re

import pytest
from django.db import transaction
from django.urls import reverse

from django_jobs import JobContext, jobs_about, operations
from django_jobs.context import Ask
from django_jobs.models import Job, JobProgress
from django_jobs.testing import run_jobs
from example_project.shop import campaigns, jobs
from example_project.shop.models import Customer, CustomerReport
from example_project.shop.reports import preparing, writing

pytestmark = pytest.mark.urls("example_project.urls")


def page(client, report):
    return client.get(report.get_absolute_url()).content.decode()


def download(client, report):
    """Return the status, the file, which is read to its end and so closed, and the headers."""
    response = client.get(reverse("shop:download", args=[report.pk]))
    return response.status_code, response.getvalue(), response.headers


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


class Cancelled(JobContext):
    """The context of a job that somebody cancels when it first says how far it is."""

    def progress(self, done, total=None, note=""):
        super().progress(done, total, note)
        self.tell(Ask.CANCEL)


def test_the_file_holds_every_customer_with_the_mails_they_got(shop, provider):
    campaigns.start(shop)
    run_jobs()
    Customer.objects.create(name="Eve", email="eve@example.com", subscribed=False)
    report = preparing.start()
    run_jobs(raise_errors=True)
    rows = table(report.path)
    assert rows[0] == ["name", "email", "subscribed", "mails", "last mail"]
    assert [row[:4] for row in rows[1:]] == [
        ["Ada Test", "ada@example.com", "yes", "1"],
        ["Ben Test", "ben@example.com", "yes", "1"],
        ["Cleo Test", "cleo@example.com", "yes", "1"],
        ["Eve", "eve@example.com", "no", "0"],
    ]


def test_a_cell_that_a_spreadsheet_would_carry_out_is_kept_as_text(db):
    Customer.objects.create(name='=HYPERLINK("https://example.net")', email="+1@example.com")
    report = preparing.start()
    run_jobs(raise_errors=True)
    assert table(report.path)[1][:2] == [
        '\'=HYPERLINK("https://example.net")',
        "'+1@example.com",
    ]


def test_the_job_of_a_report_says_who_asked_for_it(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("ana"))
    client.post(reverse("shop:reports"), headers={"X-Request-ID": "7f3a"})
    assert Job.objects.get().enqueued_by == "view=shop:reports request=7f3a user=ana"


def test_a_shop_without_customers_has_a_report_with_no_rows(client, db):
    report = preparing.start()
    run_jobs(raise_errors=True)
    assert len(table(report.path)) == 1
    assert download(client, report)[0] == 200


@pytest.mark.parametrize("customers", [9, 10, 11, 25])
def test_progress_is_reported_in_about_ten_steps_and_reaches_the_end(db, tmp_path, customers):
    for number in range(customers):
        Customer.objects.create(name=str(number), email=f"{number}@example.com")
    with writing.replacing(tmp_path / "report.csv") as file:
        steps = list(writing.write_customers(file))
    assert steps[-1] == (customers, customers)
    assert len(steps) <= writing.STEPS
    assert len(table(tmp_path / "report.csv")) == customers + 1


def test_a_customer_who_comes_meanwhile_is_written_and_counted(shop, tmp_path):
    with writing.replacing(tmp_path / "report.csv") as file:
        steps = writing.write_customers(file)
        next(steps)
        Customer.objects.create(name="Dora", email="dora@example.com")
        assert list(steps)[-1] == (4, 4)


def test_the_file_is_there_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "report.csv"
    with writing.replacing(path) as file:
        file.write("half")
        assert not path.exists()
    assert path.read_text() == "half"
    with pytest.raises(TypeError), writing.replacing(path) as file:
        print("other", file=file, end=1)
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def test_two_writers_at_once_do_not_mix(tmp_path):
    path = tmp_path / "report.csv"
    with writing.replacing(path) as first:
        first.write("a" * 5)
        with writing.replacing(path) as second:
            second.write("b" * 3)
        assert path.read_text() == "bbb"
    assert path.read_text() == "aaaaa"


def test_the_job_run_twice_leaves_one_whole_file(shop):
    report = preparing.start()
    run_jobs()
    before = report.path.read_bytes()
    assert operations.retry([report.job_id]).done
    run_jobs(raise_errors=True)
    assert report.path.read_bytes() == before
    assert list(report.path.parent.iterdir()) == [report.path]


def test_a_cancelled_report_leaves_no_file(client, shop):
    report = preparing.start()
    with pytest.raises(writing.Unfinished, match="stopped after 1 of 3"):
        jobs.prepare_report(Cancelled("prepare_report"), report.pk)
    assert list(report.path.parent.iterdir()) == []
    assert download(client, report)[0] == 404


def test_two_clicks_are_one_report(client, shop):
    first = client.post(reverse("shop:reports")).headers["Location"]
    assert client.post(reverse("shop:reports")).headers["Location"] == first
    assert CustomerReport.objects.count() == Job.objects.count() == 1
    run_jobs()
    assert client.post(reverse("shop:reports")).headers["Location"] != first


def test_a_report_that_is_rolled_back_leaves_no_job(shop):
    with transaction.atomic():
        preparing.start()
        transaction.set_rollback(True)
    assert not Job.objects.exists()
    assert not CustomerReport.objects.exists()


def test_the_page_leads_from_queued_over_percents_to_the_file(client, shop, frozen_clock):
    report = preparing.start()
    queued = page(client, report)
    assert "Waiting to start" in queued
    assert "python manage.py runworker" in queued
    assert 'hx-trigger="job-finished"' in queued
    Job.objects.update(state="RUNNING", claim_id=1, attempt=1)
    JobProgress.objects.create(job_id=report.job_id, done=2, total=5, updated_at=frozen_clock.now())
    running = page(client, report)
    assert "In progress" in running
    assert "40 %" in running
    assert "Download" not in running
    Job.objects.update(state="READY", claim_id=None, attempt=0)
    run_jobs()
    asked = re.search(r'hx-get="(/jobs/progress/[^"]+)"', running)[1]
    last = client.get(asked, headers={"HX-Request": "true"})
    assert (last.status_code, last.headers["HX-Trigger"]) == (286, "job-finished")
    ready = page(client, report)
    assert reverse("shop:download", args=[report.pk]) in ready
    assert "3</strong> customers, ready" in ready
    assert "hx-trigger" not in ready


def test_the_job_of_a_report_is_about_it(shop):
    report = preparing.start()
    assert [job.pk for job in jobs_about(report)] == [report.job_id]


def test_without_javascript_the_page_reloads_by_itself_until_the_file_is_there(client, shop):
    report = preparing.start()
    assert '<meta http-equiv="refresh"' in page(client, report)
    run_jobs()
    assert "http-equiv" not in page(client, report)


def test_only_a_finished_report_is_handed_out(client, shop):
    report = preparing.start()
    assert download(client, report)[0] == 404
    report.path.parent.mkdir(parents=True)
    report.path.write_text("of somebody else")
    assert download(client, report)[0] == 404
    run_jobs()
    _, content, headers = download(client, report)
    assert content == report.path.read_bytes()
    assert headers["Content-Type"] == "text/csv"
    assert headers["Content-Disposition"].startswith('attachment; filename="customers-')
    report.path.unlink()
    assert download(client, report)[0] == 404


def test_a_failed_report_shows_why_and_offers_another_try(client, shop, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "file"
    settings.MEDIA_ROOT.write_text("where the folder ought to be")
    report = preparing.start()
    Job.objects.update(max_attempts=1)
    run_jobs()
    shown = page(client, report)
    assert "the job has failed" in shown
    assert "Not a directory" in shown
    assert "Prepare it again" in shown


def test_the_list_shows_what_is_ready_and_what_is_not(client, shop):
    preparing.start()
    run_jobs()
    preparing.start()
    shown = client.get(reverse("shop:reports")).content.decode()
    assert shown.count(">Download</a>") == 1
    assert shown.count(">ready<") == 1


def test_a_report_that_does_not_exist_is_not_found(client, db):
    for name in ("report", "download"):
        assert client.get(reverse(f"shop:{name}", args=[1])).status_code == 404
