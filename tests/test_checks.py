from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from django_jobs import JobContext, checks, clock, job
from tests.factories import ClaimFactory, JobFactory, ScheduleFactory, WorkerFactory


def found(**options: Any) -> dict[str, Any]:
    """Return the messages of our checks by their short id."""
    tags = ["django_jobs", "database"] if options else ["django_jobs"]
    return {
        message.id.removeprefix("django_jobs."): message
        for message in run_checks(tags=tags, **options)
        if message.id.startswith("django_jobs.")
    }


def given_database(monkeypatch, vendor, options):
    """Let the checks see one database of this kind."""
    database = SimpleNamespace(vendor=vendor, settings_dict={"OPTIONS": options})
    monkeypatch.setattr(checks, "connections", {"default": database})


def test_the_test_project_itself_has_nothing_to_report():
    assert found() == {}


def test_an_unknown_key_is_an_error(settings):
    settings.DJANGO_JOBS = {"LEESE": 3}
    assert 'Did you mean "LEASE"?' in found()["E001"].msg


def test_an_unknown_database_is_an_error_with_the_nearest_alias(settings):
    settings.DJANGO_JOBS = {"DATABASE": "defualt"}
    message = found()["E003"]
    assert message.msg == 'DJANGO_JOBS["DATABASE"] is "defualt", which is not in DATABASES.'
    assert message.hint == 'Did you mean "default"?'


def test_two_jobs_of_one_name_are_an_error_that_shows_both_places():
    @job(name="shop.double")
    def first():
        pass

    @job(name="shop.double")
    def second():
        pass

    message = checks.check_names()[0]
    assert message.id == "django_jobs.E008"
    assert first.source in message.msg
    assert second.source in message.msg


def test_a_job_inside_a_function_is_an_error():
    @job(name="shop.hidden")
    def hidden():
        pass

    assert "shop.hidden is not at module level" in found()["E010"].msg


def test_a_job_of_the_main_script_is_an_error():
    def lost():
        pass

    lost.__module__, lost.__qualname__ = "__main__", "lost"
    job(lost)
    assert "__main__.lost is declared in __main__" in found()["E010"].msg


def test_naive_times_are_an_error(settings):
    settings.USE_TZ = False
    assert found()["E011"].hint == "Set USE_TZ = True."


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, "transaction_mode IMMEDIATE and journal_mode WAL"),
        ({"transaction_mode": "IMMEDIATE"}, "journal_mode WAL"),
        ({"init_command": "PRAGMA journal_mode = wal"}, "transaction_mode IMMEDIATE"),
    ],
)
def test_sqlite_without_its_options_is_a_warning_that_shows_them(monkeypatch, options, missing):
    given_database(monkeypatch, "sqlite", options)
    [message] = checks.check_sqlite()
    assert message.id == "django_jobs.W001"
    assert message.msg == f'The SQLite database "default" holds jobs without {missing}.'
    assert '"transaction_mode": "IMMEDIATE",' in message.hint
    assert "PRAGMA journal_mode=WAL" in message.hint


@pytest.mark.parametrize(
    ("vendor", "options"),
    [
        ("postgresql", {}),
        ("sqlite", {"transaction_mode": "immediate", "init_command": "PRAGMA journal_mode=WAL;"}),
    ],
)
def test_a_database_that_is_set_up_well_is_no_warning(monkeypatch, vendor, options):
    given_database(monkeypatch, vendor, options)
    assert checks.check_sqlite() == []


def test_a_runworker_of_another_app_is_a_warning(monkeypatch):
    monkeypatch.setattr(checks, "get_commands", lambda: {"runworker": "channels"})
    assert "is the command of channels" in found()["W002"].msg


def test_a_time_limit_beyond_the_grace_is_a_warning():
    @job(name="shop.slow", timeout=timedelta(minutes=5))
    def slow():
        pass

    assert "shop.slow may take 300 s, but a stopping worker waits only 30 s" in found()["W003"].msg


