"""The addresses that the browser visits: those of all tests, and a page of the project's own."""

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path

from tests.urls import urlpatterns as of_all_tests


def favicon(_request):
    """Answer what every browser asks for by itself."""
    return HttpResponse(status=204)


def waiting(request, job_id):
    """Show how far a job is to somebody who has no login."""
    return render(request, "tests/waiting.html", {"job_id": job_id})


urlpatterns = [
    *of_all_tests,
    path("favicon.ico", favicon),
    path("waiting/<int:job_id>/", waiting),
]
