"""The pages of the reports. A request enqueues, or hands out what is ready; the worker writes."""

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from example_project.shop.models import Customer, CustomerReport
from example_project.shop.reports import preparing
from example_project.shop.watching import watch, watch_one

SHOWN = 10


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def reports(request: HttpRequest) -> HttpResponse:
    """Show the button and the latest reports; start one."""
    if request.method == "POST":
        return redirect(preparing.start(request))
    latest = list(CustomerReport.objects.all()[:SHOWN])
    jobs = watch(report.job_id for report in latest)
    context = {
        "reports": [(report, jobs[report.job_id]) for report in latest],
        "customers": Customer.objects.count(),
    }
    return render(request, "shop/reports.html", context)


@require_GET
@never_cache
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a report, and how far it is until it is ready."""
    report = get_object_or_404(CustomerReport, pk=pk)
    job = watch_one(report.job_id)
    # Read again: the job may have finished it between the two looks.
    report.refresh_from_db()
    context = {"report": report, "job": job, "live": job.live}
    return render(request, "shop/report.html", context)


@require_GET
@never_cache
def download(_request: HttpRequest, pk: int) -> FileResponse:
    """Hand out the file of a report that is finished."""
    report = get_object_or_404(CustomerReport, pk=pk)
    if not report.is_ready:
        raise Http404("This report is not ready.")
    name = f"customers-{report.finished_at:%Y-%m-%d}.csv"
    try:
        file = report.path.open("rb")
    except FileNotFoundError as error:
        raise Http404("This report is gone.") from error
    return FileResponse(file, as_attachment=True, filename=name, content_type="text/csv")
