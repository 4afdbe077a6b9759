"""Models and migrations agree, so that no project is asked to write a migration of ours."""

import pytest
from django.core.management import call_command


@pytest.mark.django_db
@pytest.mark.parametrize("app", ["django_jobs", "shop"])
def test_the_migrations_are_what_the_models_say(app, capsys):
    call_command("makemigrations", app, check=True, dry_run=True, verbosity=1)
    assert "No changes detected" in capsys.readouterr().out
