"""Settings of the test suite, and the one place that decides which database it runs on.

| variable             | meaning                                                              |
|----------------------|----------------------------------------------------------------------|
| `TEST_ENGINE`        | `sqlite` (default; a file, with WAL) or `postgresql`                 |
| `TEST_DATABASE_URL`  | the PostgreSQL server to use; without it one is started and shared   |
| `TEST_POSTGRES`      | whose PostgreSQL to start: `auto` (default), `system` or `wheel`     |
| `TEST_FOLDER`        | where files go; set by the first process, inherited by its children  |
| `TEST_DATABASE_NAME` | set for child processes that must see the running tests' database    |
| `TEST_OTHER_NAME`    | the same for the second database, `other`                            |
| `TEST_DJANGO_JOBS`   | the setting `DJANGO_JOBS` as JSON, for child processes               |
| `TEST_GAP_DEATHS`    | how many workers die between the same two statements (default: 1)    |

pytest-django reads the settings before anything else, so child processes and parallel test
workers find everything that is started here in their environment.
"""

import atexit
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from example_project import postgres

ENGINE = os.environ.get("TEST_ENGINE", "sqlite")
NO_POSTGRESQL = ""
"""Why there is no PostgreSQL although the tests were to run on it; they are skipped then."""


def _folder() -> Path:
    if known := os.environ.get("TEST_FOLDER"):
        return Path(known)
    folder = tempfile.mkdtemp(prefix="django_jobs-")
    os.environ["TEST_FOLDER"] = folder
    atexit.register(_remove, folder, os.getpid())
    return Path(folder)


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _sqlite(name: str, given: str | None = None) -> dict[str, Any]:
    path = given or str(FOLDER / f"{name}.sqlite3")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "TEST": {"NAME": str(FOLDER / f"{name}-test.sqlite3")},
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 5,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def _postgresql(given: str | None = None) -> dict[str, Any]:
    """Return the settings of the server under test; raises NotAvailable where there is none."""
    if not os.environ.get("TEST_DATABASE_URL"):
        server = postgres.start(source=os.environ.get("TEST_POSTGRES", "auto"))
        os.environ["TEST_DATABASE_URL"] = server.url
    settings = postgres.settings_from_url(os.environ["TEST_DATABASE_URL"])
    # Two suites may run on one server at the same time.
    settings["TEST"] = {"NAME": f"test_jobs_{FOLDER.name.removeprefix('django_jobs-')}"}
    return {**settings, "NAME": given} if given else settings


def _default() -> dict[str, Any]:
    given = os.environ.get("TEST_DATABASE_NAME")
    if ENGINE == "sqlite":
        return _sqlite("default", given)
    if ENGINE != "postgresql":
        raise ValueError(f'TEST_ENGINE must be "sqlite" or "postgresql", not "{ENGINE}".')
    return _postgresql(given)


FOLDER = _folder()
try:
    DEFAULT = _default()
except postgres.NotAvailable as error:
    if os.environ.get("CI"):
        raise
    NO_POSTGRESQL, DEFAULT = str(error), _sqlite("default")

DATABASES = {"default": DEFAULT, "other": _sqlite("other", os.environ.get("TEST_OTHER_NAME"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = os.environ.get("TEST_LANGUAGE", "en-us")
DJANGO_JOBS = json.loads(os.environ.get("TEST_DJANGO_JOBS", "{}"))

BASE_URL = "http://localhost:8000"
SECRET_KEY = "tests"
ALLOWED_HOSTS = ["testserver", "localhost"]
ROOT_URLCONF = "tests.urls"
STATIC_URL = "/static/"
USE_TZ = True
TIME_ZONE = "UTC"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_jobs",
    "tests",
    "tests.quiet_shop.QuietShop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
