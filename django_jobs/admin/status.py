"""How the jobs are in a line, for a page of the project's: as the dashboard's headline says."""

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from django_jobs.admin.dashboard.regions import MARKS
from django_jobs.admin.refreshing import shared_overview
from django_jobs.admin.screens import LABEL
from django_jobs.reports.verdict import judge

LINE = '<a class="jobs-status jobs-{}" href="{}"><span aria-hidden="true">{}</span> {}: {}</a>'


def status_line(request: HttpRequest) -> SafeString | str:
    """Return a link to the dashboard; "" for whoever may not see jobs."""
    if not request.user.has_perm("django_jobs.view_job"):
        return ""
    found = judge(shared_overview())
    site = getattr(request, "current_app", None)
    url = reverse("admin:app_list", kwargs={"app_label": LABEL}, current_app=site)
    return format_html(LINE, found.level, url, MARKS[found.level], _("Jobs"), found.headline)
