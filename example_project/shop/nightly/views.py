"""The page of the nightly report. A request may start, pause and resume; workers do the rest."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from django_jobs import schedules
from django_jobs.exceptions import ScheduleNotFound
from example_project.shop import jobs
from example_project.shop.models import DayFigures, NightlyReport
from example_project.shop.nightly import figures, looking
from example_project.shop.watching import Watched, watch

NIGHTLY, RECOUNT = jobs.nightly_report.name, jobs.recount.name
SHOWN = 10


@require_GET
@never_cache
def nightly(request: HttpRequest) -> HttpResponse:
    """Show the schedule, its planned times and the reports; to htmx only what changes."""
    template = "shop/_nightly.html" if request.htmx else "shop/nightly.html"
    return render(request, template, _look())


@require_POST
def run(request: HttpRequest) -> HttpResponse:
    """Start the report by hand; the next planned time stays."""
    try:
        schedules.run_now(NIGHTLY)
    except ScheduleNotFound as error:
        _explain(request, error)
    return redirect("shop:nightly")


@require_POST
def pause(request: HttpRequest) -> HttpResponse:
    """Let no planned time lead to a job, until somebody resumes."""
    who = request.user.get_username() or "a visitor of the shop"
    try:
        schedules.pause(NIGHTLY, by=who)
    except ScheduleNotFound as error:
        _explain(request, error)
    return redirect("shop:nightly")


@require_POST
def resume(request: HttpRequest) -> HttpResponse:
    """Go on with the next planned time."""
    try:
        schedules.resume(NIGHTLY)
    except ScheduleNotFound as error:
        _explain(request, error)
    return redirect("shop:nightly")


def _look() -> dict[str, Any]:
    """Return what the page shows; the number of queries does not depend on how much that is."""
    schedule, recount = looking.standings([NIGHTLY, RECOUNT], timezone.now())
    ticks = looking.latest_ticks(schedule)
    mailing = NightlyReport.objects.values_list("job_id", flat=True)[:SHOWN]
    seen = watch([*(tick.job_id for tick in ticks), *mailing])
    # What jobs wrote is read after a look at them: who has ended by then has written it.
    reports = NightlyReport.objects.all()[:SHOWN]
    told = looking.results(seen)
    return {
        "zone": schedule.row.timezone if schedule.row else figures.ZONE,
        "schedule": schedule,
        "recount": recount,
        "today": DayFigures.objects.first(),
        "past": [looking.Past(tick, seen[tick.job_id], told.get(tick.job_id)) for tick in ticks],
        "reports": [
            (report, seen.get(report.job_id, Watched(report.job_id))) for report in reports
        ],
        "live": any(job.live for job in seen.values()),
    }


def _explain(request: HttpRequest, error: Exception) -> None:
    messages.warning(request, f"{error} “manage.py migrate” writes it.")
