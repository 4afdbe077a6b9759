"""The addresses: the admin, with the panel of jobs on the page of a row, and a job's progress."""

from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import include, path

from django_jobs.admin import JobsPanel


class GroupAdmin(JobsPanel, admin.ModelAdmin):  # type: ignore[misc]
    """A row of the project that jobs are about."""

    fields = ("name",)


admin.site.unregister(Group)
admin.site.register(Group, GroupAdmin)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("jobs/", include("django_jobs.urls")),
]
