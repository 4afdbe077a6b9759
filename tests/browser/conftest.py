"""A real browser that looks at a real server, whose pages all have the strictest policy.

Every test ends with the browser's console: whatever stands there fails it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.core.cache import cache

from tests.browser.browsing import Browsing, chromium
from tests.browser.serving import STRICT, served

NEEDED = "NEEDS_BROWSER"
"""Where this variable is set, a browser that is missing is an error."""

PACKAGES = ("playwright", "axe_playwright_python")


def why_not():
    """Return what is missing for these tests, "" if nothing is."""
    if not all(map(find_spec, PACKAGES)):
        return "no packages that drive a browser: tox run -e browser"
    return "" if shutil.which("chromium") else "no browser: apt-get install chromium"


def pytest_collection_modifyitems(config, items):
    """Where there is no browser skip the tests of this folder: one says why, for all of them."""
    reason, here = why_not(), Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    if not reason or not ours:
        return
    if os.environ.get(NEEDED):
        raise pytest.UsageError(reason)
    ours[0].add_marker(pytest.mark.skip(reason=f"{len(ours)} tests in a browser: {reason}"))
    config.hook.pytest_deselected(items=ours[1:])
    items[:] = [item for item in items if item not in ours[1:]]


@pytest.fixture(scope="module")
def browser():
    """Return a browser. Its loop runs in this thread, hence for one module at a time."""
    with chromium() as started:
        yield started


@pytest.fixture(autouse=True)
def _nothing_shared():
    """Forget what the pages of the test before have looked up: two seconds long all would see it."""
    cache.clear()


@pytest.fixture
def server(transactional_db, settings):
    """Return the address of a server, whose pages refresh twice a second."""
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, "ADMIN_REFRESH": 0.5}
    with served(STRICT) as address:
        yield address


@pytest.fixture
def browsing(browser, server):
    """Return what opens pages of the server; at the end no console has said anything."""
    pages = Browsing(browser, server)
    yield pages
    pages.close()
    assert pages.said == []


@pytest.fixture
def visit(browsing, admin_user):
    """Return how to open a page as the superuser, in a browser context of its own."""

    def visit(path, **options):
        return browsing.open(path, **{"user": admin_user, **options})

    visit.address = browsing.address
    return visit


@pytest.fixture
def start_worker(worker_environment):
    """Return how to start a real worker; all of them are dead when the test is over."""
    started = []

    def start(*options, **settings):
        worker = subprocess.Popen(
            [sys.executable, "-m", "django", "runworker", *options],
            env={**worker_environment, "TEST_DJANGO_JOBS": json.dumps(settings)},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        kill(worker)


def kill(worker):
    """End a worker, and all that it has started, with no chance to say good-bye."""
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
