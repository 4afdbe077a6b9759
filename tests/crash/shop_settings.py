"""Settings of the workers that mail a campaign: those of the tests, with the provider that counts."""

import os
from dataclasses import replace

import django

from example_project import mailers
from tests.settings import *  # noqa: F403

_OUTBOX = {"folder": os.environ["TEST_OUTBOX"], "refuse_once": [], "latency": 0}
_mailer = replace(mailers.parse("outbox:", _OUTBOX), backend="tests.crash.provider.EmailBackend")
if django.VERSION >= (6, 1):
    MAILERS = mailers.as_mailers(_mailer)
else:
    globals().update(mailers.as_old_settings(_mailer))
