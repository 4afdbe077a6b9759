"""The files of `demo --once`: the sample goes in, the report comes out, and what must hold then."""

import csv

from django.core.files.base import ContentFile

from example_project.shop.demo.report import Check
from example_project.shop.imports import sample, uploads
from example_project.shop.models import Customer, CustomerImport, CustomerReport
from example_project.shop.watching import watch_one


def import_sample() -> CustomerImport:
    """Start the import of the sample file."""
    return uploads.start(ContentFile(sample.sample_csv().encode(), "sample.csv"))


def has_ended(job_id: int | None) -> bool:
    """Say whether a job does nothing by itself any more."""
    return not watch_one(job_id).live


def checks(upload: CustomerImport, report: CustomerReport) -> list[Check]:
    """Return what must hold when both jobs have ended."""
    upload.refresh_from_db()
    report.refresh_from_db()
    words = [watch_one(one.job_id).word for one in (upload, report)]
    rows = sample.ROWS + len(sample.BAD)
    lines = _lines(report)
    customers = Customer.objects.count()
    return [
        Check(
            words[0] == "successful" and (upload.done, upload.bad) == (rows, len(sample.BAD)),
            f"import {words[0]}: {upload.done} of {rows} rows read, {upload.added} added, "
            f"{upload.changed} renamed, {upload.unchanged} known before, {upload.bad} bad",
        ),
        Check(
            words[1] == "successful" and lines == customers,
            f"report {words[1]}: {lines} lines for {customers} customers in {report.path}",
        ),
    ]


def _lines(report: CustomerReport) -> int:
    """Return the number of customers in the file, 0 when it is not there."""
    if not report.is_ready:
        return 0
    with report.path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1
