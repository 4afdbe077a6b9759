"""The addresses that the tests visit: the admin, and ours for people, as projects have them."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("jobs/", include("django_jobs.urls")),
]
