"""The addresses that the tests visit: the admin, as most projects have it."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