def test_a_job_that_asks_whether_it_should_stop_may_take_its_time():
    @job(name="shop.slow", timeout=timedelta(minutes=5))
    def slow(context: JobContext):
        while not context.should_stop():
            pass

    assert "W003" not in found()


def test_a_model_as_a_parameter_is_a_warning():
    @job(name="shop.greet")
    def greet(user: User):
        pass

    message = found()["W006"]
    assert 'The parameter "user" of shop.greet has the type User, a model' in message.msg
    assert message.hint == "Pass user.pk and load the object in the job."


def forget_newest_migration():
    """Let the newest migration be missing, and return its name."""
    ((_, newest),) = MigrationLoader(connection).graph.leaf_nodes("django_jobs")
    MigrationRecorder(connection).record_unapplied("django_jobs", newest)
    return newest


@pytest.mark.django_db
class TestTheDatabase:
    """What `check --database default` finds."""

    @pytest.fixture(autouse=True)
    def _frozen(self, frozen_clock):
        pass

    def messages(self):
        """Return the messages but W023: test servers run with synchronous_commit off."""
        every = found(databases=["default"])
        return {name: message for name, message in every.items() if name != "W023"}

    def test_an_empty_database_has_nothing_to_report(self):
        assert self.messages() == {}

    def test_nothing_is_asked_without_a_database(self, django_assert_num_queries):
        JobFactory()
        with django_assert_num_queries(0):
            assert found() == {}
            assert found(databases=["other"]) == {}

    def test_missing_migrations_are_named_with_the_command(self):
        newest = forget_newest_migration()
        message = self.messages()["W020"]
        assert newest in message.msg
        assert message.hint == "Run: python manage.py migrate --database default"

    def test_migrate_is_not_told_to_migrate(self, monkeypatch):
        forget_newest_migration()
        monkeypatch.setattr("sys.argv", ["manage.py", "migrate"])
        assert self.messages() == {}

    def test_jobs_that_nobody_will_run_are_a_warning(self):
        JobFactory(queue="mail")
        WorkerFactory(queues=["reports"])
        assert self.messages()["W021"].msg.endswith("no living worker serves: mail.")

    def test_jobs_of_silent_workers_are_a_warning(self):
        JobFactory.create_batch(2, running=True, silent=True)
        ClaimFactory(job_ids=[1], expires_at=clock.now() + timedelta(seconds=1))
        assert self.messages()["W022"].msg == "Jobs held by workers that stopped answering: 2."

    def test_disabled_schedules_are_a_warning_with_their_reasons(self):
        ScheduleFactory(name="old", disabled=True)
        ScheduleFactory(paused=True)
        assert self.messages()["W024"].msg == "Schedules are disabled: old (Its job is gone)."

    def test_overdue_schedules_are_a_warning(self):
        now = clock.now()
        ScheduleFactory(name="late", next_run_at=now - timedelta(seconds=61))
        ScheduleFactory(next_run_at=now - timedelta(seconds=59))
        text = "Schedules are due, and no worker deals with them: late."
        assert self.messages()["W025"].msg == text

    def test_schedules_that_are_switched_off_are_not_overdue(self, settings):
        settings.DJANGO_JOBS = {"SCHEDULES_ENABLED": False}
        ScheduleFactory(next_run_at=clock.now() - timedelta(days=1))
        assert self.messages() == {}

    def test_many_schedules_need_no_more_queries_and_are_not_all_named(
        self, django_assert_max_num_queries
    ):
        ScheduleFactory.create_batch(30, disabled=True)
        ScheduleFactory.create_batch(30, next_run_at=clock.now() - timedelta(days=1))
        with django_assert_max_num_queries(12):
            messages = self.messages()
        for number in ("W024", "W025"):
            assert messages[number].msg.endswith(", and more.")
            assert messages[number].msg.count("schedule-") == 10

    @pytest.mark.postgresql
    @pytest.mark.parametrize(("mode", "warned"), [("off", True), ("on", False)])
    def test_commits_that_a_crash_may_lose_are_a_warning(self, mode, warned):
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL synchronous_commit = {mode}")
        assert ("W023" in found(databases=["default"])) is warned
