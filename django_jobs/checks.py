"""System checks: what is wrong with the project's set-up, before anything runs.

Those that look into the database run with `check --database ALIAS` only.
"""

import inspect
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.core.management import get_commands
from django.db import connections, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Func, TextField, Value

from django_jobs import clock, conf, registry
from django_jobs.conf import get_settings
from django_jobs.models import Claim, Schedule
from django_jobs.reports.summary import CAP, unserved
from django_jobs.subjects import KeyIn
from django_jobs.timetables.planning import PUNCTUAL

NAMED = 10
"""So many schedules are named in a message; of the others there is only word."""

SQLITE_HINT = """In DATABASES, give the alias "{alias}":
    "OPTIONS": {{
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }}"""


@register("django_jobs")
def check_settings(**_: Any) -> list[CheckMessage]:
    """E001 and E002: unknown and unusable keys of `DJANGO_JOBS`."""
    values = getattr(django_settings, conf.NAME, {})
    return [Error(message, id=f"django_jobs.{number}") for number, message in conf.problems(values)]


@register("django_jobs")
def check_database_alias(**_: Any) -> list[CheckMessage]:
    """E003: the jobs' database is not among the project's."""
    alias = get_settings().DATABASE
    if alias in connections:
        return []
    match = registry.nearest(alias, list(connections))
    hint = f'Did you mean "{match}"?' if match else None
    text = f'DJANGO_JOBS["DATABASE"] is "{alias}", which is not in DATABASES.'
    return [Error(text, hint=hint, id="django_jobs.E003")]


@register("django_jobs")
def check_time_zones(**_: Any) -> list[CheckMessage]:
    """E011: without USE_TZ the database and the workers would disagree about the time."""
    if django_settings.USE_TZ:
        return []
    text = "Jobs need aware datetimes, but USE_TZ is off."
    return [Error(text, hint="Set USE_TZ = True.", id="django_jobs.E011")]


@register("django_jobs")
def check_names(**_: Any) -> list[CheckMessage]:
    """E008: two jobs share a name. E010: a worker could not find a job."""
    found: list[CheckMessage] = [
        Error(
            f'Two jobs are called "{name}": at {first} and at {second}.',
            hint='Give one of them another name: @job(name="…").',
            id="django_jobs.E008",
        )
        for name, first, second in registry.doubles()
    ]
    for definition in registry.definitions():
        nested = definition.func.__qualname__ != definition.func.__name__
        if nested or definition.func.__module__ == "__main__":
            place = "is not at module level" if nested else "is declared in __main__"
            found.append(
                Error(
                    f"The job {definition.name} {place} ({definition.source}); no worker finds it.",
                    hint="Move it to the top level of the jobs.py of an installed app.",
                    id="django_jobs.E010",
                )
            )
    return found


@register("django_jobs")
def check_schedule_names(**_: Any) -> list[CheckMessage]:
    """E009: two schedules share a name, so that one row would have to follow two rules."""
    owners: dict[str, list[str]] = {}
    for definition in registry.definitions():
        for schedule in definition.schedules:
            owners.setdefault(schedule.name, []).append(definition.name)
    return [
        Error(
            f'Two schedules are called "{name}": of {" and of ".join(jobs)}.',
            hint='Give one of them another name: cron("…", name="…").',
            id="django_jobs.E009",
        )
        for name, jobs in owners.items()
        if len(jobs) > 1
    ]


@register("django_jobs")
def check_failure_jobs(**_: Any) -> list[CheckMessage]:
    """E012: the job that is named for failures is missing, or takes no event."""
    found: list[CheckMessage] = []
    for definition in registry.definitions():
        name = definition.on_failure
        target = registry.find(name) if name else None
        if name is None or (target is not None and target.wants_event):
            continue
        problem = "is not declared" if target is None else "does not take an event"
        found.append(
            Error(
                f'{definition.name}: on_failure names "{name}", which {problem}.',
                hint="Declare it with @job above a function of one parameter: (event: Event).",
                id="django_jobs.E012",
            )
        )
    return found


