"""`manage.py jobs groups`: two permission groups for those who look and those who operate."""

from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

LOOKING = (
    "view_job",
    "view_jobrun",
    "view_batch",
    "view_queue",
    "view_schedule",
    "view_worker",
    "view_event",
)
OPERATING = (
    "view_job_payload",
    "add_job",
    "change_job",
    "delete_job",
    "change_queue",
    "add_schedule",
    "change_schedule",
    "delete_schedule",
    "change_worker",
)
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Jobs viewers": LOOKING,
    "Jobs operators": LOOKING + OPERATING,
}
"""Viewers see everything but arguments, results and logs; operators see and do everything."""


class GroupCommands(BaseCommand):
    """`groups`."""

    def add_group_commands(self, commands: Any) -> None:
        """Declare the subcommand."""
        commands.add_parser("groups", help='make the groups "Jobs viewers" and "Jobs operators"')

    def do_groups(self, **_: Any) -> None:
        """Make the groups, or give them what they lack; what else they may is left alone."""
        if not apps.is_installed("django.contrib.auth"):
            raise CommandError("django.contrib.auth is not among the INSTALLED_APPS.")
        from django.contrib.auth.models import Group, Permission  # noqa: PLC0415 - may be missing

        for name, codenames in GROUPS.items():
            found = Permission.objects.filter(
                content_type__app_label="django_jobs", codename__in=codenames
            )
            if found.count() < len(codenames):
                raise CommandError("Permissions are missing. Run: python manage.py migrate")
            with transaction.atomic(using=Group.objects.db):
                group, created = Group.objects.get_or_create(name=name)
                lacking = set(found) - set(group.permissions.all())
                group.permissions.add(*lacking)
            word = "is made" if created else "was there"
            self.stdout.write(f'"{name}" {word}; permissions added: {len(lacking)}.')
