"""The pages of the imports. A request keeps the file and enqueues; the worker reads it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from django_jobs import operations
from django_jobs.operations import OperationResult
from example_project.shop.forms import ImportForm
from example_project.shop.imports import uploads
from example_project.shop.imports.sample import sample_csv
from example_project.shop.models import CustomerImport
from example_project.shop.watching import watch, watch_one

SHOWN = 10


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def imports(request: HttpRequest) -> HttpResponse:
    """Show the form and the latest imports; start one."""
    form = ImportForm()
    if request.method == "POST":
        form = ImportForm(request.POST, request.FILES)
        if form.is_valid():
            return redirect(uploads.start(form.cleaned_data["file"]))
    latest = list(CustomerImport.objects.all()[:SHOWN])
    jobs = watch(upload.job_id for upload in latest)
    context = {"form": form, "imports": [(upload, jobs[upload.job_id]) for upload in latest]}
    return render(request, "shop/imports.html", context, status=422 if form.errors else 200)


@require_GET
@never_cache
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an import; to htmx only how far it is."""
    # The job is looked at first: one that has ended in between is asked for again, not missed.
    upload = get_object_or_404(CustomerImport, pk=pk)
    job = watch_one(upload.job_id)
    upload.refresh_from_db()
    template = "shop/_import.html" if request.htmx else "shop/import.html"
    return render(request, template, {"import": upload, "job": job, "live": job.live})


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the job to stop; what is in stays in."""
    upload = get_object_or_404(CustomerImport, pk=pk)
    _explain(request, operations.cancel([upload.job_id]))
    return redirect(upload)


@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a stopped import go on."""
    upload = get_object_or_404(CustomerImport, pk=pk)
    _explain(request, operations.retry([upload.job_id]))
    return redirect(upload)


@require_GET
def sample_file(_request: HttpRequest) -> HttpResponse:
    """Return a file to try the import with."""
    headers = {"Content-Disposition": 'attachment; filename="customers.csv"'}
    return HttpResponse(sample_csv(), content_type="text/csv; charset=utf-8", headers=headers)


def _explain(request: HttpRequest, result: OperationResult) -> None:
    for reason in result.refused.values():
        messages.warning(request, f"Nothing was changed: {reason}.")
