"""How far a job is, for the one who waits for it: a fragment of a page, by a signed address.

Whoever has the address may look, without a login, until it expires; a job's number is not enough.
It shows the state, the progress and its note; what the job returned only if the page says so, and
never its arguments or its errors.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_jobs.conf import get_settings
from django_jobs.handles import JobHandle
from django_jobs.models import Job, JobProgress, JobRun
from django_jobs.states import FINAL, State, label

DEFAULT_TEMPLATE = "django_jobs/progress.html"
SALT = "django_jobs.progress"
STOP = 286
"""The status at which htmx stops to ask."""

GONE = 410
FINISHED = "job-finished"
"""The event that the page gets, by htmx, when the job has ended."""

WORDS = {
    "ready": gettext_lazy("Waiting to start"),
    "scheduled": gettext_lazy("Starts later"),
    "retrying": gettext_lazy("Will be tried again"),
    "waiting": gettext_lazy("Goes on later"),
    "running": gettext_lazy("In progress"),
    "stopping": gettext_lazy("Stopping"),
    "successful": gettext_lazy("Done"),
    "failed": gettext_lazy("This did not work"),
    "cancelled": gettext_lazy("Cancelled"),
}
"""The states in words of people who know no jobs."""


class Watch(NamedTuple):
    """What an address permits: to see the job of that number, with its result or not, and how."""

    job_id: int
    show_result: bool = False
    template: str = DEFAULT_TEMPLATE


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a job, as the template gets it.

    `state` ("" of a job that is gone), `words` for it; `done`, `total` (`None`: unknown) and `note`,
    as the job has reported them; `result`: `None` unless it is to be shown.
    """

    state: str = ""
    words: str = ""
    done: int = 0
    total: int | None = None
    note: str = ""
    result: Any = None

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return not self.state or self.state in FINAL

    @property
    def is_successful(self) -> bool:
        """Whether the job has ended well."""
        return self.state == State.SUCCESSFUL

    @property
    def percent(self) -> str | None:
        """How much is done, in percent, rounded down; `None` where nobody can say.

        A text, so that no language puts separators into it.
        """
        if self.is_successful:
            return "100"
        if self.total and self.total > 0:
            return str(max(0, min(100, 100 * self.done // self.total)))
        return None if self.state == State.RUNNING else "0"

    @property
    def result_text(self) -> str:
        """The result, if it is a text or a number; templates of yours look into others."""
        shown = isinstance(self.result, (str, int, float)) and not isinstance(self.result, bool)
        return str(self.result) if shown else ""


@login_not_required
@never_cache
@require_safe
def progress(request: HttpRequest, token: str) -> HttpResponse:
    """Give the fragment anew; the status 286 tells htmx that it is final."""
    by_htmx = request.headers.get("HX-Request") == "true"
    age = timedelta(seconds=get_settings().PROGRESS_MAX_AGE)
    try:
        watch = Watch(*signing.loads(token, salt=SALT, max_age=age))
    except signing.SignatureExpired:
        text = _("This page is too old. Load it anew to see how far it is.")
        shown = format_html('<p class="job-progress" role="status">{}</p>', text)
        return HttpResponse(shown, status=STOP if by_htmx else GONE)
    except signing.BadSignature:
        raise Http404 from None
    text, final = fragment(watch, token)
    headers = {"HX-Trigger": FINISHED} if final else {}
    return HttpResponse(text, status=STOP if final and by_htmx else 200, headers=headers)


def number_of(job: Any) -> int | None:
    """Return the number of a job that is given by itself, its handle or its number."""
    number = job.id if isinstance(job, (JobHandle, Job)) else job
    if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
        raise TypeError(f"job_progress takes a job, its handle or its number, got {job!r}.")
    return number


def fragment(watch: Watch, token: str = "") -> tuple[SafeString, bool]:
    """Return the fragment, and whether it is final; `token`: as it is, it is not made younger."""
    seen, interval = look(watch), get_settings().PROGRESS_REFRESH
    values = {
        "progress": seen,
        "url": _address(token or signing.dumps(list(watch), salt=SALT)),
        "interval": f"{interval:g}" if interval and not seen.is_final else "",
    }
    return render_to_string(watch.template, values), seen.is_final


def look(watch: Watch) -> Progress:
    """Return how far the job is: one query."""
    alias = get_settings().DATABASE
    reported = JobProgress.objects.filter(job_id=OuterRef("pk"))
    more = {name: Subquery(reported.values(name)) for name in ("done", "total", "note")}
    if watch.show_result:
        newest = JobRun.objects.filter(job=OuterRef("pk")).order_by("-id")
        more["result"] = Subquery(newest.values("result")[:1])
    fields = ("state", "attempt", "cancel_requested_at", "waiting_for", *more)
    jobs = Job.objects.using(alias).filter(pk=watch.job_id)
    row = jobs.annotate(**more).values(*fields).first()
    if row is None:
        return Progress(words=_("Nothing is known of this any more"))
    word = label(
        row["state"],
        row["attempt"],
        cancel_requested=bool(row["cancel_requested_at"]),
        waits=bool(row["waiting_for"]),
    )
    is_successful = row["state"] == State.SUCCESSFUL
    return Progress(
        state=row["state"],
        words=str(WORDS[word]),
        done=row["done"] or 0,
        total=row["total"],
        note=row["note"] or "",
        result=row.get("result") if is_successful else None,
    )


def _address(token: str) -> str:
    try:
        return reverse("django_jobs:progress", args=[token])
    except NoReverseMatch:
        raise ImproperlyConfigured(
            "{% job_progress %} asks an address that the project does not have. Add it to its urls: "
            'path("jobs/", include("django_jobs.urls")).'
        ) from None
