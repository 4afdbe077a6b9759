"""Addresses of the example project: the shop, Django's admin, and what `job_progress` asks."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("jobs/", include("django_jobs.urls")),
    path("", include("example_project.shop.urls")),
]
