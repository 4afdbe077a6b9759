"""Jobs in Django's admin: a dashboard at `/admin/jobs/`, and pages to read and to act on.

Rows are never saved here; what an operator may do goes through `operations` and `schedules`.
Arguments, results and logs are shown to those with `view_job_payload` only, and
even to them without secrets.
"""

from django.contrib.admin import site

from django_jobs.admin.batches import BatchAdmin
from django_jobs.admin.bulk.pages import BulkOperationAdmin
from django_jobs.admin.events import EventAdmin
from django_jobs.admin.jobs import JobAdmin, JobRunAdmin
from django_jobs.admin.panel import JobsPanel
from django_jobs.admin.queues.page import QueueAdmin
from django_jobs.admin.routing import JobsAdminSite, JobsAdminSiteMixin, install
from django_jobs.admin.schedules.pages import ScheduleAdmin
from django_jobs.admin.workers import WorkerAdmin
from django_jobs.conf import get_settings

__all__ = [
    "BatchAdmin",
    "BulkOperationAdmin",
    "EventAdmin",
    "JobAdmin",
    "JobRunAdmin",
    "JobsAdminSite",
    "JobsAdminSiteMixin",
    "JobsPanel",
    "QueueAdmin",
    "ScheduleAdmin",
    "WorkerAdmin",
    "install",
]

# The admin imports this module when it looks for admin modules: by then the project, or a theme,
# has said which site is the default one.
if get_settings().ADMIN_AUTO:
    install(site)
