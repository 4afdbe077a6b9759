"""The tests' project on a port of its own, for a real browser."""

from contextlib import contextmanager

from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.test import override_settings
from django.test.testcases import LiveServerThread

STRICT = "tests.browser.csp.strict"


@contextmanager
def served(*outermost):
    """Serve the pages behind the middleware that is named; yield their address."""
    middleware = [*outermost, *settings.MIDDLEWARE]
    # A server reads its middleware when it starts, so each test has a server of its own.
    with override_settings(MIDDLEWARE=middleware, ROOT_URLCONF="tests.browser.urls"):
        server = LiveServerThread("localhost", StaticFilesHandler)
        server.daemon = True
        server.start()
        server.is_ready.wait()
        try:
            if server.error:
                raise server.error
            yield f"http://localhost:{server.port}"
        finally:
            server.terminate()
