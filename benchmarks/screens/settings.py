"""Settings of the project whose admin is opened: a new project's, and nothing is cached.

What the screens share for two seconds would hide what it costs.
"""

from benchmarks.settings import *  # noqa: F403 - the same project, with an admin
from benchmarks.settings import INSTALLED_APPS as APPS
from benchmarks.settings import TEMPLATES as ENGINES

ALLOWED_HOSTS = ["testserver"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
DJANGO_JOBS = {"AUTODISCOVER": ["screens.jobs"]}
INSTALLED_APPS = [*APPS, "django_htmx"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "benchmarks.screens.urls"
STATIC_URL = "/static/"
TEMPLATES = [{**ENGINES[0], "APP_DIRS": True}]
