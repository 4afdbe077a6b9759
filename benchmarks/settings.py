"""Settings of the measured project: a new project's apps, and the database `BENCH_DATABASE`.

`BENCH_DATABASE` is the entry of `DATABASES` as JSON; `python -m benchmarks` sets it.
`BENCH_LISTEN=no` measures polling.
"""

import json
import os

DATABASES = {"default": json.loads(os.environ["BENCH_DATABASE"])}
DJANGO_JOBS = {"LISTEN": os.environ.get("BENCH_LISTEN") != "no"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "benchmarks"
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "benchmarks.settings"
urlpatterns: list[object] = []
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_jobs",
    "benchmarks",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
