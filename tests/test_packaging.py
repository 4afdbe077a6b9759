"""The built wheel: everything that a project needs, and nothing that it does not."""

import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import django_jobs

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "django_jobs"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    wanted = {
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted >= {"django_jobs/py.typed", "django_jobs/migrations/0001_initial.py"}
    assert wanted <= set(wheel.namelist())


def test_the_catalogues_are_in_the_wheel(wheel):
    found = {name for name in wheel.namelist() if name.startswith("django_jobs/locale/de/")}
    folder = "django_jobs/locale/de/LC_MESSAGES"
    assert found == {f"{folder}/django.po", f"{folder}/django.mo"}


def test_nothing_but_the_package_is_in_the_wheel(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops == {"django_jobs", f"django_jobs_db-{django_jobs.__version__}.dist-info"}


def test_the_licence_is_in_the_wheel(wheel):
    assert [name for name in wheel.namelist() if name.endswith("/licenses/LICENSE")]


def test_a_project_gets_three_packages_and_no_driver(metadata):
    required = metadata.get_all("Requires-Dist")
    always = sorted(name.partition(">")[0] for name in required if "extra ==" not in name)
    assert always == ["croniter", "django", "django-htmx"]


def test_the_wheel_says_for_which_python_and_that_it_is_typed(metadata):
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in metadata.get_all("Classifier")
