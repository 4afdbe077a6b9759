"""Which files a reloader looks at, and what counts as a change."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import django_jobs
from django_jobs.worker import watching
from django_jobs.worker.watching import changed_at, differences, project_folders


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_the_code_of_the_project_is_looked_at_and_no_library():
    folders = project_folders()
    package = Path(django_jobs.__file__).parent
    assert {str(package), str(package / "worker"), str(package.parent)} <= folders
    assert str(Path(json.__file__).parent) not in folders
    assert str(Path(pytest.__file__).parent) not in folders
    assert not [name for name in folders if "site-packages" in name]


def test_folders_between_a_module_and_its_root_are_looked_at(tmp_path, monkeypatch):
    module = SimpleNamespace(__file__=write(tmp_path / "apps" / "shop" / "jobs.py"))
    odd = [SimpleNamespace(__file__=None), SimpleNamespace(), SimpleNamespace(__file__="<text>")]
    modules = {str(number): one for number, one in enumerate([module, *odd])}
    monkeypatch.setattr(watching, "sys", SimpleNamespace(modules=modules, path=[str(tmp_path)]))
    assert project_folders() == {str(tmp_path / part) for part in ("", "apps", "apps/shop")}
    monkeypatch.setattr(watching, "sys", SimpleNamespace(modules=modules, path=[]))
    assert project_folders() == {str(tmp_path / "apps" / "shop")}


def test_it_looks_into_folders_with_code_and_not_into_others(tmp_path):
    seen = [
        write(tmp_path / "shop" / "jobs.py"),
        write(tmp_path / "shop" / "mail" / "sending.py"),
    ]
    for unseen in (
        "shop/jobs.txt",
        "shop/.hidden/code.py",
        "shop/.#jobs.py",
        "shop/__pycache__/jobs.py",
        "shop/uploads/2030/code.py",
        "node_modules/pack/code.py",
    ):
        write(tmp_path / unseen)
    (tmp_path / "shop" / "broken.py").symlink_to(tmp_path / "nowhere.py")
    assert sorted(changed_at([str(tmp_path / "shop"), str(tmp_path)])) == seen


def test_new_changed_and_deleted_files_are_differences(tmp_path):
    names = [write(tmp_path / f"{name}.py") for name in ("changed", "gone", "kept", "new")]
    Path(names[3]).unlink()
    before = changed_at([str(tmp_path)])
    assert differences(before, changed_at([str(tmp_path)])) == []
    os.utime(names[0], ns=(1, 1))
    Path(names[1]).unlink()
    write(Path(names[3]))
    assert differences(before, changed_at([str(tmp_path)])) == [names[0], names[1], names[3]]


def test_a_package_that_did_not_exist_is_found(tmp_path):
    write(tmp_path / "shop" / "jobs.py")
    before = changed_at([str(tmp_path)])
    new = write(tmp_path / "shop" / "reports" / "__init__.py")
    assert differences(before, changed_at([str(tmp_path)])) == [new]


def test_a_folder_that_is_gone_has_no_files(tmp_path):
    assert changed_at([str(tmp_path / "gone")]) == {}
