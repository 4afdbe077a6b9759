"""What `demo --once` checks of its files: it must see what went wrong."""

import pytest

from django_jobs.models import Job
from django_jobs.testing import run_jobs
from example_project.shop.demo import files
from example_project.shop.models import Customer, CustomerImport
from example_project.shop.reports import preparing


@pytest.fixture
def done(shop):
    """The sample is in, and the report is out."""
    upload = files.import_sample()
    run_jobs()
    report = preparing.start()
    run_jobs()
    return upload, report


def wrong(done):
    return [check.text for check in files.checks(*done) if not check.holds]


def test_all_is_well_after_an_import_and_a_report(done):
    assert wrong(done) == []
    assert all(files.has_ended(one.job_id) for one in done)
    assert str(files.checks(*done)[0]).startswith("ok   import successful: 2007 of 2007 rows")


def test_an_import_that_did_not_read_all_rows_is_seen(done):
    CustomerImport.objects.update(done=2_000)
    assert wrong(done) == [files.checks(*done)[0].text]
    assert str(files.checks(*done)[0]).startswith("BAD  import successful: 2000 of 2007")


def test_a_report_that_is_not_there_is_seen(done):
    done[1].path.unlink()
    assert "0 lines for 2003 customers" in wrong(done)[0]


def test_a_customer_who_is_missing_in_the_report_is_seen(done):
    Customer.objects.create(name="Late", email="late@example.com")
    assert "2003 lines for 2004 customers" in wrong(done)[0]


def test_a_job_that_did_not_succeed_is_seen(done):
    Job.objects.filter(pk=done[1].job_id).update(state="FAILED")
    assert "report failed" in wrong(done)[0]
