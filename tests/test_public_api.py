"""The public names: one path to each, all of them documented, none of them costly to import."""

import re
import subprocess
import sys
from importlib import import_module
from inspect import isfunction
from pathlib import Path

import pytest
from django.dispatch import Signal

import django_jobs
from django_jobs import signals

ROOT = Path(__file__).resolve().parents[1]
API = ROOT / "docs" / "reference" / "api.md"


def documented(section):
    """The names that have a heading of their own in a section of the API page."""
    text = API.read_text().partition(f"## `{section}`\n")[2].partition("\n## ")[0]
    return re.findall(r"^### `(\w+)", text, re.MULTILINE)


def test_all_is_what_can_be_imported():
    assert django_jobs.__all__ == sorted(django_jobs._PLACES)
    for name in django_jobs.__all__:
        module = import_module(f"django_jobs.{django_jobs._PLACES[name]}")
        assert getattr(django_jobs, name) is getattr(module, name)
        assert name in dir(django_jobs)


def test_all_is_what_the_documentation_lists():
    assert sorted(documented("django_jobs")) == django_jobs.__all__


@pytest.mark.parametrize(
    "name",
    [
        *("django_jobs.operations", "django_jobs.muting", "django_jobs.staffing"),
        *("django_jobs.reports.explaining", "django_jobs.testing"),
    ],
)
def test_the_functions_of_the_public_modules_are_documented(name):
    functions = [
        key
        for key, value in vars(import_module(name)).items()
        if isfunction(value) and value.__module__ == name and not key.startswith("_")
    ]
    assert functions
    assert sorted(documented(name)) == sorted(functions)


def test_every_signal_is_documented():
    sent = [key for key, value in vars(signals).items() if isinstance(value, Signal)]
    assert sorted(documented("django_jobs.signals")) == sorted(sent)


def test_every_public_exception_is_documented():
    module = import_module("django_jobs.exceptions")
    raised = {name for name, value in vars(module).items() if isinstance(value, type)}
    own = {name for name in raised if vars(module)[name].__module__ == module.__name__}
    text = API.read_text()
    assert not {name for name in own if f"`{name}" not in text}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'enquue'"):
        _ = django_jobs.enquue


def test_importing_the_package_needs_no_django_settings():
    source = "import sys, django_jobs; django_jobs.State; sys.exit('django.db' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, env={}, check=False)
    assert done.returncode == 0
