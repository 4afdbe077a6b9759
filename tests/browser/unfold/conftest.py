"""The same browser and server as above, without the policy: unfold needs eval and inline scripts."""

import pytest
from django.apps import apps

from tests.browser.serving import served

# Its templates and its site take the admin's place in a whole process. Whoever asks for these
# tests without them gets none, which pytest calls a failure.
collect_ignore_glob = [] if apps.is_installed("unfold") else ["test_*.py"]


@pytest.fixture
def server(transactional_db, settings):
    """Return the address of a server, whose pages refresh twice a second."""
    settings.DJANGO_JOBS = {**settings.DJANGO_JOBS, "ADMIN_REFRESH": 0.5}
    with served() as address:
        yield address
