"""What has to be true before a worker runs: the database answers, its tables are there."""

from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from django_jobs import clock

Say = Callable[[str], None]
LOOK = 0.5
REMIND = 30.0


def await_database(alias: str, *, wait: float, say: Say, pause: Callable[[float], None]) -> bool:
    """Wait at most `wait` seconds until the database answers; return whether it does."""
    connection = connections[alias]
    until, said_at = clock.monotonic() + wait, None
    while True:
        try:
            connection.ensure_connection()
        except (OperationalError, InterfaceError) as error:
            now = clock.monotonic()
            if said_at is None or now - said_at >= REMIND:
                said_at = now
                reason = " ".join(str(error).split())[:200]
                say(f"The database does not answer ({reason}). Waiting for it …")
            if now >= until:
                return False
            pause(LOOK)
        else:
            if said_at is not None:
                say("The database answers.")
            return True


def await_tables(alias: str, *, wait: float, say: Say, pause: Callable[[float], None]) -> bool:
    """Wait at most `wait` seconds until our migrations are applied; return whether they are."""
    until, said = clock.monotonic() + wait, False
    while names := missing_migrations(alias):
        if not said:
            said = True
            plural = "s" if len(names) > 1 else ""
            say(
                f"Jobs tables are missing ({len(names)} migration{plural} not applied: "
                f"{', '.join(names)})."
            )
            option = "" if alias == "default" else f" --database {alias}"
            say(f"Run: python manage.py migrate{option}")
            if wait:
                say(f"Waiting {wait:g} s for them (--no-wait to exit at once) …")
        if clock.monotonic() >= until:
            return False
        pause(LOOK)
    return True


def missing_migrations(alias: str) -> list[str]:
    """Return the names of our migrations that are not applied to the database."""
    try:
        executor = MigrationExecutor(connections[alias])
        targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] == "django_jobs"]
        plan = executor.migration_plan(targets)
    except DatabaseError:
        return ["unknown: the database refused to say"]
    return [migration.name for migration, _ in plan if migration.app_label == "django_jobs"]
