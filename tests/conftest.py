"""What all tests share: a clock that stands still, clean registries, the database's address."""

import os
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings as django_settings
from django.db import connections

from django_jobs import announcements, clock, conf, registry

# Starts servers of its own, whatever the suite runs on: once is enough.
collect_ignore = [] if django_settings.ENGINE == "sqlite" else ["test_postgres_launcher.py"]
# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
NOON = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)


def pytest_collection_modifyitems(config, items):
    """Skip what needs a PostgreSQL that is not there, and say so."""
    reason = django_settings.NO_POSTGRESQL
    for item in items:
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
        elif item.get_closest_marker("postgresql") and django_settings.ENGINE != "postgresql":
            item.add_marker(pytest.mark.skip(reason="only on PostgreSQL"))


def pytest_terminal_summary(terminalreporter):
    """Make a run without its database impossible to overlook."""
    if django_settings.NO_POSTGRESQL:
        terminalreporter.section("POSTGRESQL WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(django_settings.NO_POSTGRESQL)


@pytest.fixture
def frozen_clock():
    """Freeze the package's clock at noon of 15 January 2030; `advance()` moves it."""
    with clock.frozen(NOON) as standing:
        yield standing


@pytest.fixture(autouse=True)
def _clean_registry(monkeypatch):
    """Forget the jobs that a test declared."""
    for name in ("_definitions", "_aliases", "_doubles"):
        monkeypatch.setattr(registry, name, getattr(registry, name).copy())
    yield
    registry._change()


@pytest.fixture(autouse=True)
def _fresh_memories():
    """Read `DJANGO_JOBS` anew in the next test, and see queues anew: their rows are gone."""
    yield
    conf.get_settings.cache_clear()
    announcements.forget()


@pytest.fixture
def worker_environment(transactional_db):
    """Return the environment in which a child process sees this test's database.

    Use it as `subprocess.Popen([sys.executable, "-m", "django", "runworker"], env=…)`. The
    test needs committed rows, hence `transactional_db`.
    """
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "TEST_DATABASE_NAME": str(connections["default"].settings_dict["NAME"]),
        "TEST_OTHER_NAME": str(connections["other"].settings_dict["NAME"]),
    }


@pytest.fixture
def staff(client):
    """Log in as a member of staff with the named permissions; call it with their names."""

    from django.contrib.auth.models import Permission, User

    def login(*codenames):
        user = User.objects.create_user("ana", is_staff=True)
        wanted = Permission.objects.filter(
            codename__in=codenames, content_type__app_label="django_jobs"
        )
        assert len(wanted) == len(codenames)
        user.user_permissions.set(wanted)
        client.force_login(user)
        return client

    return login
