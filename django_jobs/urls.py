"""What a project includes: `path("jobs/", include("django_jobs.urls"))`."""

from django.urls import path

from django_jobs.progress import progress

app_name = "django_jobs"
urlpatterns = [path("progress/<str:token>/", progress, name="progress")]
