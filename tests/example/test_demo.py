"""`manage.py demo`, as a stranger runs it: a process of its own that starts real others."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from django_jobs.models import JobStep
from example_project.shop.management.commands import demo
from example_project.shop.models import Campaign, Customer, SentMail

ROOT = Path(__file__).parents[2]
PROCESSES = Path("/proc")


def run_demo(environment, *options):
    return subprocess.run(
        [sys.executable, "manage.py", "demo", *options],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def until(condition, seconds=60):
    """Wait for a condition, at most so long; say whether it came."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def processes_of(folder):
    """Return the processes whose data folder this is."""
    wanted = f"EXAMPLE_DATA_DIR={folder}".encode()
    found = []
    for path in PROCESSES.glob("[0-9]*"):
        try:
            if wanted in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return found


def printed(screen, what):
    """Return the address that the demo printed after a word."""
    return re.search(rf"^{what} +(\S+)", screen.read_text(), re.MULTILINE)[1]


def to_kill(screen):
    """Return the numbers of the worker's processes that the demo printed."""
    numbers = re.search(r"^Kill .*kill -9 ([\d ]+)", screen.read_text(), re.MULTILINE)[1]
    return {int(number) for number in numbers.split()}


def status_of(url):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_once_mails_forty_customers_imports_a_file_and_writes_two_reports(environment, tmp_path):
    done = run_demo(environment, "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 recipients in 2 parts" in done.stdout
    assert "40 mails in the outbox for 40 recipients" in done.stdout
    assert "2 of them after a retry" in done.stdout
    assert "2000 added, 0 renamed, 0 known before, 7 bad" in done.stdout
    assert "2040 lines for 2040 customers" in done.stdout
    assert "at 02:00 every day (0 2 * * *, Europe/Paris)" in done.stdout
    assert "2 times; ticks: 2, reports: 1, mails to the owner: 1" in done.stdout
    assert "ok   order never paid: given up, job successful, mails: reminder" in done.stdout
    assert "BAD" not in done.stdout
    assert len(list(tmp_path.glob("outbox/campaign-*/*.eml"))) == 40
    assert len(list(tmp_path.glob("outbox/nightly-report-*/*.eml"))) == 1
    assert SentMail.objects.count() == 40
    assert JobStep.objects.filter(key__startswith="send-to-").count() == 40
    assert JobStep.objects.filter(attempts=2).count() == 2
    assert not processes_of(tmp_path)


def test_once_can_be_run_again(environment):
    for _ in range(2):
        assert run_demo(environment, "--once").returncode == 0
    assert Campaign.objects.count() == 2
    assert Customer.objects.filter(subscribed=True).count() == 40


def test_once_says_what_is_wrong_and_exits_with_1(environment):
    environment["OUTBOX_LATENCY"] = "no number"
    done = run_demo(environment, "--once")
    assert done.returncode == 1
    assert "OUTBOX_LATENCY" in done.stderr


@pytest.mark.skipif(not PROCESSES.exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_web_server_and_worker(environment, tmp_path, number):
    screen = tmp_path / "screen"
    with screen.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--port", "0"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        assert until(lambda: "Stop   Ctrl-C" in screen.read_text()), screen.read_text()
        assert status_of(printed(screen, "Shop")) == 200
        assert status_of(printed(screen, "Jobs")) == 302
        assert len(to_kill(screen)) == 2
        assert to_kill(screen) < set(processes_of(tmp_path))
        process.send_signal(number)
        assert process.wait(60) == 0, screen.read_text()
        assert not processes_of(tmp_path)
    finally:
        for left in processes_of(tmp_path):
            os.kill(left, signal.SIGKILL)
        process.wait()
    assert "web server and worker are gone" in screen.read_text()


def test_a_taken_port_is_left_alone():
    with socket.create_server((demo.HOST, 0)) as other:
        taken = other.getsockname()[1]
        assert demo._free_port(taken) not in {0, taken}


def test_reset_refuses_a_database_that_is_not_the_examples_own(environment):
    Customer.objects.create(name="Ada", email="ada@example.com")
    done = run_demo(environment, "--reset", "--once")
    assert done.returncode == 1
    assert "own databases only" in done.stderr
    assert Customer.objects.count() == 1
