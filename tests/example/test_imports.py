"""The import: its job, its pages, and a cancel in the middle of a real worker's run."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.urls import reverse

from django_jobs import JobContext
from django_jobs.context import Ask
from django_jobs.models import Job, JobProgress, JobRun
from django_jobs.testing import run_jobs
from example_project.shop import campaigns, jobs
from example_project.shop.imports import loading, reading, uploads
from example_project.shop.imports.sample import sample_csv
from example_project.shop.models import Customer, CustomerImport
from tests.crash.conditions import until
from tests.crash.processes import PROCESSES, WorkerTree

pytestmark = pytest.mark.urls("example_project.urls")
HTMX = {"headers": {"HX-Request": "true"}}
TABLE = "name,email\nAda Byron,ada@example.com\nEve,eve@example.com\nNobody,nowhere\n"


def start(text=TABLE, name="customers.csv"):
    return uploads.start(ContentFile(text.encode(), name))


def upload(client, content, name="customers.csv"):
    file = SimpleUploadedFile(name, content, "text/csv")
    return client.post(reverse("shop:imports"), {"file": file})


def page(client, found, **headers):
    return client.get(found.get_absolute_url(), **headers).content.decode()


def counts(found):
    found.refresh_from_db()
    return (found.done, found.added, found.changed, found.unchanged, found.bad)


class StopsAfter(JobContext):
    """The context of a job that somebody cancels after some reports of progress."""

    def __init__(self, reports):
        super().__init__("import_customers")
        self.left = reports

    def progress(self, done, total=None, note=""):
        super().progress(done, total, note)
        self.left -= 1
        if not self.left:
            self.tell(Ask.CANCEL)


def test_customers_are_added_and_renamed_and_bad_rows_are_listed(shop):
    found = start()
    run_jobs(raise_errors=True)
    assert counts(found) == (3, 1, 1, 0, 1)
    assert Customer.objects.get(email="ada@example.com").name == "Ada Byron"
    result = JobRun.objects.get().result
    assert result["problems"] == ["line 4: no address: 'nowhere'"]
    assert (result["rows"], result["added"], result["bad"]) == (3, 1, 1)


def test_the_job_gets_the_key_of_the_row_and_not_the_file(db):
    found = start()
    job = Job.objects.get()
    assert (job.args, job.kwargs) == ([found.pk], {})


def test_the_same_file_a_second_time_changes_nothing(shop):
    start()
    run_jobs()
    before = list(Customer.objects.values())
    again = start()
    run_jobs()
    assert counts(again) == (3, 0, 0, 2, 1)
    assert list(Customer.objects.values()) == before


def test_the_job_run_twice_counts_nothing_twice(shop):
    found = start()
    run_jobs()
    assert jobs.import_customers(found.pk)["done"] == 3
    assert counts(found) == (3, 1, 1, 0, 1)


def test_of_two_rows_for_one_address_the_last_one_counts(db):
    start("name,email\nAda,ada@example.com\nAda Byron,ADA@example.com\n")
    run_jobs(raise_errors=True)
    assert Customer.objects.get().name == "Ada Byron"


def test_imported_customers_get_no_mail_and_a_rename_unsubscribes_nobody(shop, provider):
    start()
    run_jobs()
    campaigns.start(shop)
    run_jobs()
    assert len(provider) == 3
    assert Customer.objects.get(email="ada@example.com").subscribed


def test_progress_is_reported_every_hundred_rows(db):
    start(sample_csv(rows=240))
    run_jobs(raise_errors=True)
    progress = JobProgress.objects.get()
    assert (progress.done, progress.total) == (240, 240)
    assert loading.BATCH == 100


def test_a_cancel_in_the_middle_keeps_what_is_in_and_a_retry_goes_on_from_there(db):
    found = start(sample_csv(rows=240))
    jobs.import_customers(StopsAfter(2), found.pk)
    assert counts(found) == (200, 200, 0, 0, 0)
    assert Customer.objects.count() == 200
    jobs.import_customers(found.pk)
    assert counts(found) == (240, 240, 0, 0, 0)


def test_a_batch_that_fails_leaves_neither_customers_nor_counts(db, monkeypatch):
    found = start(sample_csv(rows=240))

    def crash(*_, **__):
        raise RuntimeError("power cut")

    monkeypatch.setattr(CustomerImport, "save", crash)
    with pytest.raises(RuntimeError, match="power cut"), transaction.atomic():
        jobs.import_customers(found.pk)
    assert counts(found) == (0, 0, 0, 0, 0)
    assert not Customer.objects.exists()


def test_the_list_of_bad_rows_has_an_end(client, db):
    found = start("name,email\n" + "Nobody,nowhere\n" * 50)
    run_jobs()
    assert found.problems == []
    assert counts(found) == (50, 0, 0, 0, 50)
    assert len(found.problems) == loading.SHOWN_PROBLEMS
    assert "the first 20 of 50" in page(client, found)


def test_a_file_that_is_gone_is_not_tried_again(client, db):
    found = start()
    found.file.delete(save=False)
    run_jobs()
    job = Job.objects.get()
    assert (job.state, job.attempt) == ("FAILED", 1)
    assert "Please upload it again" in page(client, found)


def test_the_form_keeps_the_file_under_a_name_of_ours_and_starts_a_job(client, db, settings):
    response = upload(client, TABLE.encode())
    found = CustomerImport.objects.get()
    assert response.headers["Location"] == found.get_absolute_url()
    assert Job.objects.get().pk == found.job_id
    assert found.name == "customers.csv"
    (kept,) = (settings.MEDIA_ROOT / "imports").iterdir()
    assert kept.read_text() == TABLE
    assert kept.name == found.file.name.removeprefix("imports/")
    assert "customers" not in kept.name


@pytest.mark.parametrize(
    "name", ["../../../evil.csv", "/etc/evil.csv", "..\\..\\evil.csv", "a/../../evil.csv"]
)
def test_a_name_cannot_lead_out_of_the_folder(client, db, settings, tmp_path, name):
    upload(client, TABLE.encode(), name)
    files = [path for path in tmp_path.rglob("*.csv") if path.is_file()]
    assert [path.parent for path in files] == [settings.MEDIA_ROOT / "imports"]
    assert not list(tmp_path.parent.glob("**/evil.csv"))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("customers.csv", b"", "The file is empty."),
        ("customers.xlsx", TABLE.encode(), "ends in .csv"),
        ("customers.csv", b"\x89PNG\r\n\x1a\n\x00\xff", "not text in UTF-8"),
        ("customers.csv", b"first,second\n1,2\n", "names no column name and no column email"),
        ("customers.csv", b"x" * (reading.MAX_BYTES + 1), "too big"),
    ],
)
def test_a_file_that_no_job_could_read_is_refused_and_nothing_is_kept(
    client, db, settings, name, content, why
):
    response = upload(client, content, name)
    assert response.status_code == 422
    assert why in response.content.decode()
    assert not Job.objects.exists()
    assert not settings.MEDIA_ROOT.exists()


def test_without_a_file_the_form_asks_for_one(client, db):
    response = client.post(reverse("shop:imports"))
    assert response.status_code == 422
    assert "Please choose a file." in response.content.decode()


def test_hostile_cells_and_names_are_shown_as_text(client, db):
    text = 'name,email\n"<script>alert(1)</script>",<img src=x>\n'
    found = start(text, name="<script>alert(2)</script>.csv")
    run_jobs()
    for shown in (page(client, found), client.get(reverse("shop:imports")).content.decode()):
        assert "<script>alert" not in shown
        assert "<img src=x>" not in shown
    assert "&lt;img src=x&gt;" in page(client, found)


def test_the_page_asks_again_until_the_import_has_ended(client, shop):
    found = start()
    before = page(client, found, **HTMX)
    assert "waiting for a worker" in before
    assert "python manage.py runworker" in before
    assert "hx-trigger" in before
    assert "Cancel</button>" in before
    assert "<html" not in before
    assert '<meta http-equiv="refresh"' in page(client, found)
    run_jobs()
    after = page(client, found, **HTMX)
    assert "rows read, all done" in after
    assert "hx-trigger" not in after
    assert "</button>" not in after
    assert "http-equiv" not in page(client, found)


def test_an_import_that_did_not_begin_is_cancelled_at_once_and_can_go_on(client, shop):
    found = start()
    client.post(reverse("shop:cancel-import", args=[found.pk]))
    assert "cancelled after 0 rows" in page(client, found)
    client.post(reverse("shop:resume-import", args=[found.pk]))
    run_jobs()
    assert "all done" in page(client, found)


def test_an_import_that_has_ended_cannot_be_cancelled(client, shop):
    found = start()
    run_jobs()
    url = reverse("shop:cancel-import", args=[found.pk])
    assert "it is successful" in client.post(url, follow=True).content.decode()


def test_the_page_still_knows_the_result_when_the_job_was_pruned(client, shop):
    found = start()
    run_jobs()
    Job.objects.all().delete()
    assert "all done" in page(client, found)


def test_the_sample_file_is_offered_and_can_be_imported(client, db):
    response = client.get(reverse("shop:sample"))
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert upload(client, response.content).status_code == 302
    run_jobs(raise_errors=True)
    found = CustomerImport.objects.get()
    assert counts(found) == (2_007, 2_000, 0, 0, 7)
    assert "&lt;b&gt;not an address&lt;/b&gt;" in page(client, found)


@pytest.mark.parametrize("name", ["cancel-import", "resume-import"])
def test_only_a_post_changes_anything(client, db, name):
    found = start()
    assert client.get(reverse(f"shop:{name}", args=[found.pk])).status_code == 405
    assert client.post(reverse(f"shop:{name}", args=[found.pk + 1])).status_code == 404


@pytest.fixture
def run_worker(environment, tmp_path):
    """Return how to start a real worker that rests after each batch."""
    started = []

    def start(pause):
        log = tmp_path / f"worker-{len(started)}.log"
        started.append(WorkerTree({**environment, "IMPORT_PAUSE": str(pause)}, log))
        return started[-1]

    yield start
    for worker in started:
        worker.kill_all()


@pytest.mark.skipif(not PROCESSES.exists(), reason="looks for processes in /proc")
def test_a_real_worker_stops_in_the_middle_and_another_one_goes_on(client, run_worker):
    found = start(sample_csv())
    slow = run_worker(pause=0.5)
    until(lambda: counts(found)[0] >= 200, what=slow.text)
    assert "hx-trigger" in page(client, found, **HTMX)
    client.post(reverse("shop:cancel-import", args=[found.pk]))
    until(
        lambda: Job.objects.get(name__endswith="import_customers").state == "CANCELLED",
        what=slow.text,
    )
    done = counts(found)[0]
    assert 200 <= done < 2_007
    assert f"cancelled after {done} rows" in page(client, found)
    assert Customer.objects.count() == found.added
    assert slow.stop() == 0
    client.post(reverse("shop:resume-import", args=[found.pk]))
    quick = run_worker(pause=0)
    until(
        lambda: Job.objects.get(name__endswith="import_customers").state == "SUCCESSFUL",
        what=quick.text,
    )
    assert counts(found) == (2_007, 2_000, 0, 0, 7)
    assert quick.stop() == 0