@register("django_jobs")
def check_failure_circles(**_: Any) -> list[CheckMessage]:
    """E013: failures that start each other would do so for ever."""
    found: list[CheckMessage] = []
    for definition in registry.definitions():
        chain, name = [definition.name], definition.on_failure
        while name and name not in chain and (target := registry.find(name)):
            chain, name = [*chain, target.name], target.on_failure
        if name == definition.name and name == min(chain):
            path = " → ".join([*chain, name])
            hint = "Let the last job for failures have none itself."
            text = f"on_failure goes round in a circle: {path}."
            found.append(Error(text, hint=hint, id="django_jobs.E013"))
    return found


@register("django_jobs")
def check_about(**_: Any) -> list[CheckMessage]:
    """E014: the row that jobs are said to be about is of a model that does not exist."""
    return [
        Error(
            f'{definition.name} is about "{definition.about.model}", which is no model.',
            hint='Write app label and model: @job(about={"shop.Order": "order_id"}).',
            id="django_jobs.E014",
        )
        for definition in registry.definitions()
        if isinstance(definition.about, KeyIn) and not definition.about.has_model
    ]


@register("django_jobs")
def check_definitions(**_: Any) -> list[CheckMessage]:
    """W003: a time limit beyond the shutdown's grace. W006: a model as a parameter."""
    return [problem for definition in registry.definitions() for problem in _doubts(definition)]


@register("django_jobs")
def check_sqlite(**_: Any) -> list[CheckMessage]:
    """W001: SQLite without WAL and IMMEDIATE answers "database is locked" under load."""
    alias = get_settings().DATABASE
    if alias not in connections or connections[alias].vendor != "sqlite":
        return []
    options = connections[alias].settings_dict["OPTIONS"]
    immediate = str(options.get("transaction_mode", "")).upper() == "IMMEDIATE"
    journal = "".join(str(options.get("init_command", "")).lower().split())
    missing = [] if immediate else ["transaction_mode IMMEDIATE"]
    missing += [] if "journal_mode=wal" in journal else ["journal_mode WAL"]
    if not missing:
        return []
    text = f'The SQLite database "{alias}" holds jobs without {" and ".join(missing)}.'
    hint = SQLITE_HINT.format(alias=alias)
    return [Warning(text, hint=hint, id="django_jobs.W001")]


@register("django_jobs")
def check_admin_prefix(**_: Any) -> list[CheckMessage]:
    """W007: an app of the project has the place of our pages in the admin."""
    if not (apps.is_installed("django.contrib.admin") and get_settings().ADMIN_AUTO):
        return []
    from django.contrib.admin import site  # noqa: PLC0415 - not every project has the admin

    prefix = get_settings().ADMIN_PREFIX.strip("/")
    if all(model._meta.app_label != prefix for model in site._registry):  # noqa: SLF001
        return []
    text = f'An app is called "{prefix}", so the pages of jobs are at /admin/django_jobs/.'
    hint = 'Give them another place: DJANGO_JOBS = {"ADMIN_PREFIX": "background"}.'
    return [Warning(text, hint=hint, id="django_jobs.W007")]


@register("django_jobs")
def check_command(**_: Any) -> list[CheckMessage]:
    """W002: another app's `runworker` stands before ours."""
    owner: Any = get_commands().get("runworker", "django_jobs")
    if not isinstance(owner, str):
        owner = type(owner).__module__.partition(".management")[0]
    if owner == "django_jobs":
        return []
    text = f"`manage.py runworker` is the command of {owner}, not of django_jobs."
    hint = 'Put "django_jobs" before it in INSTALLED_APPS, or run `manage.py jobs_worker`.'
    return [Warning(text, hint=hint, id="django_jobs.W002")]


