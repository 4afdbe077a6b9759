"""Uses the installed package as a new project would: an app with a job, migrate, a worker.

Run it with `python -I` in an empty folder: only what the wheel brought is there then. The
project is made in that folder.
"""

import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.utils import translation

JOBS = """
from django_jobs import job

@job
def greet(name: str) -> str:
    return f"Hello {name}"
"""
CHECKOUT = Path(__file__).resolve().parents[1]
HERE = Path.cwd()

(HERE / "shop").mkdir(exist_ok=True)
(HERE / "shop" / "__init__.py").touch()
(HERE / "shop" / "jobs.py").write_text(JOBS)
(HERE / "jobs.sqlite3").unlink(missing_ok=True)
sys.path.insert(0, str(HERE))
settings.configure(
    SECRET_KEY="nothing to hide",
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": HERE / "jobs.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 5,
                "init_command": "PRAGMA journal_mode=WAL;",
            },
        }
    },
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_jobs", "shop"],
)
django.setup()

from shop.jobs import greet  # noqa: E402

import django_jobs  # noqa: E402 - after setup, as in a project

assert not Path(django_jobs.__file__).is_relative_to(CHECKOUT / "django_jobs"), "not the wheel"
call_command("check", "--fail-level", "WARNING")
call_command("migrate", verbosity=0)
call_command("makemigrations", "--check", "--dry-run", verbosity=0)
handle = greet.enqueue("world")
call_command("runworker", "--burst")
handle.refresh()
assert handle.result == "Hello world", handle.status
with translation.override("de"):
    assert translation.gettext("No failed jobs.") == "Keine fehlgeschlagenen Jobs."
print("The installed wheel works:", django_jobs.__file__)
