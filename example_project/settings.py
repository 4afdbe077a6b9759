"""Settings of the example project. Everything has a default; the environment changes it.

| variable | meaning | default |
|---|---|---|
| `DATABASE_URL` | `postgresql://…`, `sqlite:///…`, or `embedded:` (bundled PostgreSQL) | SQLite file |
| `EMAIL_URL` | see `example_project/mailers.py` | `outbox:` (files, nothing leaves) |
| `SHOP_OWNER` | who gets the nightly report | `The owner <owner@example.com>` |
| `EXAMPLE_DATA_DIR` | folder of database, outbox, files and logs | `example_project/data` |
| `BASE_URL` | where the worker finds the web server | `http://127.0.0.1:8000` |
| `IMPORT_PAUSE` | seconds that an import rests after 100 rows, so that it can be watched | 0.6 |
| `REPORT_PAUSE` | seconds that a report rests after a tenth of its rows, for the same reason | 0.6 |
| `ORDER_PATIENCE` | seconds that an order waits for its payment | two days; 40 in the demo |
| `DEBUG`, `SECRET_KEY`, `ALLOWED_HOSTS` | as in Django | on, made once, this machine |
"""

import os
import secrets
from datetime import timedelta
from pathlib import Path

import django

try:
    import environ
except ImportError as error:
    raise SystemExit('The example project needs more packages: pip install -e ".[demo]"') from error

from example_project import mailers

PROJECT = Path(__file__).resolve().parent
environ.Env.read_env(PROJECT.parent / ".env")
env = environ.Env()

DATA_DIR = Path(env.str("EXAMPLE_DATA_DIR", str(PROJECT / "data"))).resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)

DEBUG = env.bool("DEBUG", True)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])


def _own_secret_key() -> str:
    """Return the key kept in the data folder; the first process to come makes it."""
    path = DATA_DIR / "secret-key"
    if not path.exists():
        draft = DATA_DIR / f"secret-key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50), encoding="ascii")
        try:
            path.hardlink_to(draft)  # all or nothing, and never over another process's key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii")


def _database(url: str) -> dict[str, object]:
    """Return the entry of `DATABASES` that `url` means."""
    config = dict(environ.Env.db_url_config(url))
    options = dict(config.get("OPTIONS", {}))
    if "pool" in options:  # arrives as text, and Django wants a bool
        options["pool"] = str(options["pool"]).lower() in {"1", "true", "on", "yes"}
    if config["ENGINE"] == "django.db.backends.sqlite3":
        # One writer at a time: take the lock at BEGIN and wait for it, instead of failing
        # in the middle; WAL lets readers go on meanwhile.
        pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        options = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 5,
            "init_command": pragmas,
            **options,
        }
    return {**config, "OPTIONS": options, "CONN_HEALTH_CHECKS": True}


def _database_url() -> str:
    """Return the database's address; `embedded:` starts the bundled PostgreSQL first."""
    url = env.str("DATABASE_URL", f"sqlite:///{DATA_DIR / 'shop.sqlite3'}")
    if not url.startswith("embedded:"):
        return url
    from example_project import postgres  # noqa: PLC0415 - not needed with other databases

    folder = DATA_DIR / "postgres"
    try:
        url = postgres.start(folder, durable=True, source="wheel").url
    except postgres.NotAvailable:  # no wheel for this machine, or the data is another version's
        url = postgres.start(folder, durable=True).url
    # Child processes (web server, worker, reloader) must use this server, not start another.
    os.environ["DATABASE_URL"] = url
    os.environ["EXAMPLE_EMBEDDED"] = "1"
    return url


SECRET_KEY = env.str("SECRET_KEY", default="") or _own_secret_key()
DATABASES = {"default": _database(_database_url())}
EMBEDDED_POSTGRES = env.bool("EXAMPLE_EMBEDDED", False)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "anymail",
    "django_jobs",
    "example_project.shop",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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

ROOT_URLCONF = "example_project.urls"
STATIC_URL = "static/"
USE_TZ = True
TIME_ZONE = "UTC"

# The partners' webhooks are pages of this project; `manage.py demo` says which port it took.
BASE_URL = env.str("BASE_URL", "http://127.0.0.1:8000")

# Uploads and reports lie here; nothing is served from it except by a view that knows what it serves.
MEDIA_ROOT = DATA_DIR / "files"
IMPORT_PAUSE = env.float("IMPORT_PAUSE", 0.6)
REPORT_PAUSE = env.float("REPORT_PAUSE", 0.6)
ORDER_PATIENCE = timedelta(seconds=env.float("ORDER_PATIENCE", 2 * 24 * 60 * 60))

DEFAULT_FROM_EMAIL = "Corner Shop <shop@example.com>"
SHOP_OWNER = env.str("SHOP_OWNER", "The owner <owner@example.com>")
OUTBOX = {
    "folder": str(DATA_DIR / "outbox"),
    # These two mailboxes are "busy" at the first attempt, so that the demo shows a retry.
    "refuse_once": env.list("OUTBOX_REFUSE_ONCE", default=mailers.BUSY_MAILBOXES),
    "latency": env.float("OUTBOX_LATENCY", 0.25),
}
_mailer = mailers.parse(env.str("EMAIL_URL", "outbox:"), OUTBOX)
if django.VERSION >= (6, 1):
    MAILERS = mailers.as_mailers(_mailer)
else:
    globals().update(mailers.as_old_settings(_mailer))