@register(Tags.database)
def check_tables(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W020: migrations that are not applied; else W021 to W025 about the rows."""
    alias = get_settings().DATABASE
    if not databases or alias not in databases or sys.argv[1:2] == ["migrate"]:
        return []  # `migrate` runs the checks first: what it is about to do is no news
    pending = _pending(alias)
    if pending:
        text = f"{len(pending)} migrations of django_jobs are not applied: {', '.join(pending)}."
        hint = f"Run: python manage.py migrate --database {alias}"
        return [Warning(text, hint=hint, id="django_jobs.W020")]
    return [
        *_unserved_queues(alias),
        *_silent_workers(alias),
        *_unsafe_commits(alias),
        *_disabled_schedules(alias),
        *_overdue_schedules(alias),
    ]


def _doubts(definition: "registry.Definition") -> Iterator[CheckMessage]:
    grace = get_settings().SHUTDOWN_GRACE
    if definition.timeout is not None and definition.timeout > grace and not _asks(definition):
        yield Warning(
            f"{definition.name} may take {definition.timeout:g} s, but a stopping worker waits "
            f"only {grace:g} s (SHUTDOWN_GRACE): a deploy sends it back to run again.",
            hint="Raise SHUTDOWN_GRACE, make the job shorter, or let it ask should_stop().",
            id="django_jobs.W003",
        )
    for parameter in definition.signature.parameters.values():
        annotation = parameter.annotation
        if inspect.isclass(annotation) and issubclass(annotation, models.Model):
            yield Warning(
                f'The parameter "{parameter.name}" of {definition.name} has the type '
                f"{annotation.__name__}, a model, which JSON cannot hold.",
                hint=f"Pass {parameter.name}.pk and load the object in the job.",
                id="django_jobs.W006",
            )


def _asks(definition: "registry.Definition") -> bool:
    """Say whether the job's own code asks whether it should stop."""
    code = getattr(inspect.unwrap(definition.func), "__code__", None)
    return code is not None and "should_stop" in code.co_names


def _pending(alias: str) -> list[str]:
    executor = MigrationExecutor(connections[alias])
    targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] == "django_jobs"]
    return [migration.name for migration, _ in executor.migration_plan(targets)]


def _unserved_queues(alias: str) -> list[CheckMessage]:
    queues = unserved(alias, clock.now())
    if not queues:
        return []
    text = f"Jobs wait in queues that no living worker serves: {', '.join(queues)}."
    return [Warning(text, hint="Start one: python manage.py runworker", id="django_jobs.W021")]


def _silent_workers(alias: str) -> list[CheckMessage]:
    expired = Claim.objects.using(alias).filter(expires_at__lt=clock.now())
    held = expired.order_by("pk").values_list("job_ids", flat=True)[:CAP]
    count = sum(len(job_ids) for job_ids in held)
    if not count:
        return []
    text = f"Jobs held by workers that stopped answering: {count}."
    hint = "Any worker takes them back by itself: python manage.py runworker"
    return [Warning(text, hint=hint, id="django_jobs.W022")]


def _unsafe_commits(alias: str) -> list[CheckMessage]:
    if connections[alias].vendor != "postgresql":
        return []
    setting = Func(
        Value("synchronous_commit"), function="current_setting", output_field=TextField()
    )
    rows = MigrationRecorder(connections[alias]).migration_qs.annotate(setting=setting)
    if rows.values_list("setting", flat=True)[:1].get() != "off":
        return []
    text = f'synchronous_commit is off in the database "{alias}": a crash may lose enqueued jobs.'
    hint = "Switch it on for this database, or accept that the promise is weaker."
    return [Warning(text, hint=hint, id="django_jobs.W023")]


def _disabled_schedules(alias: str) -> list[CheckMessage]:
    rows = Schedule.objects.using(alias).filter(disabled_at__isnull=False)
    found = list(rows.values_list("name", "disabled_reason")[: NAMED + 1])
    if not found:
        return []
    names = [f"{name} ({reason.rstrip('.')})" for name, reason in found]
    text = f"Schedules are disabled: {_named(names)}"
    hint = "Declare them, or their jobs, again; or delete them in the admin."
    return [Warning(text, hint=hint, id="django_jobs.W024")]


def _overdue_schedules(alias: str) -> list[CheckMessage]:
    if not get_settings().SCHEDULES_ENABLED:
        return []
    overdue = Schedule.objects.using(alias).filter(next_run_at__lt=clock.now() - PUNCTUAL)
    names = list(overdue.order_by("next_run_at").values_list("name", flat=True)[: NAMED + 1])
    if not names:
        return []
    text = f"Schedules are due, and no worker deals with them: {_named(names)}"
    hint = "Start a worker: python manage.py runworker; if one runs, its log says what is wrong."
    return [Warning(text, hint=hint, id="django_jobs.W025")]


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", and more." if len(names) > NAMED else ".")
