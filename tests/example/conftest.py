"""A small shop, a mail provider that the tests can make refuse, and somebody who answers HTTP."""

import os
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import django
import pytest
from anymail.exceptions import AnymailAPIError
from anymail.message import AnymailRecipientStatus
from anymail.signals import pre_send
from django.conf import settings as django_settings
from django.db import connections
from django.utils import timezone

from django_jobs import registry
from django_jobs.schedules import sync
from example_project import mailers
from example_project.shop.models import Customer, Template
from tests import quiet_shop

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _mail_through_anymail(settings):
    """Mail through Anymail's backend for tests."""
    mailer = mailers.parse("anymail://test", {})
    if django.VERSION >= (6, 1):
        settings.MAILERS = mailers.as_mailers(mailer)
    else:
        settings.EMAIL_BACKEND = mailer.backend
    settings.SHOP_OWNER = "The owner <owner@example.com>"


@pytest.fixture(autouse=True)
def _listening_shop(monkeypatch):
    """Let the shop's jobs hear the events that they listen to."""
    for name, triggers in quiet_shop.DEAF.items():
        monkeypatch.setattr(registry.get(name), "on", triggers)


@pytest.fixture
def provider(shop, mailoutbox):
    """The mails that the provider took; the database's set-up makes a new list, so it is first."""
    return mailoutbox


@pytest.fixture
def answer_with():
    """Return a function that makes the provider answer every mail to an address so."""
    answers = {}

    def answer(message, **_):
        if response := answers.get(message.to[0].rpartition("<")[2].rstrip(">")):
            message.anymail_test_response = response

    pre_send.connect(answer, weak=False)
    yield answers.__setitem__
    pre_send.disconnect(answer)


@pytest.fixture
def shop(db):
    """A template and three customers."""
    for name in ("Ada", "Ben", "Cleo"):
        Customer.objects.create(name=f"{name} Test", email=f"{name.lower()}@example.com")
    return Template.objects.create(name="Spring", subject="Hello $first_name", body="Dear $name")


@pytest.fixture
def busy():
    """The answer of a provider that wants to be asked again."""
    return AnymailAPIError("451 mailbox is busy")


@pytest.fixture
def refuse(answer_with):
    """Return a function that makes the provider refuse an address for good."""

    def refuse(address):
        status = AnymailRecipientStatus(message_id=None, status="rejected")
        answer_with(address, {"recipient_status": {address: status}})

    return refuse


class _Answering(BaseHTTPRequestHandler):
    """Keeps each request, and answers as the test said."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((self.path, dict(self.headers), body))
        self.server.answer(self)

    def log_message(self, *_):
        pass


class Somewhere(ThreadingHTTPServer):
    """A real server in a thread: `answer` gets the request's handler, `calls` are those that came."""

    daemon_threads = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answering)
        self.calls = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answer_with(200)

    def answer_with(self, status, body=b"", **headers):
        def answer(handler):
            handler.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        self.answer = answer


@pytest.fixture
def server():
    """A server of somebody else, on this machine."""
    with Somewhere() as somewhere:
        thread = threading.Thread(target=somewhere.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield somewhere
        somewhere.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _files_of_the_test(settings, tmp_path):
    """Keep files in a folder of the test's own, and do not rest."""
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.ORDER_PATIENCE = timedelta(days=2)
    settings.IMPORT_PAUSE = settings.REPORT_PAUSE = 0


def database_url():
    """Return the address of the running tests' database."""
    settings = connections["default"].settings_dict
    name = settings["NAME"]
    if django_settings.ENGINE == "sqlite":
        return f"sqlite:///{name}"
    who = f"{quote(settings['USER'])}:{quote(settings['PASSWORD'])}"
    place = f"host={quote(settings['HOST'], safe='')}"
    port = f"&port={settings['PORT']}" if settings["PORT"] else ""
    return f"postgresql://{who}@/{name}?{place}{port}"


@pytest.fixture
def environment(transactional_db, tmp_path):
    """Where a process of the example finds this test's database, and its own data folder."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "DATABASE_URL": database_url(),
        "EXAMPLE_DATA_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def schedules_of_the_shop(db, monkeypatch):
    """The schedules that the shop's jobs declare, as `migrate` and a worker write them."""
    for name, declared in quiet_shop.TAKEN.items():
        monkeypatch.setattr(registry.get(name), "schedules", declared)
    sync()


@pytest.fixture
def outbox(settings, tmp_path):
    """Mails lie in a folder of files, as in the demo; nobody is busy."""
    settings.OUTBOX = {"folder": str(tmp_path), "refuse_once": [], "latency": 0}
    mailer = mailers.parse("outbox:", settings.OUTBOX)
    if django.VERSION >= (6, 1):
        settings.MAILERS = mailers.as_mailers(mailer)
    else:
        settings.EMAIL_BACKEND = mailer.backend
        settings.ANYMAIL = mailers.as_old_settings(mailer)["ANYMAIL"]
    return tmp_path


@pytest.fixture
def clocks(frozen_clock, monkeypatch):
    """Freeze the clock of the package, and Django's with it."""
    monkeypatch.setattr(timezone, "now", frozen_clock.now)
    return frozen_clock
