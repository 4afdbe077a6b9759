"""Registers the app with Django: finds the jobs of every app, connects the checks."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_delete
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy


class DjangoJobsConfig(AppConfig):
    """The app `django_jobs`."""

    name = "django_jobs"
    label = "django_jobs"
    verbose_name = gettext_lazy("Jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import each app's `jobs.py`, as the admin imports each app's `admin.py`."""
        # Both register what is theirs, and need the apps.
        from django_jobs import checks, trial  # noqa: F401, PLC0415
        from django_jobs.conf import get_settings  # noqa: PLC0415
        from django_jobs.models import Schedule  # noqa: PLC0415
        from django_jobs.schedules.operating import cancel_held  # noqa: PLC0415

        autodiscover_modules(*get_settings().AUTODISCOVER)
        post_migrate.connect(_sync_schedules, sender=self)
        pre_delete.connect(cancel_held, sender=Schedule)


def _sync_schedules(using: str, **_: object) -> None:
    """Bring the schedules in line with the code, once all tables are there."""
    from django_jobs.conf import get_settings  # noqa: PLC0415 - needs the apps
    from django_jobs.schedules import sync  # noqa: PLC0415
    from django_jobs.worker.startup import missing_migrations  # noqa: PLC0415

    if using == get_settings().DATABASE and not missing_migrations(using):
        sync(using)
