"""Starts a report: the row and the job that writes its file."""

from django.db import transaction
from django.http import HttpRequest

from example_project.shop.jobs import prepare_report
from example_project.shop.models import CustomerReport

UNIQUE_KEY = "customers-report"


def start(request: HttpRequest | None = None) -> CustomerReport:
    """Return a new report, or the one that is being prepared: two clicks are one report.

    Its job says who clicked: the user of `request`, if there is one.
    The key of the job decides, not a look before it: of two requests at once one gets the
    other's job.
    """
    with transaction.atomic():
        report = CustomerReport.objects.create()
        job = prepare_report.using(unique_key=UNIQUE_KEY, about=report, request=request)
        handle = job.enqueue(report.pk)
        before = CustomerReport.objects.filter(job_id=handle.id).first()
        if before is not None:
            report.delete()
            return before
        report.job_id = handle.id
        report.save(update_fields=["job_id"])
    return report
