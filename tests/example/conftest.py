"""A small shop, a mail provider that the tests can make refuse, and somebody who answers HTTP."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import django
import pytest
from anymail.exceptions import AnymailAPIError
from anymail.message import AnymailRecipientStatus
from anymail.signals import pre_send

from example_project import mailers
from example_project.shop.models import Customer, Template


@pytest.fixture(autouse=True)
def _mail_through_anymail(settings):
    """Mail through Anymail's backend for tests."""
    mailer = mailers.parse("anymail://test", {})
    if django.VERSION >= (6, 1):
        settings.MAILERS = mailers.as_mailers(mailer)
    else:
        settings.EMAIL_BACKEND = mailer.backend


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
