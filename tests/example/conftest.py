"""A small shop, and a mail provider that the tests can make refuse."""

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
